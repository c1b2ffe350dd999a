"""Numbers and returns of the episodes that are watched."""

from dataclasses import dataclass

import torch

from dexhand.core.interfaces import StepInfo


@dataclass(frozen=True)
class Counts:
    """How far the first environments are; one element per environment."""

    episodes: list[int]
    """Numbers of the episodes under way, from 1."""
    returns: list[float]
    """Their returns so far."""
    last_returns: list[float]
    """Returns of the episodes before them; 0 in the first one."""

    def caption(self, env_id: int) -> str:
        """Describe the episode of an environment in a line."""
        return f"episode {self.episodes[env_id]}   return {self.returns[env_id]:.2f}"


class EpisodeCounts:
    """A ``StepListener`` that counts on the environments' device, so that no step waits for a result."""

    def __init__(self, num_envs: int, device: torch.device) -> None:
        """``num_envs``: how many environments to count, from the first one on."""
        self._episodes = torch.ones(num_envs, device=device)
        self._returns, self._last_returns = torch.zeros(2, num_envs, device=device)

    def on_env_step(self, info: StepInfo | None) -> None:
        """See ``StepListener``."""
        if info is None:
            self._returns.zero_()
            return
        watched = len(self._episodes)
        ended = info["outcome"][:watched] >= 0
        self._returns += info["reward_terms"][:watched].sum(dim=1)
        self._last_returns = torch.where(ended, self._returns, self._last_returns)
        self._returns.masked_fill_(ended, 0.0)
        self._episodes += ended

    def now(self) -> Counts:
        """Copy the counts, which waits for the device."""
        episodes, returns, last = torch.stack((self._episodes, self._returns, self._last_returns)).tolist()
        return Counts([int(number) for number in episodes], returns, last)
