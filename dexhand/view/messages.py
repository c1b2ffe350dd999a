"""What a run tells the process that makes its page; strings are the run's name, and episodes are told as they are.

In the other direction go small JSON objects, since that process talks to browsers: see ``LiveView``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from dexhand.core.interfaces import Frame, Shape
from dexhand.core.statistics import Estimate

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
    folder: str | None
    """Its folder, from which viewers may choose another one; ``None`` = they may not."""


@dataclass(frozen=True)
class Scalars:
    """Metrics of a training."""

    values: dict[str, float]


@dataclass(frozen=True)
class Ended:
    """The last message."""

    what: str
    """``test`` or ``training``."""


@dataclass(frozen=True)
class Comparison:
    """How the policies A and B compare that play side by side."""

    pairs: int
    """Pairs of episodes so far."""
    names: tuple[str, str]
    """What A and B are."""
    rows: Mapping[str, tuple[str, str]]
    """Results of A and B in words, by what was measured."""
    verdicts: tuple[str, ...]
    curves: Mapping[str, tuple[Estimate, Estimate]]
    """The same results in numbers, by the names of curves."""
