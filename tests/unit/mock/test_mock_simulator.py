"""MockSimulator: the contract, and what only the mock promises."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dexhand.core import quaternions as quat
from dexhand.hand_env.interfaces import Box, Camera, Scene
from dexhand.mock.boxes import CONTACT_STIFFNESS, SKIN
from dexhand.mock.simulator import MockSimulator
from dexhand.testing.scenes import RIGHT_HAND, dof_rows
from dexhand.testing.simulator import SimulatorConformance

DT = 0.01
BOX = Box("box", size=(0.08, 0.08, 0.08), mass=0.2)
PINCH: dict[str, float] = {
    "r_f_joint1_1": 0.67,
    "r_f_joint1_2": 0.82,
    "r_f_joint1_3": 0.25,
    "r_f_joint1_4": 0.25,
    "r_f_joint2_2": 0.78,
    "r_f_joint2_3": 0.22,
    "r_f_joint2_4": 0.22,
}
"""Thumb and index pads about 5 cm apart, facing each other."""


class TestMockSimulator(SimulatorConformance):
    def make_simulator(self, scene: Scene, num_envs: int) -> MockSimulator:
        return MockSimulator(scene, num_envs, control_dt=DT)


def make(num_envs: int = 1, **changes: object) -> MockSimulator:
    scene = Scene(
        RIGHT_HAND,
        bodies=(RIGHT_HAND.palm, *RIGHT_HAND.fingerpads),
        contact_bodies=RIGHT_HAND.contact_bodies,
        objects=(BOX,),
        **changes,
    )
    return MockSimulator(scene, num_envs, control_dt=DT)


def put(sim: MockSimulator, dof_pos: torch.Tensor, position: torch.Tensor) -> None:
    pose = torch.cat((position, torch.tensor([0.0, 0.0, 0.0, 1.0]))).expand(sim.num_envs, 1, 7)
    sim.reset(torch.ones(sim.num_envs, dtype=torch.bool), dof_pos, pose)


def grasped() -> MockSimulator:
    """A box in the air between thumb and index, one step after reset."""
    sim = make()
    put(sim, dof_rows(sim, **PINCH), torch.zeros(3))
    thumb, index = sim.state.body_pos[0, 1], sim.state.body_pos[0, 2]
    put(sim, dof_rows(sim, **PINCH), (thumb + index) / 2)
    sim.step(dof_rows(sim, **PINCH))
    return sim


class TestJoints:
    @settings(max_examples=20, deadline=None)
    @given(start=st.floats(-0.9, 0.9), target=st.floats(-0.9, 0.9), steps=st.integers(1, 20))
    def test_joints_follow_as_a_first_order_lag(self, start: float, target: float, steps: int) -> None:
        """The distance to the target shrinks by e for each time constant, and velocity is its exact derivative."""
        sim = make()
        put(sim, dof_rows(sim, ARTx=start), torch.tensor([1.0, 1.0, 0.1]))
        for _ in range(steps):
            sim.step(dof_rows(sim, ARTx=target))
        distance = (start - target) * math.exp(-steps * DT / sim.time_constant)
        assert sim.state.dof_pos[0, 0].item() == pytest.approx(target + distance, abs=1e-6)
        assert sim.state.dof_vel[0, 0].item() == pytest.approx(-distance / sim.time_constant, abs=1e-4)

    def test_substeps_change_no_motion(self) -> None:
        """The motion is exact however finely a step is divided."""
        coarse = make()
        fine = MockSimulator(coarse.scene, 1, control_dt=DT, substeps=10)
        for sim in (coarse, fine):
            put(sim, dof_rows(sim), torch.tensor([1.0, 1.0, 0.5]))
            for _ in range(10):
                sim.step(dof_rows(sim, ARRz=0.5, r_f_joint2_2=1.0))
        assert torch.allclose(coarse.state.dof_pos, fine.state.dof_pos, atol=1e-6)
        assert torch.allclose(coarse.state.object_pos, fine.state.object_pos, atol=1e-6)


class TestBoxes:
    def test_a_box_lands_without_bouncing(self) -> None:
        """A falling box stops dead on the ground, half its height above it."""
        sim = make()
        put(sim, dof_rows(sim), torch.tensor([1.0, 1.0, 0.1]))
        heights = []
        for _ in range(30):
            sim.step(dof_rows(sim))
            heights.append(sim.state.object_pos[0, 0, 2].item())
        assert heights == sorted(heights, reverse=True)
        assert heights[-1] == pytest.approx(0.04, abs=1e-7)
        assert not sim.state.object_linvel.any()

    def test_a_tilted_box_rests_on_its_lowest_corner(self) -> None:
        """The ground stops a box in the orientation in which it arrives."""
        sim = make()
        rotation = quat.from_rotation_vector(torch.tensor([0.0, math.pi / 4, 0.0]))
        pose = torch.cat((torch.tensor([1.0, 1.0, 0.08]), rotation)).expand(1, 1, 7)
        sim.reset(torch.ones(1, dtype=torch.bool), dof_rows(sim), pose)
        for _ in range(30):
            sim.step(dof_rows(sim))
        assert sim.state.object_pos[0, 0, 2].item() == pytest.approx(0.04 * math.sqrt(2), abs=1e-6)
        assert torch.equal(sim.state.object_quat[0, 0], rotation)

    def test_a_box_between_thumb_and_finger_is_carried(self) -> None:
        """A held box keeps its place in the hand's frame, and its velocity is that of the hand there."""
        sim = grasped()
        hand_quat, hand_pos = sim.state.body_quat[0, 0].clone(), sim.state.body_pos[0, 0].clone()
        place = quat.rotate(quat.conjugate(hand_quat), sim.state.object_pos[0, 0] - hand_pos)
        for _ in range(10):
            before, velocity = sim.state.object_pos.clone(), sim.state.object_linvel.clone()
            sim.step(dof_rows(sim, ARTz=0.2, ARRx=0.4, **PINCH))
        carried = quat.rotate(
            quat.conjugate(sim.state.body_quat[0, 0]), sim.state.object_pos[0, 0] - sim.state.body_pos[0, 0]
        )
        assert torch.allclose(carried, place, atol=1e-6)
        assert sim.state.body_pos[0, 0, 2] > hand_pos[2] + 0.15
        mean_velocity = (velocity + sim.state.object_linvel) / 2
        assert torch.allclose((sim.state.object_pos - before) / DT, mean_velocity, atol=0.01)

    def test_an_opened_hand_lets_the_box_fall(self) -> None:
        """Without the thumb's touch nothing holds the box."""
        sim = grasped()
        height = sim.state.object_pos[0, 0, 2].item()
        for _ in range(25):
            sim.step(dof_rows(sim))
        assert sim.state.object_pos[0, 0, 2] < height - 0.1
        assert sim.state.object_linvel[0, 0, 2] < -1

    def test_one_finger_holds_nothing(self) -> None:
        """The thumb alone, without an opposing pad, does not hold a box."""
        sim = make()
        thumb_only = {name: angle for name, angle in PINCH.items() if name.startswith("r_f_joint1")}
        put(sim, dof_rows(sim, **thumb_only), torch.zeros(3))
        put(sim, dof_rows(sim, **thumb_only), sim.state.body_pos[0, 1] - torch.tensor([0.0, 0.0, 0.04]))
        height = sim.state.object_pos[0, 0, 2].item()
        for _ in range(5):
            sim.step(dof_rows(sim, **thumb_only))
        assert sim.state.object_pos[0, 0, 2] < height - 0.01

    def test_a_reset_environment_holds_nothing(self) -> None:
        """Reset takes a held box out of the hand."""
        sim = grasped()
        put(sim, dof_rows(sim), torch.tensor([1.0, 1.0, 0.5]))
        sim.step(dof_rows(sim))
        assert sim.state.object_pos[0, 0, :2].tolist() == [1.0, 1.0]


