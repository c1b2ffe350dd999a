"""The suite that ``--dexhand-env`` collects."""

from collections.abc import Callable
from typing import Any

import pytest

from dexhand.core.interfaces import VecEnv
from dexhand.testing.vec_env import VecEnvConformance
from dexhand.testing.vec_env_harness import OPTIONAL


class FixedNumber:
    """A factory without parameters: it decides how many environments there are."""

    def __init__(self, factory: Callable[[], Any]) -> None:
        self._factory = factory

    def __call__(self, num_envs: int) -> Any:
        """However many it makes; skips the checks that need another number."""
        if num_envs != TestEnvironment.num_envs:
            pytest.skip("the factory takes no number of environments, so no other number could be checked")
        return self._factory()


class TestEnvironment(VecEnvConformance):
    """The environment of ``--dexhand-env``; what only trainings need may be missing."""

    optional = tuple(OPTIONAL)
    factory: Callable[[int], Any]
    """Set by ``EnvOption``."""

    def make_env(self, num_envs: int) -> VecEnv:
        """See ``VecEnvConformance``."""
        env: VecEnv = self.factory(num_envs)
        return env
