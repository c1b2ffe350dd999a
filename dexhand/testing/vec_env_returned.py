"""Run an environment and check what it returns; every problem becomes a sentence for its author."""

import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dexhand.core.interfaces import VecEnv
from dexhand.testing.tree import same

Values = dict[str, Tensor]
"""What one ``reset`` or ``step`` returned, by name, copied."""

SHAPES: dict[str, tuple[str, torch.dtype]] = {
    "observations": ("(N, F)", torch.float32),
    "rewards": ("(N,)", torch.float32),
    "terminated": ("(N,)", torch.bool),
    "truncated": ("(N,)", torch.bool),
    "info['final_observation']": ("(N, F)", torch.float32),
    "info['outcome']": ("(N,)", torch.int64),
    "info['reward_terms']": ("(N, T)", torch.float32),
    "info['critic_observations']": ("(N, Fc)", torch.float32),
}
"""Symbolic shape and dtype of everything a step returns; the last only if the environment has it."""

CRITIC = "info['critic_observations']"
FIRST, FIRST_CRITIC = "reset's observations", f"reset's {CRITIC}"

SEED = 1
"""Seed of all runs that a check compares; not 0, which a faulty environment may treat as no seed."""


class Ending(NamedTuple):
    """An episode that ended in a rollout."""

    step: int
    """Counted from 1 after the reset."""
    env: int
    length: int
    """Control steps."""
    number: int
    """1 for the first episode after the reset."""
    truncated: bool

    def __str__(self) -> str:
        return f"episode {self.number} of environment {self.env}, which ended in step {self.step}"


@dataclass
class Rollout:
    """What an environment returned, step by step, and what was wrong with it."""

    first: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    """Observations after reset. Shape (N, F); empty if they are unusable."""
    first_critic: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    """Critic observations after reset. Shape (N, Fc); empty if there are none, or none usable."""
    steps: list[Values] = field(default_factory=list)
    """The usable values of each step, converted to the right dtype if only that was wrong."""
    complaints: dict[str, str] = field(default_factory=dict)
    """What is wrong with each returned value, by its name: a sentence about the first occurrence."""
    infinite: str | None = None
    """The first number that is not finite, as a sentence; ``None`` if there is none."""
    broken: str | None = None
    """Why the rollout could not continue, as a sentence; ``None`` if it could."""

    def reset(self, env: VecEnv) -> None:
        """Reset the environment and check what it returns."""
        names = ("observations", CRITIC) if has_critic(env) else ("observations",)
        shown = self._examined(_reset(env, SEED), names, env, "reset", "reset's ")
        self.first = shown.get("observations", self.first)
        self.first_critic = shown.get(CRITIC, self.first_critic)

    def step(self, env: VecEnv, actions: Tensor) -> list[int]:
        """Step and check what is returned; returns the indices of environments whose episode ended."""
        names = tuple(name for name in SHAPES if name != CRITIC or has_critic(env))
        values = self._examined(_step(env, actions), names, env, f"step {len(self.steps) + 1}")
        self.steps.append(values)
        if not {"terminated", "truncated"} <= values.keys():
            return []
        ended: list[int] = (values["terminated"] | values["truncated"]).nonzero().flatten().tolist()
        return ended

    def _examined(
        self, values: dict[str, Any], names: tuple[str, ...], env: VecEnv, when: str, prefix: str = ""
    ) -> Values:
        """The usable values, on the CPU; the first problem of each name is added to ``complaints``."""
        usable: Values = {}
        for name in names:
            said, (axes, dtype) = f"{prefix}{name}", SHAPES[name]
            if name not in values:
                self.complaints.setdefault(said, f"{said} is missing; it must be a {dtype} tensor of shape {axes}.")
                continue
            complaint, tensor = _judged(values[name], axes, _shape(env, axes), dtype, env)
            if complaint:
                self.complaints.setdefault(said, f"{said} must be {complaint} (in {when}).")
            if tensor is not None:
                usable[name] = tensor.detach().to(dtype).cpu().clone()
                self._look_for_infinity(said, usable[name], when)
        return usable

    def _look_for_infinity(self, said: str, value: Tensor, when: str) -> None:
        bad = (~torch.isfinite(value)).nonzero()
        if len(bad) and self.infinite is None:
            place = tuple(bad[0].tolist())
            self.infinite = f"{said} of environment {place[0]} is {float(value[place])} in {when}, at index {place}."

    def endings(self) -> list[Ending]:
        """The episodes that ended, in order."""
        endings: list[Ending] = []
        if not (self.has("terminated") and self.has("truncated")):
            return endings
        new_run: dict[int, int] = {}
        number: dict[int, int] = {}
        for step, values in enumerate(self.steps, start=1):
            for env in (values["terminated"] | values["truncated"]).nonzero().flatten().tolist():
                number[env] = number.get(env, 0) + 1
                truncated = bool(values["truncated"][env] & ~values["terminated"][env])
                endings.append(Ending(step, env, step - new_run.get(env, 0), number[env], truncated))
                new_run[env] = step
        return endings

    def has(self, name: str) -> bool:
        """Whether a value was usable in every step, or after reset."""
        if name in (FIRST, FIRST_CRITIC):
            return (self.first if name == FIRST else self.first_critic).numel() > 0
        return bool(self.steps) and all(name in values for values in self.steps)


