"""The simulator's conformance suite rejects every simulator that breaks a clause."""

import pytest
from faulty_simulators import FAULTS
from planted import checks_of, reject

from dexhand.hand_env.interfaces import Scene
from dexhand.mock.simulator import MockSimulator
from dexhand.testing.simulator import SimulatorConformance

CHECKS = checks_of(SimulatorConformance)


def suite_for(fault: type[MockSimulator]) -> SimulatorConformance:
    class Suite(SimulatorConformance):
        def make_simulator(self, scene: Scene, num_envs: int) -> MockSimulator:
            return fault(scene, num_envs, 0.01)

    return Suite()


@pytest.mark.parametrize(("fault", "check"), FAULTS.cases())
def test_a_faulty_simulator_is_rejected(fault: type[MockSimulator], check: str) -> None:
    """The check that a fault is planted for fails, with a whole sentence."""
    reject(suite_for(fault), check)


def test_every_check_is_proven_by_a_fault() -> None:
    """No check of the suite can pass because it looks at nothing: each has a fault that it finds."""
    assert FAULTS.checks() == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_says_what_it_demands(check: str) -> None:
    """Each check states its clause as a sentence."""
    assert (getattr(SimulatorConformance, check).__doc__ or "").strip().endswith(".")
