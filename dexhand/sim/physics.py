"""Storage and validation of physical parameters per environment, shared by all simulators."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

_SAVED_AS = "physics."
"""Prefix of parameter names in a saved state."""


class Physics:
    """Current values of the ``dexhand.hand_env.interfaces.PHYSICS`` parameters that a simulator supports."""

    def __init__(self, nominal: Mapping[str, Tensor], num_envs: int, device: torch.device) -> None:
        """``nominal`` holds the scene's values in double precision, without axis N."""
        self._num_envs = num_envs
        self._nominal = {name: value.to(device).expand(num_envs, *value.shape) for name, value in nominal.items()}
        self._initial = {name: value.float() for name, value in self._nominal.items()}
        self.values: dict[str, Tensor] = dict(self._initial)
        """See ``Simulator.physics``."""

    def update(self, mask: Tensor, values: Mapping[str, Tensor]) -> None:
        """Set the values where ``mask`` (N,) is true. Raises as ``Simulator.randomize`` does."""
        for name, value in self._checked(mask, values).items():
            self.values[name] = torch.where(rows_of(mask, value), value, self.values[name])

    def precise(self, name: str) -> Tensor:
        """Return the current values (N, ...) in double precision, exactly the scene's where they are not varied."""
        return torch.where(self.values[name] == self._initial[name], self._nominal[name], self.values[name].double())

    def is_initial(self, names: Collection[str]) -> Tensor:
        """Return in which environments none of these parameters is varied, bool (N,)."""
        same = [self.values[name] == self._initial[name] for name in names]
        return torch.stack([each.reshape(len(each), -1).all(dim=1) for each in same]).all(dim=0)

    def state_dict(self) -> dict[str, Tensor]:
        """Copy the parameters that have been updated."""
        return {_SAVED_AS + name: self.values[name].clone() for name in self._updated()}

    def load_state_dict(self, saved: Mapping[str, Tensor]) -> Collection[str]:
        """Load the parameters in ``saved``, the scene's values for all others; returns which may have changed.

        Raises ``ValueError``, changing nothing, for a wrong shape or values out of range.
        """
        values = {name: saved[_SAVED_AS + name] for name in self._initial if _SAVED_AS + name in saved}
        values = {name: value.to(self._initial[name], copy=True) for name, value in self._converted(values).items()}
        for name, value in values.items():
            _check_range(name, value)
        changed = values.keys() | self._updated()
        self.values.update({**self._initial, **values})
        return changed

    def _updated(self) -> set[str]:
        return {name for name, value in self.values.items() if value is not self._initial[name]}

    def _checked(self, mask: Tensor, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the values in single precision, or raise ``ValueError``."""
        for name in values:
            if name not in self.values:
                known = ", ".join(self.values) or "nothing"
                raise ValueError(f"physics {name!r} cannot be varied on this simulator, which varies: {known}")
        if mask.dtype != torch.bool or mask.shape != (self._num_envs,):
            expected = f"torch.bool of shape {(self._num_envs,)}"
            raise ValueError(f"The mask is {mask.dtype} of shape {tuple(mask.shape)}, expected {expected}")
        converted = self._converted(values)
        # on a GPU this check would synchronise host and device
        if mask.device.type == "cpu":
            for name, value in converted.items():
                _check_range(name, value[mask])
        return converted

    def _converted(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the values in single precision; raise ``ValueError`` for other types and wrong shapes."""
        for name, value in values.items():
            if not isinstance(value, Tensor) or value.is_complex() or value.dtype == torch.bool:
                found = value.dtype if isinstance(value, Tensor) else type(value).__name__
                raise ValueError(f"physics {name!r} is {found}, expected a tensor of real numbers")
            if value.shape != self.values[name].shape:
                expected = tuple(self.values[name].shape)
                raise ValueError(f"physics {name!r} has shape {tuple(value.shape)}, expected {expected}")
        return {name: value.float() for name, value in values.items()}


def rows_of(mask: Tensor, value: Tensor) -> Tensor:
    """Reshape ``mask`` (N,) to broadcast against ``value`` (N, ...)."""
    return mask.reshape(-1, *(1,) * (value.dim() - 1))


def _check_range(name: str, value: Tensor) -> None:
    if name == "gravity":
        allowed, fits = "finite", value.isfinite()
    elif name.endswith("_mass"):
        allowed, fits = "positive", value.isfinite() & (value > 0)
    else:
        allowed, fits = "0 or more", value.isfinite() & (value >= 0)
    if not bool(fits.all()):
        raise ValueError(f"physics {name!r} contains {float(value[~fits][0]):g}; its values must be {allowed}")
