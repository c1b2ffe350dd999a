"""The keys of a checkpoint that are read by others than the learner that saved it."""

import math
from collections.abc import Mapping
from typing import Any

from dexhand.core.interfaces import VecEnv

LARGEST_COUNT = 2**53
"""Of iterations or frames; a float holds each number up to here."""


def check_state(state: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` for the first key whose value no ``TrainLoop`` and no ``Algorithm`` has saved."""
    _require(isinstance(state.get("model"), Mapping), "model", state.get("model"), "the weights by name")
    epoch = state.get("epoch")
    is_count = type(epoch) is int and 0 <= epoch <= LARGEST_COUNT
    _require(is_count, "epoch", epoch, f"the iterations done, from 0 to {LARGEST_COUNT}")
    if "train_loop" in state:
        loop = state["train_loop"]
        _require(isinstance(loop, Mapping), "train_loop", loop, "a dictionary")
        best, contract = loop.get("best_return"), loop.get("contract", {})
        _require(best is None or _is_finite(best), "train_loop.best_return", best, "a finite number or None")
        _require(isinstance(contract, Mapping), "train_loop.contract", contract, "a dictionary")
        for key, value in contract.items():
            items = value if type(value) is list else [value]
            is_plain = all(item is None or type(item) in (str, bool) for item in items)
            _require(is_plain, f"train_loop.contract[{key!r:.100}]", value, "text, true, false, None or a list of them")


def has_state(env: VecEnv) -> bool:
    """Whether the state of environments can be saved and restored; see ``VecEnv.state_dict``."""
    return all(getattr(env, name, None) is not None for name in ("state_dict", "load_state_dict"))


def state_of(env: VecEnv) -> dict[str, Any] | None:
    """Copy the state of environments; ``None`` if it cannot be saved."""
    return env.state_dict() if has_state(env) else None


def load_state(env: VecEnv, state: Mapping[str, Any] | None) -> None:
    """Restore what ``state_of`` returned. Raises ``ValueError`` if that is nothing, or if ``env`` cannot restore it."""
    if state is None or not has_state(env):
        raise ValueError(
            "these environments cannot save their episodes, so their training cannot continue exactly. Start another "
            "one with its weights: checkpoint=... train.resume=weights"
        )
    env.load_state_dict(state)


def best_return_of(state: Mapping[str, Any]) -> float | None:
    """Read the best mean return so far from a checkpoint that a ``TrainLoop`` wrote."""
    best: float | None = state["train_loop"].get("best_return")
    return best


def contract_in(state: Mapping[str, Any]) -> dict[str, Any]:
    """Read the meaning of observations and actions from a checkpoint; empty if no ``TrainLoop`` wrote it."""
    return dict(state.get("train_loop", {}).get("contract", {}))


def _require(is_met: bool, key: str, value: object, expected: str) -> None:
    if not is_met:
        raise ValueError(f"{key}={value!r:.100}, expected {expected}")


def _is_finite(value: object) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
    except OverflowError:  # a whole number that no float can hold
        return False
