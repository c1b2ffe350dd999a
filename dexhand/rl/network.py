"""The actor-critic network, built by rl_games."""

import contextlib
import copy
import functools
import logging
import math
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any

import torch
from rl_games.algos_torch.model_builder import ModelBuilder
from torch import nn

from dexhand.config.schema import MOST_LAYERS, NetworkConfig
from dexhand.core.weights import check_weights

log = logging.getLogger(__name__)

_ACTIVATIONS = {field.name: field for field in fields(NetworkConfig)}["activation"].metadata["choices"]


@dataclass(frozen=True)
class NetworkSpec:
    """Architecture of the network, as saved in checkpoints."""

    num_observations: int
    num_actions: int
    units: tuple[int, ...]
    activation: str = "elu"
    separate_critic: bool = False
    sigma_init: float = 0.0
    normalize_input: bool = True
    normalize_value: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values."""
        return {**asdict(self), "units": list(self.units)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "NetworkSpec":
        """Create from the result of ``to_dict``. Raises ``ValueError`` for sizes that no network has."""
        spec = cls(**{**values, "units": tuple(values["units"])})
        if not 0 < len(spec.units) <= MOST_LAYERS:
            raise ValueError(f"its network has {len(spec.units)} layers; 1 to {MOST_LAYERS} are possible")
        if not all(type(size) is int and size > 0 for size in spec.sizes):
            raise ValueError(f"its network has layers of the sizes {spec.sizes!s:.200}")
        if spec.activation not in _ACTIVATIONS:
            raise ValueError(f"its network has the activation {spec.activation!r:.100}")
        if type(spec.sigma_init) not in (int, float) or not math.isfinite(spec.sigma_init):
            raise ValueError(f"its network has sigma_init={spec.sigma_init!r:.100}, which is no finite number")
        return spec

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes of all layers, from observations to actions."""
        return (self.num_observations, *self.units, self.num_actions)

    def model_params(self) -> dict[str, Any]:
        """Return ``params`` for rl_games's model builder."""
        return {
            "model": {"name": "continuous_a2c_logstd"},
            "network": {
                "name": "actor_critic",
                "separate": self.separate_critic,
                "space": {
                    "continuous": {
                        "mu_activation": "None",
                        "sigma_activation": "None",
                        "mu_init": {"name": "default"},
                        "sigma_init": {"name": "const_initializer", "val": self.sigma_init},
                        "fixed_sigma": True,
                    }
                },
                "mlp": {
                    "units": list(self.units),
                    "activation": self.activation,
                    "d2rl": False,
                    "initializer": {"name": "default"},
                    "regularizer": {"name": "None"},
                },
            },
        }

    def central_value_params(self) -> dict[str, Any]:
        """Return rl_games's ``central_value_config`` for a network with the policy's layers."""
        network = self.model_params()["network"]
        return {"network": {"name": network["name"], "separate": False, "central_value": True, "mlp": network["mlp"]}}


def build_network(spec: NetworkSpec) -> nn.Module:
    """Build an untrained network."""
    with quiet():
        network: nn.Module = (
            ModelBuilder()
            .load(spec.model_params())
            .build(
                {
                    "actions_num": spec.num_actions,
                    "input_shape": (spec.num_observations,),
                    "num_seqs": 1,
                    "value_size": 1,
                    "normalize_value": spec.normalize_value,
                    "normalize_input": spec.normalize_input,
                }
            )
        )
    return network


def network_of(spec: NetworkSpec, weights: Mapping[str, torch.Tensor], device: torch.device) -> nn.Module:
    """Build a network with ``weights``. Raises ``ValueError`` if they do not fit; leaves random state untouched."""
    # copying is ten times faster than building, because rl_games compiles its normalisers
    _check_size(spec, weights)
    network = copy.deepcopy(_empty_network(spec))
    check_weights(network.state_dict(), weights)
    network.load_state_dict(weights)
    return network.to(device)


@functools.lru_cache(maxsize=8)
def _empty_network(spec: NetworkSpec) -> nn.Module:
    """Build a template for copying, without drawing random numbers."""
    with torch.device("meta"):
        network = build_network(spec)
    return network.to_empty(device="cpu")


def _check_size(spec: NetworkSpec, weights: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` if the network is larger than all its weights, before any memory is taken for it."""
    needed = sum(inputs * outputs for inputs, outputs in pairwise(spec.sizes))
    given = sum(tensor.numel() for tensor in weights.values() if isinstance(tensor, torch.Tensor))
    if needed > given:
        raise ValueError(f"its network has layers of the sizes {spec.sizes!s:.200}, but only {given} weights")


class _OneThreadMuted:
    """Wraps standard output and buffers what one thread prints; other threads print as usual."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._thread = threading.get_ident()
        self.buffered: list[str] = []

    def write(self, text: str) -> int:
        if threading.get_ident() == self._thread:
            self.buffered.append(text)
            return len(text)
        return int(self._stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


_quiet = threading.Lock()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send what rl_games prints in this thread to the debug log."""
    with _quiet:
        muted = _OneThreadMuted(sys.stdout)
        try:
            with contextlib.redirect_stdout(muted):
                yield
        finally:
            for line in "".join(muted.buffered).splitlines():
                log.debug("rl_games: %s", line)
