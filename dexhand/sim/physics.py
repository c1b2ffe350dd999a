"""Physical parameters that differ between environments: what every simulator does with them alike."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

_SAVED_AS = "physics."
"""Stands before the parameters' names in a saved state."""


class Physics:
    """The parameters of ``dexhand.core.interfaces.PHYSICS`` that one simulator varies, and their present values."""

    def __init__(self, nominal: Mapping[str, Tensor], num_envs: int, device: torch.device) -> None:
        """``nominal`` holds the values of the scene in double precision, without the axis N."""
        self._nominal = {name: value.to(device).expand(num_envs, *value.shape) for name, value in nominal.items()}
        self._initial = {name: value.float() for name, value in self._nominal.items()}
        self.values: dict[str, Tensor] = dict(self._initial)
        """See ``Simulator.physics``."""

    def update(self, mask: Tensor, values: Mapping[str, Tensor]) -> None:
        """Take over the rows of ``mask`` (N,); see ``Simulator.randomize`` for the errors."""
        self._check(mask, values)
        for name, value in values.items():
            self.values[name] = torch.where(rows_of(mask, value), value.float(), self.values[name])

    def precise(self, name: str) -> Tensor:
        """The present values (N, ...) in double precision: exactly the scene's wherever they are not varied."""
        return torch.where(self.values[name] == self._initial[name], self._nominal[name], self.values[name].double())

    def is_initial(self, names: Collection[str]) -> Tensor:
        """In which environments none of these parameters is varied, bool (N,)."""
        same = [self.values[name] == self._initial[name] for name in names]
        return torch.stack([each.reshape(len(each), -1).all(dim=1) for each in same]).all(dim=0)

    def state_dict(self) -> dict[str, Tensor]:
        """Copies of the parameters that ``update`` has touched; empty before."""
        return {_SAVED_AS + name: self.values[name].clone() for name in self._touched()}

    def load_state_dict(self, saved: Mapping[str, Tensor]) -> Collection[str]:
        """Take over the parameters in ``saved``, the scene's values for others; returns which may have changed."""
        values = {
            name: saved[_SAVED_AS + name].to(initial, copy=True)
            for name, initial in self._initial.items()
            if _SAVED_AS + name in saved
        }
        self._check_shapes(values)
        changed = values.keys() | self._touched()
        self.values.update({**self._initial, **values})
        return changed

    def _touched(self) -> set[str]:
        return {name for name, value in self.values.items() if value is not self._initial[name]}

    def _check(self, mask: Tensor, values: Mapping[str, Tensor]) -> None:
        for name in values:
            if name not in self.values:
                known = ", ".join(self.values) or "nothing"
                raise ValueError(f"physics {name!r} cannot be varied on this simulator, which varies: {known}")
        self._check_shapes(values)
        # on a GPU this question would make the host wait for the device
        if mask.device.type == "cpu":
            for name, value in values.items():
                _check_range(name, value[mask])

    def _check_shapes(self, values: Mapping[str, Tensor]) -> None:
        for name, value in values.items():
            if value.shape != self.values[name].shape:
                expected = tuple(self.values[name].shape)
                raise ValueError(f"physics {name!r} has shape {tuple(value.shape)}, expected {expected}")


def rows_of(mask: Tensor, value: Tensor) -> Tensor:
    """``mask`` (N,) with the further axes of ``value`` (N, ...), to be broadcast along them."""
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
