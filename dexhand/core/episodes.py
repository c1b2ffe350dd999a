"""Finished episodes and their statistics."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Episode:
    """One finished episode."""

    number: int
    """1, 2, 3 ... in the order in which episodes finish."""
    env_id: int
    episode_return: float
    length: int
    """Control steps."""
    outcome: str
    """``success:<criterion>``, ``failure:<criterion>`` or ``timeout``."""
    iteration: int
    """Training iterations of the policy that finished it."""
    mixed: bool
    """Whether another policy started it."""


@dataclass(frozen=True)
class Summary:
    """Statistics of finished episodes."""

    episodes: int
    mixed: int
    """Number of episodes that another policy started."""
    mean_return: float | None
    std_return: float | None
    """Population standard deviation."""
    mean_length: float | None
    success_rate: float | None
    outcomes: dict[str, int]
    """Number of episodes of each outcome."""

    @classmethod
    def of(cls, episodes: Iterable[Episode]) -> "Summary":
        """Summarise ``episodes``; without any, all means are ``None``."""
        statistics = Statistics()
        for episode in episodes:
            statistics.add(episode)
        return statistics.summary()

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values; in files the number of episodes is called ``games``."""
        values = asdict(self)
        return {"games": values.pop("episodes"), **values}


class Statistics:
    """Running statistics of episodes, in constant memory."""

    def __init__(self) -> None:
        self.episodes = 0
        self._mixed = 0
        self._mean_return = 0.0
        self._squares = 0.0
        self._steps = 0
        self._successes = 0
        self._outcomes: Counter[str] = Counter()

    def add(self, episode: Episode) -> None:
        """Add an episode; mean and deviation follow Welford's recurrence."""
        self.episodes += 1
        self._mixed += episode.mixed
        deviation = episode.episode_return - self._mean_return
        self._mean_return += deviation / self.episodes
        self._squares += deviation * (episode.episode_return - self._mean_return)
        self._steps += episode.length
        self._successes += episode.outcome.startswith("success")
        self._outcomes[episode.outcome] += 1

    def summary(self) -> Summary:
        """Return the statistics of the episodes so far."""
        if not self.episodes:
            return Summary(0, 0, None, None, None, None, {})
        return Summary(
            episodes=self.episodes,
            mixed=self._mixed,
            mean_return=self._mean_return,
            std_return=math.sqrt(self._squares / self.episodes),
            mean_length=self._steps / self.episodes,
            success_rate=self._successes / self.episodes,
            outcomes=dict(self._outcomes),
        )
