"""Clauses about motion and contact."""

import math

import torch
from torch import Tensor

from dexhand.core import quaternions as quat
from dexhand.hand_env.interfaces import Simulator
from dexhand.testing.scenes import (
    GRAVITY,
    SMALL_BOX,
    boxes_at,
    dof_rows,
    pointing_down,
    pressed_finger,
    random_targets,
    reference_of,
)
from dexhand.testing.simulator_harness import (
    SimulatorHarness,
    Snapshot,
    play,
    put,
    rough_start,
    snapshot,
    steps_in,
    worst,
)

BASE_REACH = (0.2, -0.15, 0.1, 0.4, -0.3, 0.5)
"""A target in which all base joints move, m and rad."""


class MotionClauses(SimulatorHarness):
    """Joints, bodies and their velocities."""

    def test_quaternions_are_unit_length(self) -> None:
        """Quaternions of bodies and objects keep unit length during motion."""
        with self.simulator() as sim:
            rough_start(sim, steps=30)
            for name in ("body_quat", "object_quat"):
                error = worst(getattr(sim.state, name).norm(dim=-1) - 1)
                assert error < 1e-5, f"{name} is not of unit length; the largest error is {error:.2g}."

    def test_dof_velocities_match_finite_differences(self) -> None:
        """Joint velocities are the rates at which joint positions change."""
        with self.simulator() as sim:
            for before, after in _reaching(sim):
                self._check_rate(
                    "dof_vel", after["dof_pos"] - before["dof_pos"], before["dof_vel"], after["dof_vel"], sim
                )

    def test_body_linear_velocities_match_finite_differences(self) -> None:
        """Linear velocities are those of the bodies' origins, in the environment's frame."""
        with self.simulator() as sim:
            for before, after in _reaching(sim):
                moved = after["body_pos"] - before["body_pos"]
                self._check_rate("body_linvel", moved, before["body_linvel"], after["body_linvel"], sim)

    def test_body_angular_velocities_match_finite_differences(self) -> None:
        """Angular velocities are in the environment's frame, not the body's."""
        with self.simulator() as sim:
            for before, after in _reaching(sim):
                turned = quat.multiply(after["body_quat"], quat.conjugate(before["body_quat"]))
                moved = quat.to_rotation_vector(turned)
                self._check_rate("body_angvel", moved, before["body_angvel"], after["body_angvel"], sim)

    def test_object_velocities_match_finite_differences(self) -> None:
        """Velocities of a box that tips over are those of its centre, in the environment's frame."""
        with self.simulator() as sim:
            yaw, tilt = torch.tensor((0.0, 0.0, 1.2)), torch.tensor((0.0, 0.3, 0.0))
            rotation = quat.multiply(quat.from_rotation_vector(yaw), quat.from_rotation_vector(tilt))
            pose = boxes_at(sim, quat=tuple(rotation.tolist()))
            # the large box stands on an edge
            pose[:, 0, 2] = self.scene.objects[0].size[2] / 2 * (math.cos(0.3) + math.sin(0.3))
            put(sim, object_pose=pose)
            for before, after in _pairs(sim, dof_rows(sim), first=steps_in(sim, 0.04), count=4):
                moved = (after["object_pos"] - before["object_pos"])[:, :1]
                velocities = before["object_linvel"][:, :1], after["object_linvel"][:, :1]
                self._check_rate("object_linvel", moved, *velocities, sim)
                turned = quat.multiply(after["object_quat"], quat.conjugate(before["object_quat"]))
                velocities = before["object_angvel"][:, :1], after["object_angvel"][:, :1]
                self._check_rate("object_angvel", quat.to_rotation_vector(turned)[:, :1], *velocities, sim)

    def _check_rate(self, name: str, moved: Tensor, before: Tensor, after: Tensor, sim: Simulator) -> None:
        """The mean of two successive velocities is the mean rate between them."""
        fastest = max(worst(before), worst(after), 1e-3)
        error = worst(moved / sim.control_dt - (before + after) / 2) / fastest
        assert error < self.velocity_tolerance, (
            f"{name} differs from the finite difference of positions by {error:.0%} of the largest velocity."
        )

    def test_body_poses_belong_to_the_joint_positions(self) -> None:
        """Body poses match the joint positions of the same state, also in motion."""
        with self.simulator() as sim:
            play(sim, random_targets(sim, steps=6))
            moving = snapshot(sim.state)
            put(sim, moving["dof_pos"])
            error = worst(sim.state.body_pos - moving["body_pos"])
            assert error < self.pose_tolerance, f"Bodies are {error:.2g} m away from where dof_pos puts them."

    def test_targets_are_reached_and_held(self) -> None:
        """Joints arrive at a target within the settling time and stay there."""
        with self.simulator() as sim:
            targets = _reach(sim, (0.1, -0.1, 0.1, 0.1, -0.1, 0.1), 0.5)
            for moment in ("reached", "held"):
                self.settle(sim, targets)
                errors = (sim.state.dof_pos - targets).abs().amax(0)
                name, off = self.hand.dof_names[int(errors.argmax())], worst(errors)
                assert off < self.dof_tolerance, f"{name} has not {moment} its target; it is {off:.2g} away."

    def test_targets_beyond_the_limits_are_clamped(self) -> None:
        """A target outside the joint limits acts like the limit itself."""
        with self.simulator() as sim:
            lower, upper = sim.dof_limits.unbind(-1)
            side = torch.tensor((True, False, True, False), device=sim.device)[:, None]
            at_limit = play(sim, torch.where(side, upper, lower).expand(5, -1, -1))
            put(sim)
            beyond = play(sim, torch.where(side, upper + 2, lower - 2).expand(5, -1, -1))
            error = worst(at_limit["dof_pos"] - beyond["dof_pos"])
            assert error == 0, (
                f"Targets beyond the limits move joints {error:.2g} further than targets at the limits: clamp them."
            )

    def test_each_target_moves_its_own_joint(self) -> None:
        """Target number d moves joint number d, upwards, and hardly any other."""
        limits = reference_of(self.hand).dof_limits
        movable = [index for index, upper in enumerate(limits[:, 1].tolist()) if upper > 0.01]
        middle = limits.mean(dim=1)
        with self.simulator(num_envs=len(movable)) as sim:
            start = middle.to(sim.device).repeat(sim.num_envs, 1)
            targets = start.clone()
            for env, index in enumerate(movable):
                targets[env, index] += 0.05
            put(sim, start)
            self.settle(sim, targets)
            moved = sim.state.dof_pos - start
            for env, index in enumerate(movable):
                name, own = self.hand.dof_names[index], float(moved[env, index])
                assert 0.025 < own < 0.075, (
                    f"The target of {name} was raised by 0.05, but the joint moved by {own:.3f}."
                )
                others = moved[env].abs()
                others[index] = 0
                other = self.hand.dof_names[int(others.argmax())]
                assert worst(others) < 0.02, f"Raising the target of {name} moved {other} by {others.max():.3f}."


