"""Simulators with one fault each, and the checks of the conformance suite that must find it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from planted import Faults
from torch import Tensor

from dexhand.config.schema import MujocoConfig, SimConfig
from dexhand.core import quaternions as quat
from dexhand.hand_env.interfaces import Scene, SimState
from dexhand.mock.simulator import MockSimulator
from dexhand.sim.kinematics import BodyPoses
from dexhand.sim.mujoco import MujocoSimulator

FAULTS = Faults()
found_by = FAULTS.found_by


# --- attributes and layout --------------------------------------------------------------------------------------------


@found_by("attributes_say_what_was_asked_for")
class OtherScene(MockSimulator):
    def __init__(self, scene: Scene, num_envs: int, control_dt: float) -> None:
        super().__init__(scene, num_envs, control_dt)
        self.scene = replace(scene, ground_friction=0.1)


@found_by("state_has_the_stated_shapes")
class ForceMagnitudes(MockSimulator):
    def __init__(self, scene: Scene, num_envs: int, control_dt: float) -> None:
        super().__init__(scene, num_envs, control_dt)
        self.state = replace(self.state, object_contact_force=torch.zeros(num_envs, len(scene.objects)))


@found_by("state_of_an_empty_scene_is_empty")
class NeedsObjects(MockSimulator):
    def reset(self, mask: Tensor, dof_pos: Tensor, object_pose: Tensor) -> None:
        if self.scene.objects:
            super().reset(mask, dof_pos, object_pose)


@found_by("state_is_float32_on_the_device")
class DoublePrecisionLimits(MockSimulator):
    def __init__(self, scene: Scene, num_envs: int, control_dt: float) -> None:
        super().__init__(scene, num_envs, control_dt)
        self.dof_limits = self.dof_limits.double()


@found_by("joints_are_named_in_the_agreed_order")
class AlphabeticJoints(MockSimulator):
    def __init__(self, scene: Scene, num_envs: int, control_dt: float) -> None:
        super().__init__(scene, num_envs, control_dt)
        self.dof_names = tuple(sorted(self.dof_names))


@found_by("joint_limits_are_those_of_the_hand")
class WideLimits(MockSimulator):
    def __init__(self, scene: Scene, num_envs: int, control_dt: float) -> None:
        super().__init__(scene, num_envs, control_dt)
        self.dof_limits = self.dof_limits * 1.1


@found_by("state_is_refreshed_in_place")
class NewTensorsEveryStep(MockSimulator):
    def step(self, dof_targets: Tensor) -> None:
        super().step(dof_targets)
        self.state = replace(self.state, dof_pos=self.state.dof_pos.clone())


# --- reset ------------------------------------------------------------------------------------------------------------


@found_by("zero_pose_has_the_hand_at_its_position", "forward_kinematics_match_the_reference")
class HandPositionIgnored(MockSimulator):
    def __init__(self, scene: Scene, num_envs: int, control_dt: float) -> None:
        super().__init__(replace(scene, hand_position=(0.0, 0.0, 0.5)), num_envs, control_dt)
        self.scene = scene


@found_by("zero_pose_has_the_hand_at_its_position", "forward_kinematics_match_the_reference")
class RealPartFirst(MockSimulator):
    def _update_bodies(self, poses: BodyPoses, mask: Tensor) -> None:
        super()._update_bodies(replace(poses, quat=poses.quat.roll(1, dims=-1)), mask)


@found_by("forward_kinematics_match_the_reference")
class BodiesInFileOrder(MockSimulator):
    def _update_bodies(self, poses: BodyPoses, mask: Tensor) -> None:
        self._tracked = self._tracked.sort().values
        super()._update_bodies(poses, mask)


@found_by("forward_kinematics_match_the_reference")
class JointsOneOff(MockSimulator):
    def reset(self, mask: Tensor, dof_pos: Tensor, object_pose: Tensor) -> None:
        super().reset(mask, dof_pos.roll(1, dims=-1), object_pose)


@found_by("reset_places_joints_and_objects_exactly")
class HalfPrecisionPoses(MockSimulator):
    def reset(self, mask: Tensor, dof_pos: Tensor, object_pose: Tensor) -> None:
        super().reset(mask, dof_pos.half().float(), object_pose)


@found_by("reset_leaves_everything_at_rest")
class StaleContactForces(MockSimulator):
    def reset(self, mask: Tensor, dof_pos: Tensor, object_pose: Tensor) -> None:
        before = self.state.contact_force.clone()
        super().reset(mask, dof_pos, object_pose)
        self.state.contact_force.copy_(before)


@found_by("reset_leaves_everything_at_rest")
class StaleVelocities(MockSimulator):
    def reset(self, mask: Tensor, dof_pos: Tensor, object_pose: Tensor) -> None:
        before = self.state.dof_vel.clone()
        super().reset(mask, dof_pos, object_pose)
        self.state.dof_vel.copy_(before)


@found_by("reset_changes_no_other_environment")
class ResetStopsAll(MockSimulator):
    def reset(self, mask: Tensor, dof_pos: Tensor, object_pose: Tensor) -> None:
        super().reset(mask, dof_pos, object_pose)
        self.state.object_linvel.zero_()


@found_by("reset_of_nobody_changes_nothing")
class NobodyMeansEverybody(MockSimulator):
    def reset(self, mask: Tensor, dof_pos: Tensor, object_pose: Tensor) -> None:
        super().reset(mask if mask.any() else ~mask, dof_pos, object_pose)


@found_by("reset_ignores_rows_outside_the_mask")
class ArithmeticReset(MockSimulator):
    def reset(self, mask: Tensor, dof_pos: Tensor, object_pose: Tensor) -> None:
        super().reset(mask, dof_pos, object_pose)
        chosen = mask[:, None].float()
        self.state.dof_pos.copy_(chosen * dof_pos + (1 - chosen) * self.state.dof_pos)


@found_by("reset_forgets_the_past")
class WearingJoints(MockSimulator):
    def step(self, dof_targets: Tensor) -> None:
        self.time_constant *= 1.001
        super().step(dof_targets)


@found_by("reset_recovers_a_diverged_environment")
class ClearsByMultiplying(MockSimulator):
    def reset(self, mask: Tensor, dof_pos: Tensor, object_pose: Tensor) -> None:
        cleared = self.state.dof_vel * ~mask[:, None]
        super().reset(mask, dof_pos, object_pose)
        self.state.dof_vel.copy_(cleared)


@found_by("arguments_are_left_alone")
class ClampsInPlace(MockSimulator):
    def step(self, dof_targets: Tensor) -> None:
        super().step(dof_targets.clamp_(-1, 1))


# --- motion -----------------------------------------------------------------------------------------------------------


@found_by("quaternions_are_unit_length")
class GrowingQuaternions(MockSimulator):
    def _update_bodies(self, poses: BodyPoses, mask: Tensor) -> None:
        super()._update_bodies(replace(poses, quat=poses.quat * 1.0001), mask)


@found_by("dof_velocities_match_finite_differences")
class BackwardJointVelocities(MockSimulator):
    def step(self, dof_targets: Tensor) -> None:
        super().step(dof_targets)
        self.state.dof_vel.neg_()


@found_by("body_linear_velocities_match_finite_differences")
class BackwardBodyVelocities(MockSimulator):
    def _update_bodies(self, poses: BodyPoses, mask: Tensor) -> None:
        super()._update_bodies(replace(poses, linvel=-poses.linvel), mask)


@found_by("body_angular_velocities_match_finite_differences")
class AngularVelocityInBodyFrame(MockSimulator):
    def _update_bodies(self, poses: BodyPoses, mask: Tensor) -> None:
        angvel = quat.rotate(quat.conjugate(poses.quat), poses.angvel)
        super()._update_bodies(replace(poses, angvel=angvel), mask)


@found_by("object_velocities_match_finite_differences", "resting_boxes_stay_where_they_are")
class VelocityBeforeTheGround(MockSimulator):
    def step(self, dof_targets: Tensor) -> None:
        super().step(dof_targets)
        self.state.object_linvel[..., 2] -= 9.81 * self.control_dt


@found_by("body_poses_belong_to_the_joint_positions")
class BodiesOneStepBehind(MockSimulator):
    def step(self, dof_targets: Tensor) -> None:
        before = self.state.body_pos.clone()
        super().step(dof_targets)
        self.state.body_pos.copy_(before)


@found_by("targets_are_reached_and_held")
class Sluggish(MockSimulator):
    time_constant = 0.5


@found_by("targets_beyond_the_limits_are_clamped")
class UnclampedTargets(MockSimulator):
    def step(self, dof_targets: Tensor) -> None:
        self._asked = dof_targets
        super().step(dof_targets)

    def _move_joints(self, targets: Tensor, seconds: float) -> None:
        super()._move_joints(self._asked, seconds)


@found_by("each_target_moves_its_own_joint")
class TargetsOneOff(MockSimulator):
    def step(self, dof_targets: Tensor) -> None:
        super().step(dof_targets.roll(1, dims=-1))


@found_by("each_target_moves_its_own_joint", "targets_are_reached_and_held")
class OneJointBackwards(MockSimulator):
    def step(self, dof_targets: Tensor) -> None:
        super().step(torch.cat((dof_targets[:, :5], -dof_targets[:, 5:6], dof_targets[:, 6:]), dim=1))


# --- gravity and contact ----------------------------------------------------------------------------------------------


@found_by("a_step_takes_control_dt", "falling_boxes_gain_downward_velocity")
class TwoStepsInOne(MockSimulator):
    def step(self, dof_targets: Tensor) -> None:
        super().step(dof_targets)
        super().step(dof_targets)


@found_by("a_step_takes_control_dt", "falling_boxes_gain_downward_velocity")
class HalfGravity(MockSimulator):
    def step(self, dof_targets: Tensor) -> None:
        super().step(dof_targets)
        falling = self.state.object_linvel[..., 2] < 0
        self.state.object_linvel[..., 2] += falling * 9.81 / 2 * self.control_dt


@found_by("falling_boxes_gain_downward_velocity")
class FallingUpwards(MockSimulator):
    def __init__(self, scene: Scene, num_envs: int, control_dt: float) -> None:
        super().__init__(scene, num_envs, control_dt)
        self.state = replace(self.state, object_linvel=self.state.object_linvel.clone())

    def step(self, dof_targets: Tensor) -> None:
        super().step(dof_targets)
        self.state.object_linvel.copy_(-self._boxes.linvel)


@found_by("falling_boxes_feel_no_contact")
class GravityAsContact(MockSimulator):
    def step(self, dof_targets: Tensor) -> None:
        super().step(dof_targets)
        falling = self.state.object_linvel[..., 2] < 0
        self.state.object_contact_force[..., 2] -= falling * 0.981


@found_by("resting_boxes_stay_where_they_are")
class SinkingBoxes(MockSimulator):
    def step(self, dof_targets: Tensor) -> None:
        super().step(dof_targets)
        self.state.object_pos[..., 2] -= 0.003


@found_by("resting_boxes_feel_their_weight")
class WeightDownwards(MockSimulator):
    def step(self, dof_targets: Tensor) -> None:
        super().step(dof_targets)
        self.state.object_contact_force.neg_()


@found_by("fingers_in_the_air_feel_nothing")
class NoisyForces(MockSimulator):
    def step(self, dof_targets: Tensor) -> None:
        super().step(dof_targets)
        self.state.contact_force.add_(1e-3)


@found_by("the_ground_pushes_fingers_upwards")
class ForceOfTheLink(MockSimulator):
    def step(self, dof_targets: Tensor) -> None:
        super().step(dof_targets)
        self.state.contact_force.neg_()


@found_by("a_held_box_weighs_on_the_fingers")
class WeightlessInTheHand(MockSimulator):
    def step(self, dof_targets: Tensor) -> None:
        super().step(dof_targets)
        self.state.object_contact_force.mul_(~self._boxes.held[..., None])


@found_by("a_held_box_weighs_on_the_fingers")
class OneFingerFeelsNothing(MockSimulator):
    def step(self, dof_targets: Tensor) -> None:
        super().step(dof_targets)
        thumb = self.scene.contact_bodies.index("r_f_link1_4")
        self.state.contact_force[:, thumb] = 0.0


@found_by("contact_is_reported_for_the_link_that_touches")
class ContactsInFileOrder(MockSimulator):
    def step(self, dof_targets: Tensor) -> None:
        super().step(dof_targets)
        self.state.contact_force.copy_(self.state.contact_force.flip(1))


# --- repeating and saving ---------------------------------------------------------------------------------------------


@found_by("same_targets_give_equal_bits")
class RandomTremor(MockSimulator):
    def step(self, dof_targets: Tensor) -> None:
        super().step(dof_targets + 1e-5 * torch.rand_like(dof_targets))


@found_by("environments_do_not_influence_each_other")
class SharedTremor(MockSimulator):
    def step(self, dof_targets: Tensor) -> None:
        super().step(dof_targets + 1e-4 * dof_targets.mean())


@found_by("simulators_do_not_influence_each_other")
class SharedClass(MockSimulator):
    last_targets = torch.zeros(())

    def step(self, dof_targets: Tensor) -> None:
        super().step(dof_targets + 1e-4 * SharedClass.last_targets.mean())
        SharedClass.last_targets = dof_targets


@found_by("state_dict_holds_tensors")
class SavesItsClock(MockSimulator):
    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "time": 0.0}


@found_by("resumed_steps_give_equal_bits", "load_state_dict_shows_the_saved_state")
class ForgetsVelocities(MockSimulator):
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        super().load_state_dict({**state, "object_linvel": torch.zeros_like(state["object_linvel"])})


@found_by("another_simulator_can_resume")
class ResumesItselfOnly(MockSimulator):
    def state_dict(self) -> dict[str, Tensor]:
        self._saved = super().state_dict()
        return dict(self._saved)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        super().load_state_dict(getattr(self, "_saved", self._saved_tensors()))


@found_by("load_state_dict_shows_the_saved_state")
class LoadsLate(MockSimulator):
    _pending: Mapping[str, Tensor] = {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self._pending = state

    def step(self, dof_targets: Tensor) -> None:
        if self._pending:
            super().load_state_dict(self._pending)
            self._pending = {}
        super().step(dof_targets)


@found_by("state_dict_is_a_copy", "saving_changes_nothing")
class LendsItsState(MockSimulator):
    def state_dict(self) -> dict[str, Tensor]:
        return self._saved_tensors()


@found_by("state_dict_is_a_copy")
class KeepsWhatItLoads(MockSimulator):
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        super().load_state_dict(state)
        self.state = SimState(**{name: state[name] for name in vars(self.state)})


# --- physics ----------------------------------------------------------------------------------------------------------


class Mujoco(MujocoSimulator):
    def __init__(self, scene: Scene, num_envs: int, control_dt: float) -> None:
        sim = SimConfig(dt=control_dt / 2, mujoco=MujocoConfig(threads=1))
        super().__init__(scene, num_envs, sim, control_decimation=2)


@found_by("physics_has_documented_parameters")
class PhysicsOfOneEnvironment(MockSimulator):
    @property
    def physics(self) -> dict[str, Tensor]:
        return {name: value[0] for name, value in super().physics.items()}


@found_by("physics_begins_as_the_scenes")
class GravityUpwards(MockSimulator):
    @property
    def physics(self) -> dict[str, Tensor]:
        return {**super().physics, "gravity": -super().physics["gravity"]}


@found_by("physics_begins_as_the_scenes")
class StiffnessOfTheFile(Mujoco):
    @property
    def physics(self) -> dict[str, Tensor]:
        return {**super().physics, "stiffness": torch.full_like(super().physics["stiffness"], 1000.0)}


@found_by("randomize_shows_in_physics", "an_earlier_state_has_the_earlier_physics")
class ShowsTheFirstPhysics(MockSimulator):
    @property
    def physics(self) -> dict[str, Tensor]:
        return self._first if hasattr(self, "_first") else dict(super().physics)

    def randomize(self, mask: Tensor, values: Mapping[str, Tensor]) -> None:
        super().randomize(mask, values)
        self._first = dict(super().physics)
        self._first["gravity"] = self._first["gravity"].flip(0)


@found_by("the_same_physics_changes_nothing")
class RoundsThePhysics(MockSimulator):
    def randomize(self, mask: Tensor, values: Mapping[str, Tensor]) -> None:
        super().randomize(mask, {name: value * (1 + 1e-6) for name, value in values.items()})


@found_by("randomize_changes_no_other_environment", "randomize_shows_in_physics")
class PhysicsForAll(MockSimulator):
    def randomize(self, mask: Tensor, values: Mapping[str, Tensor]) -> None:
        super().randomize(torch.ones_like(mask), values)


@found_by("randomize_changes_no_state")
class SettlesAfterRandomizing(MockSimulator):
    def randomize(self, mask: Tensor, values: Mapping[str, Tensor]) -> None:
        super().randomize(mask, values)
        self.step(self.state.dof_pos.clone())


@found_by("randomize_ignores_rows_outside_the_mask")
class ArithmeticRandomize(MockSimulator):
    def randomize(self, mask: Tensor, values: Mapping[str, Tensor]) -> None:
        chosen = mask[:, None].float()
        for name, value in values.items():
            self._physics.values[name] = chosen * value + (1 - chosen) * self._physics.values[name]
        self._write_physics()


@found_by("reset_keeps_the_physics")
class ResetsThePhysics(MockSimulator):
    def reset(self, mask: Tensor, dof_pos: Tensor, object_pose: Tensor) -> None:
        super().reset(mask, dof_pos, object_pose)
        self._physics.load_state_dict({})
        self._write_physics()


@found_by("physics_is_saved")
class ForgetsThePhysics(MockSimulator):
    def state_dict(self) -> dict[str, Tensor]:
        return {name: value for name, value in super().state_dict().items() if "physics" not in name}


@found_by("an_earlier_state_has_the_earlier_physics")
class KeepsThePhysics(MockSimulator):
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        super().load_state_dict({**self._physics.state_dict(), **state})


@found_by("unknown_parameters_are_refused")
class IgnoresUnknownParameters(MockSimulator):
    def randomize(self, mask: Tensor, values: Mapping[str, Tensor]) -> None:
        super().randomize(mask, {name: value for name, value in values.items() if name in self.physics})


@found_by("unknown_parameters_are_refused")
class RefusesHalfway(MockSimulator):
    def randomize(self, mask: Tensor, values: Mapping[str, Tensor]) -> None:
        for name, value in values.items():
            super().randomize(mask, {name: value})


@found_by("values_out_of_shape_are_refused")
class BroadcastsValues(MockSimulator):
    def randomize(self, mask: Tensor, values: Mapping[str, Tensor]) -> None:
        super().randomize(mask, {name: value.expand(self.physics[name].shape) for name, value in values.items()})


@found_by("masks_out_of_shape_are_refused")
class FlattensTheMask(MockSimulator):
    def randomize(self, mask: Tensor, values: Mapping[str, Tensor]) -> None:
        super().randomize(mask.flatten(), values)


@found_by("values_out_of_range_are_refused")
class MakesValuesFit(MockSimulator):
    def randomize(self, mask: Tensor, values: Mapping[str, Tensor]) -> None:
        super().randomize(mask, {name: value.nan_to_num().abs() + 1e-3 for name, value in values.items()})


def deaf_to(parameter: str, kind: type[Any]) -> type[Any]:
    """A simulator that takes any value of one parameter for the scene's."""

    class Deaf(kind):  # type: ignore[misc]
        def randomize(self, mask: Tensor, values: Mapping[str, Tensor]) -> None:
            super().randomize(mask, {**values, parameter: self.physics[parameter]})

    Deaf.__name__ = f"DeafTo_{parameter}"
    return Deaf