class TestContact:
    def test_a_pad_in_the_ground_feels_a_spring(self) -> None:
        """Force = stiffness times depth, upwards."""
        sim = make()
        put(sim, dof_rows(sim, ARRy=math.pi / 2, ARTz=-0.23), torch.tensor([1.0, 1.0, 0.04]))
        sim.step(dof_rows(sim, ARRy=math.pi / 2, ARTz=-0.23))
        depth = (-sim.state.body_pos[0, 1:, 2]).clamp(min=0)
        assert depth.max() > 0
        assert torch.allclose(sim.state.contact_force[0, :, 2], CONTACT_STIFFNESS * depth, atol=1e-3)
        assert not sim.state.contact_force[..., :2].any()

    def test_a_pad_on_a_box_is_pushed_out_of_the_nearest_face(self) -> None:
        """A pad 1 mm above a resting box sinks 2 mm into its skin; the box feels the reaction and its weight."""
        sim = make(hand_position=(0.0, 0.0, 0.5))
        down = {"ARRy": math.pi / 2}
        put(sim, dof_rows(sim, **down), torch.tensor([1.0, 1.0, 0.04]))
        middle = sim.state.body_pos[0, 3].clone()
        down["ARTz"] = 0.08 + 0.001 - middle[2].item()
        put(sim, dof_rows(sim, **down), torch.tensor([middle[0].item(), middle[1].item() + 0.035, 0.04]))
        sim.step(dof_rows(sim, **down))
        expected = CONTACT_STIFFNESS * (SKIN - 0.001)
        assert sim.state.contact_force[0, 2].tolist() == pytest.approx([0, 0, expected], abs=0.01)
        total = sim.state.contact_force[0].sum(0) + sim.state.object_contact_force[0, 0]
        assert total.tolist() == pytest.approx([0, 0, BOX.mass * 9.81], abs=1e-4)

    def test_bodies_without_a_pad_feel_nothing(self) -> None:
        """Contact is felt by fingerpads alone, so any other contact body reports 0."""
        sim = MockSimulator(Scene(RIGHT_HAND, contact_bodies=(RIGHT_HAND.palm, "r_f_link3_4")), 1, control_dt=DT)
        targets = dof_rows(sim, ARRy=math.pi / 2, ARTz=-0.4)
        for _ in range(20):
            sim.step(targets)
        assert not sim.state.contact_force[0, 0].any()
        assert sim.state.contact_force[0, 1, 2] > 0