class ContactClauses(SimulatorHarness):
    """Gravity and contact forces."""

    def test_a_step_takes_control_dt(self) -> None:
        """A released box falls by g t^2 / 2 in t = steps x control_dt seconds."""
        with self.simulator() as sim:
            start, seconds = self._fall(sim)
            fallen = start[..., 2] - sim.state.object_pos[..., 2]
            exact = GRAVITY * seconds**2 / 2
            assert worst(fallen / exact - 1) < self.fall_tolerance, (
                f"Boxes fell {float(fallen.mean()):.4f} m in {seconds:.3f} s, but {exact:.4f} m is expected: a step "
                "must take control_dt."
            )
            sideways = worst(sim.state.object_pos[..., :2] - start[..., :2])
            assert sideways < 1e-4, f"Falling boxes drifted sideways by {sideways:.2g} m."

    def test_falling_boxes_gain_downward_velocity(self) -> None:
        """A released box has velocity -g t."""
        with self.simulator() as sim:
            _, seconds = self._fall(sim)
            velocity = sim.state.object_linvel[..., 2]
            assert worst(velocity / (-GRAVITY * seconds) - 1) < self.fall_tolerance, (
                f"After {seconds:.3f} s boxes fall at {float(velocity.mean()):.3f} m/s,"
                f" but {-GRAVITY * seconds:.3f} m/s is expected."
            )

    def test_falling_boxes_feel_no_contact(self) -> None:
        """In free fall the contact force on a box is 0: gravity does not count as contact."""
        with self.simulator() as sim:
            self._fall(sim)
            force = worst(sim.state.object_contact_force)
            assert force == 0, f"Boxes in free fall report a contact force of {force:.3g} N instead of 0."

    def test_resting_boxes_stay_where_they_are(self) -> None:
        """A box on the ground neither sinks in nor moves."""
        with self.simulator() as sim:
            start = sim.state.object_pos.clone()
            self.settle(sim, dof_rows(sim))
            moved = worst(sim.state.object_pos - start)
            assert moved < 0.002, f"Boxes at rest on the ground moved by {moved:.2g} m."
            speed = worst(sim.state.object_linvel)
            assert speed < 0.01, f"Boxes at rest on the ground report a velocity of {speed:.2g} m/s."

    def test_resting_boxes_feel_their_weight(self) -> None:
        """The net contact force on a box at rest is its weight, upwards."""
        with self.simulator() as sim:
            self.settle(sim, dof_rows(sim))
            for index, box in enumerate(self.scene.objects):
                weight = box.mass * GRAVITY
                force = sim.state.object_contact_force[:, index]
                expected = torch.tensor((0.0, 0.0, weight), device=sim.device)
                assert worst(force - expected) < self.weight_tolerance * weight, (
                    f"The contact force on {box.name} is {force[0].tolist()} N, but it rests on the ground and "
                    f"weighs {weight:.3f} N."
                )

    def test_fingers_in_the_air_feel_nothing(self) -> None:
        """The contact force on a link that touches nothing is exactly 0."""
        with self.simulator() as sim:
            self.settle(sim, dof_rows(sim, **{self.hand.base_joints[0]: 0.05}))
            force = worst(sim.state.contact_force)
            assert force == 0, f"The hand touches nothing, but a contact force of {force:.3g} N is reported."

    def test_the_ground_pushes_fingers_upwards(self) -> None:
        """The force reported for a link is the one that acts on it: the ground pushes it up."""
        with self.simulator() as sim:
            self.press(sim)
            for env in range(sim.num_envs):
                finger = self.hand.fingers[pressed_finger(self.hand, env)]
                force = float(sim.state.contact_force[env, self.scene.contact_bodies.index(finger.contact), 2])
                assert force > 0.1, (
                    f"{finger.name} is pressed to the ground, but its upward contact force is {force:.3g} N."
                )

    def test_contact_is_reported_for_the_link_that_touches(self) -> None:
        """contact_force has the order of scene.contact_bodies, and only links in contact feel a force."""
        with self.simulator() as sim:
            self.press(sim)
            for env in range(sim.num_envs):
                finger = self.hand.fingers[pressed_finger(self.hand, env)]
                forces = sim.state.contact_force[env].norm(dim=-1).tolist()
                felt = {body for body, force in zip(self.scene.contact_bodies, forces) if force > 0}
                assert felt == {finger.contact}, (
                    f"Only {finger.contact} touches the ground, but contact is reported for "
                    f"{sorted(felt) or 'no link'}."
                )

    def test_a_held_box_weighs_on_the_fingers(self) -> None:
        """The forces on a box held still in the air add up to its weight, and those on the fingers to the opposite."""
        with self.simulator() as sim:
            self.pick_up(sim)
            index, weight = self.scene.objects.index(SMALL_BOX), SMALL_BOX.mass * GRAVITY
            height = float(sim.state.object_pos[:, index, 2].min())
            assert height > 0.06, f"The small box was pinched and lifted by 5 cm, but its centre is at {height:.3f} m."
            expected = torch.tensor((0.0, 0.0, weight), device=sim.device)
            on_box, on_fingers = sim.state.object_contact_force[:, index], sim.state.contact_force.sum(dim=1)
            for what, force, sign in (("the box", on_box, 1), ("the fingers", on_fingers, -1)):
                assert worst(force - sign * expected) < self.weight_tolerance * weight, (
                    f"The box held in the air weighs {weight:.3f} N, but the force on {what} is {force[0].tolist()} N."
                )

    def _fall(self, sim: Simulator) -> tuple[Tensor, float]:
        """Let boxes fall for about 0.2 s; returns their starting positions and the exact time."""
        put(sim, pointing_down(sim, depth=-0.3), boxes_at(sim, height=0.5))
        start = sim.state.object_pos.clone()
        steps = steps_in(sim, 0.2)
        for _ in range(steps):
            sim.step(pointing_down(sim, depth=-0.3))
        return start, steps * sim.control_dt


def _reaching(sim: Simulator) -> list[tuple[Snapshot, Snapshot]]:
    """Successive states of a movement of the whole hand, once its sudden start is over."""
    targets = _reach(sim, BASE_REACH, 0.6)
    targets[1:, 0] = -0.1
    return _pairs(sim, targets, first=steps_in(sim, 0.04), count=3)


def _reach(sim: Simulator, base: tuple[float, ...], bend: float) -> Tensor:
    """Joint targets (N, D): the base joints at ``base``, fingers that can bend by 1 rad at ``bend``, others at 0."""
    targets = torch.where(reference_of(sim.scene.hand).dof_limits[:, 1] > 1.0, bend, 0.0)
    targets[: len(base)] = torch.tensor(base)
    return targets.to(sim.device).repeat(sim.num_envs, 1)


def _pairs(sim: Simulator, targets: Tensor, first: int, count: int) -> list[tuple[Snapshot, Snapshot]]:
    states = []
    for _ in range(first + count):
        sim.step(targets)
        states.append(snapshot(sim.state))
    return list(zip(states[first - 1 : -1], states[first:]))
