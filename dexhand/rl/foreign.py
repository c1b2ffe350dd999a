"""Reading checkpoints written by rl_games itself, for testing and fine-tuning, or by older versions of dexhand.

Those of rl_games are pickles. ``dexhand.rl.inert_pickle`` reads them without running code.
"""

import io
import math
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dexhand.checkpoints.archive import Archive, ArchiveError
from dexhand.checkpoints.store import CheckpointError
from dexhand.rl.inert_pickle import StoredTensor, TensorReader, unpickle
from dexhand.rl.network import NetworkSpec

_COMPILED = "_orig_mod."
_ACTOR_LAYER = re.compile(r"a2c_network\.actor_mlp\.(\d+)\.weight")


class UntrustedCheckpointError(CheckpointError):
    """Reading the file could run code hidden in it."""


def parse_foreign(path: Path, content: bytes, *, trust: bool, activation: str) -> dict[str, Any]:
    """Extract model, iterations, frames and network sizes from an rl_games file, as in an ``Algorithm.state_dict()``.

    ``activation`` is not stored in the file. With ``trust`` the file may run code while it is read. Raises
    ``CheckpointError`` if it is not an rl_games checkpoint, ``UntrustedCheckpointError`` if trust is required.
    """
    state = _trusted(path, content) if trust else _untrusted(path, content)
    weights = state["model"]
    return {
        "model": weights,
        "epoch": _count(path, state, "epoch"),
        "frame": _count(path, state, "frame"),
        "dexhand": {"network": _spec(path, weights, activation).to_dict()},
    }


def migrate_state(state: dict[str, Any]) -> dict[str, Any]:
    """Move the contract of an old checkpoint, which the learner stored, to where ``TrainLoop`` stores it."""
    learner, loop = state.get("dexhand"), state.get("train_loop")
    if not (isinstance(learner, dict) and isinstance(loop, dict) and learner.get("contract")):
        return state
    return {**state, "train_loop": {**loop, "contract": learner["contract"]}}


def _untrusted(path: Path, content: bytes) -> dict[str, Any]:
    """Read the file without running code."""
    try:
        archive = Archive(io.BytesIO(content))
        name = next(name for name in archive.sizes if name.endswith("data.pkl"))
        state = unpickle(archive.read_table(name))
        reader = TensorReader(archive, name.removesuffix("data.pkl"))
        weights = {key: reader.read(tensor) for key, tensor in _model(path, state, StoredTensor).items()}
    except ArchiveError as error:
        raise CheckpointError(path, str(error)) from error
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        raise UntrustedCheckpointError(
            path,
            f"holds more than tensors and numbers ({_first_line(error)}); it is not read, because it could run code. "
            "If you trust where it comes from, give train.trustCheckpoint=true",
        ) from error
    except Exception as error:  # a pickle may raise anything
        raise CheckpointError(path, f"not a checkpoint of rl_games, or damaged: {_first_line(error)}") from error
    return {**state, "model": weights}


def _trusted(path: Path, content: bytes) -> dict[str, Any]:
    """Read the file with torch, which runs the code in it."""
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=False)
    except Exception as error:  # so may this
        raise CheckpointError(path, f"cannot be read: {_first_line(error)}") from error
    return {**state, "model": _model(path, state, Tensor)}


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"


def _model(path: Path, state: Any, kind: type[Any]) -> dict[str, Any]:
    """The weights by name, each of the type ``kind``."""
    model = state.get("model") if isinstance(state, dict) else None
    if not isinstance(model, dict) or not all(type(name) is str for name in model):
        raise CheckpointError(path, "not a checkpoint of rl_games: it holds no model")
    for name, tensor in model.items():
        if not isinstance(tensor, kind):
            raise CheckpointError(path, f"not a checkpoint of rl_games: {name} of its model is no tensor")
    return {name.replace(_COMPILED, ""): tensor for name, tensor in model.items()}


def _count(path: Path, state: dict[str, Any], key: str) -> int:
    """A whole number of the state; 0 where it is missing."""
    value = state.get(key, 0)
    if not isinstance(value, (int, float)) or not math.isfinite(value) or value != int(value):
        raise CheckpointError(path, f"not a checkpoint of rl_games: {key}={value!r} is no whole number")
    return int(value)


def _spec(path: Path, weights: dict[str, Tensor], activation: str) -> NetworkSpec:
    """Infer the network's sizes from its tensors."""
    layers = sorted((int(match[1]), name) for name in weights for match in [_ACTOR_LAYER.fullmatch(name)] if match)
    names = [*(name for _, name in layers), "a2c_network.mu.weight"]
    if not layers or any(name not in weights or weights[name].dim() != 2 for name in names):
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
