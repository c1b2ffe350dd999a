"""Telling listeners about the steps of an environment, whoever makes them, and sinks about videos."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from torch import Tensor

from dexhand.core.episodes import Episode
from dexhand.core.eval_loop import LoadedPolicy
from dexhand.core.interfaces import StepInfo, VecEnv


class StepListener(Protocol):
    """Receives the steps of an environment, in the thread that makes them."""

    def on_env_step(self, info: StepInfo | None) -> None:
        """Called after each step with its ``info``, which is not to be changed, and after a reset with ``None``."""


class Viewer:
    """A ``StepListener``, ``EvalListener`` and ``MetricSink`` of one run that does nothing; base of those that do."""

    def on_env_step(self, info: StepInfo | None) -> None:
        """See ``StepListener``."""

    def on_step(self, frames_done: int) -> None:
        """See ``EvalListener.on_step``."""

    def on_episode(self, episode: Episode) -> None:
        """See ``EvalListener.on_episode``."""

    def on_reload(self, loaded: LoadedPolicy) -> None:
        """See ``EvalListener.on_reload``; also called for the first policy."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See ``MetricSink.scalars``; for a training, which tells of no episodes."""

    def close(self) -> None:
        """See ``MetricSink.close``."""


@runtime_checkable
class VideoSink(Protocol):
    """Receives videos, in a thread of their own."""

    def video(self, path: Path) -> None:
        """Copy a finished MP4 file."""


@runtime_checkable
class ReplaySink(Protocol):
    """Receives replays."""

    def replay(self, path: Path) -> None:
        """Copy a page."""


def watched(env: VecEnv, listeners: Iterable[StepListener]) -> VecEnv:
    """Return ``env`` with ``listeners``, to which more may be added later; see ``WatchedEnv``."""
    return cast(VecEnv, WatchedEnv(env, listeners))


class WatchedEnv:
    """``VecEnv`` that passes everything on to another one and calls listeners after its steps."""

    def __init__(self, env: VecEnv, listeners: Iterable[StepListener]) -> None:
        self._env = env
        self._listeners = listeners

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        """See ``VecEnv.reset``."""
        result = self._env.reset(seed)
        for listener in self._listeners:
            listener.on_env_step(None)
        return result

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, StepInfo]:
        """See ``VecEnv.step``."""
        result = self._env.step(actions)
        for listener in self._listeners:
            listener.on_env_step(result[4])
        return result
