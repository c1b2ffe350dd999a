"""The simulators with hands other than the right one: the clauses of the contract in which the hand matters."""

from pathlib import Path

from dexhand.config.schema import SimConfig
from dexhand.hand_env.interfaces import Scene, Simulator
from dexhand.hands.spec import load_hand
from dexhand.mock.simulator import MockSimulator
from dexhand.sim.mujoco import MujocoSimulator
from dexhand.testing.scenes import RIGHT_PINCH, Pinch
from dexhand.testing.simulator_motion import ContactClauses, MotionClauses
from dexhand.testing.simulator_state import ResetClauses, StateClauses

FOUR_FINGER = Path(__file__).parents[2] / "hands" / "four_finger"


class HandClauses(StateClauses, ResetClauses, MotionClauses, ContactClauses):
    """All but what a hand cannot change: repeating, saving, varying the physics, drawing."""


class TestLeftHand(HandClauses):
    hand = load_hand("dexhand021_left")
    pinch = RIGHT_PINCH.mirrored()

    def make_simulator(self, scene: Scene, num_envs: int) -> MujocoSimulator:
        return MujocoSimulator(scene, num_envs, SimConfig(), control_decimation=2)


class TestFourFingersOnTheMock(HandClauses):
    hand = load_hand(str(FOUR_FINGER))
    pinch = Pinch(
        base={"move_z": -0.391},
        fingers={
            "thumb_turn": 1.57,
            "index_bend": 0.41,
            "index_curl": 0.645,
            "middle_bend": 0.41,
            "middle_curl": 0.645,
        },
        closing=("index_bend", "middle_bend"),
        box=(0.132, 0.015, 0.0),
    )

    def make_simulator(self, scene: Scene, num_envs: int) -> Simulator:
        return MockSimulator(scene, num_envs, control_dt=0.01)


class TestFourFingersOnMujoco(TestFourFingersOnTheMock):
    def make_simulator(self, scene: Scene, num_envs: int) -> Simulator:
        return MujocoSimulator(scene, num_envs, SimConfig(), control_decimation=2)
