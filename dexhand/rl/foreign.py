"""Checkpoints that rl_games itself wrote, for testing and fine-tuning, and those of older versions of this package.

rl_games's are pickles. Since torch 2.10 ``weights_only=True`` keeps a pickle from running code; before it did not
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
"""The first torch whose ``weights_only=True`` is known to run no code of the file."""

_COMPILED = "_orig_mod."
_ACTOR_LAYER = re.compile(r"a2c_network\.actor_mlp\.(\d+)\.weight")


class UntrustedCheckpointError(CheckpointError):
    """Reading the file could run code that it contains."""


def parse_foreign(path: Path, content: bytes, *, trust: bool, activation: str) -> dict[str, Any]:
    """The parts of an ``Algorithm.state_dict()`` that a file of rl_games has: model, iterations, frames, network sizes.

    ``activation`` is what the file does not tell. With ``trust`` the file may run code while it is read. Raises
    ``CheckpointError`` for what is not rl_games's, ``UntrustedCheckpointError`` where trust is needed.
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
    """The state of a checkpoint in which the learner, not ``TrainLoop``, wrote what observations and actions mean."""
    contract = state.get("dexhand", {}).get("contract")
    if not contract or "train_loop" not in state:
        return state
    contract = {"env.hand": "dexhand021_right", **contract}  # there was one hand
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
    except Exception as error:  # whatever a pickle can do wrong
        reason = str(error).strip().splitlines()[0] if str(error).strip() else ""
        raise CheckpointError(
            path,
            "holds more than tensors and numbers, or is damaged; it is not read, because it could run code "
            f"({type(error).__name__}: {reason[:200]})",
        ) from error


@contextlib.contextmanager
def _numbers_allowed() -> Iterator[None]:
    """rl_games's scores are numpy numbers."""
    kinds: list[Any] = [np.dtype, *(type(np.dtype(name)) for name in ("float32", "float64", "int64", "bool"))]
    with torch.serialization.safe_globals([*_scalar_makers(), *kinds]):
        yield


def _scalar_makers() -> "list[tuple[Any, str]]":
    """The function that unpickles a numpy number, under its names in numpy 1 and 2."""
    scalar = np.float64(0).__reduce__()[0]
    return [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]


def _spec(path: Path, weights: Mapping[str, Tensor], activation: str) -> NetworkSpec:
    """The network's sizes, read off its tensors."""
    layers = sorted((int(match[1]), name) for name in weights for match in [_ACTOR_LAYER.fullmatch(name)] if match)
    if not layers or "a2c_network.mu.weight" not in weights:
        raise CheckpointError(path, "its network is not a continuous actor-critic with layers of plain neurons")
    return NetworkSpec(
        num_observations=weights[layers[0][1]].shape[1],
        num_actions=weights["a2c_network.mu.weight"].shape[0],
        units=tuple(weights[name].shape[0] for _, name in layers),
        activation=activation,
        separate_critic=any(name.startswith("a2c_network.critic_mlp") for name in weights),
        normalize_input="running_mean_std.running_mean" in weights,
        normalize_value="value_mean_std.running_mean" in weights,
    )