def reset(env: VecEnv, seed: int | None = None) -> Tensor:
    """Reset, and return copies of the first observations."""
    return first_values(env, seed)["observations"]


def first_values(env: VecEnv, seed: int | None = None) -> Values:
    """Reset, and return copies of everything it returns."""
    return {name: _as_tensor(f"reset's {name}", value).clone() for name, value in _reset(env, seed).items()}


def step(env: VecEnv, actions: Tensor) -> Values:
    """Step, and return copies of everything it returns."""
    return {name: _as_tensor(name, value).clone() for name, value in _step(env, actions).items()}


def returned_by(env: VecEnv, actions: Tensor | None = None, seed: int | None = None) -> dict[str, Any]:
    """Step, or reset without ``actions``, and return the original objects, not copies."""
    return _reset(env, seed) if actions is None else _step(env, actions)


def play(env: VecEnv, actions: Iterable[Tensor]) -> list[Values]:
    """Step through ``actions``, and return copies of everything."""
    return [step(env, row) for row in actions]


def run(env: VecEnv, seed: int, actions: Iterable[Tensor]) -> list[Values]:
    """Reset with ``seed`` and step through ``actions``; returns copies of everything, the reset's first."""
    return [first_values(env, seed), *play(env, actions)]


def differences(first: Sequence[Values], second: Sequence[Values], envs: list[int] | None = None) -> list[str]:
    """Names and steps at which two results of ``run`` differ in any bit, in ``envs`` or in all environments."""
    rows = slice(None) if envs is None else envs
    return [
        f"{name} in step {number}" if number else f"the first {name}"
        for number, (a, b) in enumerate(zip(first, second))
        for name in a
        if name in b and not same(a[name][rows], b[name][rows])
    ]


def refusal(kind: type[Exception], call: Callable[[], object]) -> str:
    """Why ``call`` does not raise ``kind``, as the end of a sentence; empty if it does."""
    try:
        call()
    except kind:
        return ""
    except Exception as error:
        return f"it raised {described(error)}"
    return "it was accepted"


@contextmanager
def calling(call: str) -> Iterator[None]:
    """Turn any exception of the block into an ``AssertionError`` that says what raised it, and where."""
    try:
        yield
    except Exception as error:
        raise AssertionError(f"{call} raised {described(error)}.") from error


# --- what was returned ------------------------------------------------------------------------------------------------


def _reset(env: VecEnv, seed: int | None = None) -> dict[str, Any]:
    call = "env.reset()" if seed is None else f"env.reset(seed={seed})"
    with calling(call):
        returned = env.reset() if seed is None else env.reset(seed=seed)
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise AssertionError(
            f"{call} must return a tuple of two, observations and an info dictionary; it returned {_kind(returned)}."
        )
    observations, info = returned
    if has_critic(env):
        if not isinstance(info, dict) or list(info) != ["critic_observations"]:
            raise AssertionError(
                f"{call} must return an info dictionary that holds critic_observations and nothing else, not "
                f"{info!r}, because single_critic_observation_space is not None."
            )
        return {"observations": observations, CRITIC: info["critic_observations"]}
    if info != {}:
        raise AssertionError(f"{call} must return the observations and an empty info dictionary, not {info!r}.")
    return {"observations": observations}