found_by("object_mass_is_weight")(deaf_to("object_mass", MockSimulator))
found_by("gravity_makes_boxes_fall")(deaf_to("gravity", MockSimulator))
found_by("object_friction_holds_boxes")(deaf_to("object_friction", Mujoco))
found_by("ground_friction_holds_boxes")(deaf_to("ground_friction", Mujoco))
found_by("hand_friction_holds_boxes")(deaf_to("hand_friction", Mujoco))
found_by("hand_mass_loads_the_servos")(deaf_to("hand_mass", Mujoco))
found_by("stiffness_carries_the_hand")(deaf_to("stiffness", Mujoco))
found_by("damping_slows_joints")(deaf_to("damping", Mujoco))
found_by("joint_damping_slows_joints")(deaf_to("joint_damping", Mujoco))
found_by("armature_slows_joints")(deaf_to("armature", Mujoco))


# --- drawing and closing ----------------------------------------------------------------------------------------------


@found_by("render_gives_an_rgb_picture")
class ColumnsFirst(MockSimulator):
    def render(self, env_id: int, camera: str = "default", width: int = 640, height: int = 480) -> np.ndarray:
        return super().render(env_id, camera, width, height).swapaxes(0, 1)


@found_by("render_gives_an_rgb_picture")
class BlackPicture(MockSimulator):
    def render(self, env_id: int, camera: str = "default", width: int = 640, height: int = 480) -> np.ndarray:
        return np.zeros_like(super().render(env_id, camera, width, height))


@found_by("render_draws_the_environment_asked_for")
class DrawsTheFirst(MockSimulator):
    def render(self, env_id: int, camera: str = "default", width: int = 640, height: int = 480) -> np.ndarray:
        return super().render(0, camera, width, height)


@found_by("render_draws_through_the_camera_asked_for", "render_refuses_an_unknown_camera")
class OneCamera(MockSimulator):
    def render(self, env_id: int, camera: str = "default", width: int = 640, height: int = 480) -> np.ndarray:
        return super().render(env_id, "default", width, height)


@found_by("render_changes_nothing")
class PosesForThePicture(MockSimulator):
    def render(self, env_id: int, camera: str = "default", width: int = 640, height: int = 480) -> np.ndarray:
        self.state.dof_pos.add_(1e-6)
        return super().render(env_id, camera, width, height)


@found_by("close_can_be_called_again")
class ClosesOnce(MockSimulator):
    closed = False

    def close(self) -> None:
        assert not self.closed, "closed twice"
        self.closed = True
