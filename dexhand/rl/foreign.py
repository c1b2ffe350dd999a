"""Reading checkpoints written by rl_games itself, for testing and fine-tuning, or by older versions of dexhand.

Those of rl_games are pickles. ``weights_only=True`` reliably prevents a pickle from running code only since torch 2.10
(CVE-2025-32434, CVE-2026-24747).
"""

import contextlib
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dexhand.checkpoints.store import CheckpointError
from dexhand.rl.network import NetworkSpec

SAFE_SINCE = (2, 10)
"""The first torch version whose ``weights_only=True`` is known to run no code from the file."""

_COMPILED = "_orig_mod."
_ACTOR_LAYER = re.compile(r"a2c_network\.actor_mlp\.(\d+)\.weight")


class UntrustedCheckpointError(CheckpointError):
    """Reading the file could run code hidden in it."""


def parse_foreign(path: Path, content: bytes, *, trust: bool, activation: str) -> dict[str, Any]:
    """Extract model, iterations, frames and network sizes from an rl_games file, as in an ``Algorithm.state_dict()``.

    ``activation`` is not stored in the file. With ``trust`` the file may run code while it is read. Raises
    ``CheckpointError`` if it is not an rl_games checkpoint, ``UntrustedCheckpointError`` if trust is required.
    """
    state = _unpickle(path, content, trust)
    if not (isinstance(state, dict) and isinstance(state.get("model"), Mapping)):
        raise CheckpointError(path, "not a checkpoint of rl_games: it holds no model")
    weights = {name.replace(_COMPILED, ""): tensor for name, tensor in state["model"].items()}
    return {
        "model": weights,
        "epoch": int(state.get("epoch", 0)),
        "frame": int(state.get("frame", 0)),
        "dexhand": {"network": _spec(path, weights, activation).to_dict()},
    }


def migrate_state(state: dict[str, Any]) -> dict[str, Any]:
    """Move the contract of an old checkpoint, which the learner stored, to where ``TrainLoop`` stores it."""
    contract = state.get("dexhand", {}).get("contract")
    if not contract or "train_loop" not in state:
        return state
    return {**state, "train_loop": {**state["train_loop"], "contract": contract}}


def _unpickle(path: Path, content: bytes, trust: bool) -> Any:
    version = tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2])
    if not trust and version < SAFE_SINCE:
        raise UntrustedCheckpointError(
            path,
            "not written by dexhand, so reading it with torch "
            f"{torch.__version__} could run code hidden in it. If you trust where it comes from, give "
            f"train.trustCheckpoint=true; torch {'.'.join(map(str, SAFE_SINCE))} or newer reads it safely",
        )
    try:
        with _numbers_allowed():
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=not trust)
    except Exception as error:  # unpickling may raise anything
        reason = str(error).strip().splitlines()[0] if str(error).strip() else ""
        raise CheckpointError(
            path,
            "holds more than tensors and numbers, or is damaged; it is not read, because it could run code "
            f"({type(error).__name__}: {reason[:200]})",
        ) from error


@contextlib.contextmanager
def _numbers_allowed() -> Iterator[None]:
    """Allow unpickling numpy scalars, which rl_games uses for scores."""
    kinds: list[Any] = [np.dtype, *(type(np.dtype(name)) for name in ("float32", "float64", "int64", "bool"))]
    with torch.serialization.safe_globals([*_scalar_makers(), *kinds]):
        yield


def _scalar_makers() -> "list[tuple[Any, str]]":
    """Return the function that unpickles a numpy scalar, under its names in numpy 1 and 2."""
    scalar = np.float64(0).__reduce__()[0]
    return [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]


def _spec(path: Path, weights: Mapping[str, Tensor], activation: str) -> NetworkSpec:
    """Infer the network's sizes from its tensors."""
    layers = sorted((int(match[1]), name) for name in weights for match in [_ACTOR_LAYER.fullmatch(name)] if match)
    if not layers or "a2c_network.mu.weight" not in weights:
        raise CheckpointError(path, "its network is not a continuous actor-critic MLP")
    return NetworkSpec(
        num_observations=weights[layers[0][1]].shape[1],
        num_actions=weights["a2c_network.mu.weight"].shape[0],
        units=tuple(weights[name].shape[0] for _, name in layers),
        activation=activation,
        separate_critic=any(name.startswith("a2c_network.critic_mlp") for name in weights),
        normalize_input="running_mean_std.running_mean" in weights,
        normalize_value="value_mean_std.running_mean" in weights,
    )
