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
        """Call the factory; skip the checks that need another number of environments."""
        if num_envs != TestEnvironment.num_envs:
            pytest.skip("the factory takes no number of environments, so other numbers cannot be checked")
        return self._factory()


class TestEnvironment(VecEnvConformance):
    """The suite for ``--dexhand-env``; methods in ``OPTIONAL`` may be missing."""

    optional = tuple(OPTIONAL)
    factory: Callable[[int], Any]
    """Set by ``EnvOption``."""

    def make_env(self, num_envs: int) -> VecEnv:
        """See ``VecEnvConformance``."""
        env: VecEnv = self.factory(num_envs)
        return env
