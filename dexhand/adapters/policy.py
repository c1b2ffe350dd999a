"""A trained policy for programs of one's own."""

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from dexhand.core.interfaces import Policy

Array = TypeVar("Array", np.ndarray, Tensor)


class ArrayPolicy:
    """The policy that ``dexhand.load_policy`` returns."""

    def __init__(self, policy: Policy, *, task: str, iteration: int, num_observations: int, num_actions: int) -> None:
        """``policy`` acts on the CPU."""
        self.task = task
        """What it was trained for: ``BlindGrasping``, or ``HalfCheetah-v5``."""
        self.iteration = iteration
        """Iterations of its training."""
        self.num_observations, self.num_actions = num_observations, num_actions
        self._policy = policy

    def act(self, observations: Array) -> Array:
        """Return the actions (N, A), between -1 and 1, for observations (N, F), or (A,) for one observation (F,).

        The actions are a tensor or a NumPy array (float32), as the observations are. Raises ``ValueError`` for
        observations of another size, or that are not finite.
        """
        given = torch.as_tensor(observations, dtype=torch.float32, device="cpu")
        if given.ndim not in (1, 2) or given.shape[-1] != self.num_observations:
            raise ValueError(
                f"observations have the shape {tuple(given.shape)}; the policy for {self.task} takes "
                f"({self.num_observations},) or (N, {self.num_observations})"
            )
        if not bool(given.isfinite().all()):
            raise ValueError("observations are not finite")
        actions = self._policy.act(given.reshape(-1, self.num_observations)).reshape(*given.shape[:-1], -1)
        return actions if isinstance(observations, Tensor) else actions.numpy()