def _step(env: VecEnv, actions: Tensor) -> dict[str, Any]:
    with calling(f"env.step(actions), with float32 actions of shape {tuple(actions.shape)} within [-1, 1],"):
        returned: Any = env.step(actions)
    if not isinstance(returned, tuple) or len(returned) != 5:
        raise AssertionError(
            "env.step(actions) must return a tuple of five, observations, rewards, terminated, truncated and info; it "
            f"returned {_kind(returned)}."
        )
    *values, info = returned
    if not isinstance(info, dict):
        raise AssertionError(f"The fifth value that env.step returns, info, must be a dictionary; it is {_kind(info)}.")
    named = dict(zip(SHAPES, values))
    for name in ("final_observation", "outcome", "reward_terms", "critic_observations"):
        if name in info:
            named[f"info[{name!r}]"] = info[name]
    if CRITIC in named and not has_critic(env):
        raise AssertionError(
            "info holds critic_observations, but single_critic_observation_space is None, so they would be ignored. "
            "Set the space, or leave them out."
        )
    return named


def _shape(env: VecEnv, axes: str) -> tuple[int, ...] | None:
    """The shape that symbolic axes stand for; ``None`` if the environment lacks the attribute that gives it."""
    sizes = {"N": env.num_envs, "F": axis_of(env, "single_observation_space")}
    if has(env, "reward_names"):
        sizes["T"] = len(env.reward_names)
    if has_critic(env):
        sizes["Fc"] = axis_of(env, "single_critic_observation_space")
    names = re.findall(r"\w+", axes)
    return tuple(sizes[name] for name in names) if all(name in sizes for name in names) else None


def _judged(
    value: Any, axes: str, shape: tuple[int, ...] | None, dtype: torch.dtype, env: VecEnv
) -> tuple[str, Tensor | None]:
    """What ``value`` must be, as the end of a sentence, or empty if it is correct; and a tensor if it is usable."""
    if not isinstance(value, Tensor):
        try:
            tensor = torch.as_tensor(value)
        except (TypeError, ValueError, RuntimeError):
            return f"a torch.Tensor of shape {axes}, not {_kind(value)}", None
        usable = tensor if shape in (None, tuple(tensor.shape)) else None
        return f"a torch.Tensor of shape {axes}, not {_kind(value)}: convert it with torch.as_tensor", usable
    if shape is not None and tuple(value.shape) != shape:
        return f"of shape {axes} = {shape}, not {tuple(value.shape)}", None
    if value.is_meta or not _same_device(value.device, torch.device(env.device)):
        return f"on env.device={env.device}, not on {value.device}", None if value.is_meta else value
    if value.dtype != dtype:
        return f"{dtype}, not {value.dtype}", value
    if value.requires_grad:
        return "without a gradient: run step under torch.no_grad(), or detach() it", value
    return "", value


def _same_device(one: torch.device, other: torch.device) -> bool:
    return one.type == other.type and (one.index == other.index or None in (one.index, other.index))


def _as_tensor(name: str, value: Any) -> Tensor:
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise AssertionError(f"{name} must be a torch.Tensor, not {_kind(value)}.") from None


def axis_of(env: VecEnv, space: str) -> int:
    """The size of a space with one axis. Raises ``AssertionError`` if it has another number of axes."""
    shape = getattr(getattr(env, space), "shape", None)
    if not isinstance(shape, tuple) or len(shape) != 1:
        raise AssertionError(f"{space} must be a box with one axis, of shape (n,); its shape is {shape}.")
    return int(shape[0])


def has(env: VecEnv, name: str) -> bool:
    """Whether the environment has an attribute or method, and it is not ``None``."""
    return getattr(env, name, None) is not None


def has_critic(env: VecEnv) -> bool:
    """Whether the environment has critic observations."""
    return has(env, "single_critic_observation_space")


def _kind(value: Any) -> str:
    """Describe a value in a few words."""
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, (np.ndarray, Tensor)):
        return f"a {type(value).__module__}.{type(value).__name__} of shape {tuple(value.shape)} and {value.dtype}"
    return "None" if value is None else f"{type(value).__name__} {value!r}"[:80]


_NOT_THE_AUTHORS = (str(Path(__file__).parent), str(Path(torch.__file__).parent))


def described(error: BaseException) -> str:
    """Type, message and the line of the environment's own code in which it happened."""
    frames = [
        each for each in traceback.extract_tb(error.__traceback__) if not each.filename.startswith(_NOT_THE_AUTHORS)
    ]
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"
