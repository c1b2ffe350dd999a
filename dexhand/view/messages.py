"""What a run tells the process that makes its page; strings are the run's name, and episodes are told as they are.

In the other direction go small JSON objects, since that process talks to browsers: see ``LiveView``.
"""

from dataclasses import dataclass

from dexhand.core.interfaces import Frame, Shape

MAX_SHOWN = 64
"""Environments that are shown at the same time."""


@dataclass(frozen=True)
class Settings:
    """The first message."""

    title: str
    token: str | None
    """Demanded from visitors; ``None`` = every process of this machine may watch."""
    num_envs: int
    reward_names: tuple[str, ...]
    has_success: bool
    """Whether an episode can succeed."""
    shapes: tuple[Shape, ...]
    control_dt: float
    """Simulated seconds per step."""
    speed: float | None
    """See ``PlayControl.speed``; ``None`` for a training, which cannot be controlled."""


@dataclass(frozen=True)
class Moment:
    """One frame, on request."""

    env_ids: tuple[int, ...]
    frame: Frame
    reward_terms: list[float]
    """Of the chosen environment in its last step; empty if there was none."""
    steps: int
    """Control steps so far, summed over environments."""


@dataclass(frozen=True)
class Policy:
    """A checkpoint that takes over; see ``LoadedPolicy``."""

    name: str
    iteration: int
    age: float
    load_seconds: float


@dataclass(frozen=True)
class Scalars:
    """Metrics of a training."""

    values: dict[str, float]