class TestRefusals:
    @pytest.mark.parametrize("key", ["bodies", "contact_bodies"])
    def test_an_unknown_body_is_refused(self, key: str) -> None:
        """A body that the hand does not have is an error that lists those it has."""
        with pytest.raises(ValueError, match=r"no body 'thumb'.*right_hand_base"):
            MockSimulator(Scene(RIGHT_HAND, **{key: ("thumb",)}), 1, control_dt=DT)


class TestPictures:
    def test_pictures_are_reproducible(self) -> None:
        """The same state gives the same picture, pixel for pixel."""
        sim = make()
        assert np.array_equal(sim.render(0, width=80, height=60), sim.render(0, width=80, height=60))

    def test_a_box_appears_where_the_camera_looks(self) -> None:
        """A red box at the camera's target is red in the middle of the picture, and hidden behind a nearer one."""
        red = Box("red", size=(0.1, 0.1, 0.1), mass=1.0, rgba=(1.0, 0.0, 0.0, 1.0))
        green = Box("green", size=(0.1, 0.1, 0.1), mass=1.0, rgba=(0.0, 1.0, 0.0, 1.0))
        camera = Camera("default", position=(0.0, -2.0, 0.2), target=(0.0, 0.0, 0.2))
        sim = MockSimulator(
            Scene(RIGHT_HAND, objects=(green, red), cameras=(camera,), hand_position=(0.0, 0.0, 1.5)), 1, DT
        )

        def middle(green_y: float) -> "list[int]":
            pose = torch.tensor([[[0, green_y, 0.2, 0, 0, 0, 1], [0, 0, 0.2, 0, 0, 0, 1]]])
            sim.reset(torch.ones(1, dtype=torch.bool), dof_rows(sim), pose)
            return sim.render(0, width=64, height=48)[24, 32].tolist()

        assert middle(green_y=1.0).index(max(middle(green_y=1.0))) == 0
        assert middle(green_y=-1.0).index(max(middle(green_y=-1.0))) == 1

    def test_a_camera_can_look_straight_down(self) -> None:
        """A camera above the scene is no special case to the caller."""
        above = Camera("above", position=(0.0, 0.0, 2.0), target=(0.0, 0.0, 0.0))
        picture = MockSimulator(Scene(RIGHT_HAND, cameras=(above,)), 1, DT).render(0, "above", 64, 48)
        assert picture.min() < picture.max()
