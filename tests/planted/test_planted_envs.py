"""The environment's conformance suite rejects every environment that breaks a clause."""

from typing import Any

import pytest
from faulty_envs import FAULTS, SOUND
from planted import checks_of, reject

from dexhand.core.interfaces import VecEnv
from dexhand.mock.env import MockEnv
from dexhand.testing.vec_env import VecEnvConformance


def suite_for(made: type[MockEnv]) -> VecEnvConformance:
    """The suite on one kind of environment."""

    class Suite(VecEnvConformance):
        max_steps = 200
        optional = ("state_dict", "load_state_dict") if made.state_dict is None else ()

        def make_env(self, num_envs: int) -> VecEnv:
            return made(num_envs)

    return Suite()


@pytest.mark.parametrize(("fault", "check"), FAULTS.cases())
def test_a_faulty_environment_is_rejected(fault: type[Any], check: str) -> None:
    """By the check that is there for it, with a whole sentence."""
    reject(suite_for(fault), check)


@pytest.mark.parametrize("check", checks_of(VecEnvConformance))
@pytest.mark.parametrize("sound", SOUND)
def test_the_check_passes_a_sound_environment(sound: type[MockEnv], check: str) -> None:
    """So that it was the fault that made it fail."""
    getattr(suite_for(sound), check)()


def test_every_check_is_proven_by_a_fault() -> None:
    """No check of the suite can pass because it looks at nothing: each has a fault that it finds."""
    assert FAULTS.checks() == set(checks_of(VecEnvConformance))
