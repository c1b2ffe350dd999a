"""The evaluation loop: play games and count them exactly."""

import statistics
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Callable, Dict, List, Optional, Sequence

import torch

from dexhand.core.interfaces import Policy, VecEnv
from dexhand.core.stop import StopRequest


@dataclass(frozen=True)
class Game:
    """One finished episode."""

    number: int
    """1, 2, 3 ... in the order of finishing."""
    env_id: int
    episode_return: float
    length: int
    """Control steps."""
    outcome: str
    """``success:<criterion>``, ``failure:<criterion>`` or ``timeout``."""

    def to_dict(self) -> Dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Summary:
    """Statistics over games."""

    games: int
    mean_return: Optional[float]
    std_return: Optional[float]
    """Standard deviation of the population of games played."""
    mean_length: Optional[float]
    success_rate: Optional[float]
    outcomes: Dict[str, int]
    """Games by how they ended."""

    @classmethod
    def of(cls, games: Sequence[Game]) -> "Summary":
        """Summarise; with no games every mean is ``None``."""
        if not games:
            return cls(0, None, None, None, None, {})
        returns = [game.episode_return for game in games]
        return cls(
            games=len(games),
            mean_return=statistics.fmean(returns),
            std_return=statistics.pstdev(returns),
            mean_length=statistics.fmean(game.length for game in games),
            success_rate=sum(game.outcome.startswith("success") for game in games) / len(games),
            outcomes=dict(Counter(game.outcome for game in games)),
        )

    def to_dict(self) -> Dict[str, Any]:
        """Plain values."""
        return asdict(self)


class EvalLoop:
    """Plays a policy for a given number of games.

    The games are shared out evenly before the first step: each environment plays its share and no more, so an
    environment with short episodes contributes no more games than the others.
    """

    def __init__(self, env: VecEnv, policy: Policy, *, games: int, on_game: Callable[[Game], None]) -> None:
        """``on_game`` is told of each game as it finishes."""
        self.env = env
        self.policy = policy
        self.on_game = on_game
        self._left = [games // env.num_envs + (i < games % env.num_envs) for i in range(env.num_envs)]

    def run(self, stop: StopRequest, seed: Optional[int] = None) -> List[Game]:
        """Play until all games are finished or a stop is requested; returns the finished games."""
        env = self.env
        games: List[Game] = []
        returns = torch.zeros(env.num_envs, dtype=torch.float64, device=env.device)
        lengths = torch.zeros(env.num_envs, dtype=torch.int64, device=env.device)
        observations, _ = env.reset(seed=seed)
        while any(self._left) and not stop.requested:
            observations, rewards, terminated, truncated, info = env.step(self.policy.act(observations))
            returns += rewards
            lengths += 1
            done = terminated | truncated
            for env_id in done.nonzero().flatten().tolist():
                if self._left[env_id]:
                    self._left[env_id] -= 1
                    outcome = env.outcome_names[int(info["outcome"][env_id])]
                    game = Game(len(games) + 1, env_id, float(returns[env_id]), int(lengths[env_id]), outcome)
                    games.append(game)
                    self.on_game(game)
            returns.masked_fill_(done, 0.0)
            lengths.masked_fill_(done, 0)
        return games
