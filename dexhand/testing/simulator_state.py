"""Clauses about attributes, state and reset."""

import math
from dataclasses import fields

import torch
from torch import Tensor

from dexhand.hand_env.interfaces import Scene, SimState
from dexhand.testing.scenes import (
    NUM_ENVS,
    boxes_at,
    dof_rows,
    pointing_down,
    random_targets,
    reference_of,
)
from dexhand.testing.simulator_harness import (
    SimulatorHarness,
    changed,
    mask_of,
    play,
    put,
    rough_start,
    snapshot,
    worst,
)


class StateClauses(SimulatorHarness):
    """Attributes and the layout of ``SimState``."""

    def test_attributes_say_what_was_asked_for(self) -> None:
        """num_envs and scene are those the simulator was made with, control_dt is a positive time."""
        with self.simulator() as sim:
            assert sim.num_envs == NUM_ENVS, f"num_envs is {sim.num_envs}, not the {NUM_ENVS} requested."
            assert sim.scene == self.scene, "scene is not the scene that the simulator was made with."
            assert sim.control_dt > 0, f"control_dt is {sim.control_dt}; it must be positive."

    def test_state_has_the_stated_shapes(self) -> None:
        """Every state tensor has the shape that its docstring gives."""
        scene = self.scene
        joints, bodies, contacts, objects = (
            len(each) for each in (scene.hand.dof_names, scene.bodies, scene.contact_bodies, scene.objects)
        )
        with self.simulator() as sim:
            expected = {
                "dof_pos": (joints,),
                "dof_vel": (joints,),
                "body_pos": (bodies, 3),
                "body_quat": (bodies, 4),
                "body_linvel": (bodies, 3),
                "body_angvel": (bodies, 3),
                "contact_force": (contacts, 3),
                "object_pos": (objects, 3),
                "object_quat": (objects, 4),
                "object_linvel": (objects, 3),
                "object_angvel": (objects, 3),
                "object_contact_force": (objects, 3),
            }
            for name, tensor in snapshot(sim.state).items():
                shape = (NUM_ENVS, *expected[name])
                assert tensor.shape == shape, f"{name} has shape {tuple(tensor.shape)} instead of {shape}."

    def test_state_of_an_empty_scene_is_empty(self) -> None:
        """A scene without objects, tracked bodies and contact bodies steps, with state tensors of length 0."""
        with self.simulator(Scene(self.hand)) as sim:
            sim.step(dof_rows(sim))
            shapes = {name: tensor.shape[1] for name, tensor in snapshot(sim.state).items() if "dof" not in name}
            assert not any(shapes.values()), f"The scene lists nothing, but the state has {shapes}."
            put(sim, dof_rows(sim, **{self.hand.base_joints[0]: 0.1}))
            assert worst(sim.state.dof_pos[:, 0] - 0.1) < 1e-6, "reset does not work without objects."

    def test_state_is_float32_on_the_device(self) -> None:
        """Every state tensor and dof_limits are float32 and live on the simulator's device."""
        with self.simulator() as sim:
            for name, tensor in {**vars(sim.state), "dof_limits": sim.dof_limits}.items():
                assert tensor.dtype == torch.float32, f"{name} is {tensor.dtype} instead of float32."
                assert tensor.device == sim.device, f"{name} is on {tensor.device}, the simulator is on {sim.device}."

    def test_joints_are_named_in_the_agreed_order(self) -> None:
        """dof_names are the six base joints, then the joints finger by finger."""
        with self.simulator() as sim:
            assert tuple(sim.dof_names) == self.hand.dof_names, f"dof_names are {sim.dof_names}."

    def test_joint_limits_are_those_of_the_hand(self) -> None:
        """dof_limits hold the lower and upper limit of every joint."""
        expected = reference_of(self.hand).dof_limits
        with self.simulator() as sim:
            limits = sim.dof_limits.cpu()
            assert limits.shape == expected.shape, (
                f"dof_limits has shape {tuple(limits.shape)} instead of {tuple(expected.shape)}."
            )
            wrong = [name for name, off in zip(self.hand.dof_names, (limits - expected).abs().amax(1) > 1e-6) if off]
            assert not wrong, f"The limits of {', '.join(wrong)} are not the hand's."

    def test_state_is_refreshed_in_place(self) -> None:
        """Tensors of the state are updated in place by every step, reset and load_state_dict."""
        with self.simulator() as sim:
            held = {field.name: getattr(sim.state, field.name) for field in fields(SimState)}
            saved = sim.state_dict()
            moved = dof_rows(sim, **{self.hand.base_joints[0]: 0.1})
            sim.step(moved)
            _assert_same_tensors(held, sim.state, "step")
            put(sim, moved)
            _assert_same_tensors(held, sim.state, "reset")
            assert worst(held["dof_pos"][:, 0] - 0.1) < 1e-6, (
                "Tensors of a state taken before reset do not show the new pose: update them in place."
            )
            sim.load_state_dict(saved)
            _assert_same_tensors(held, sim.state, "load_state_dict")


def _assert_same_tensors(held: "dict[str, Tensor]", state: SimState, action: str) -> None:
    replaced = [name for name, tensor in held.items() if getattr(state, name) is not tensor]
    assert not replaced, f"{action} replaced the tensors {', '.join(replaced)} instead of updating them in place."


class ResetClauses(SimulatorHarness):
    """``reset``, and the poses after it."""

    def test_zero_pose_has_the_hand_at_its_position(self) -> None:
        """With all joints at zero the palm is at scene.hand_position, turned as the hand's palm_quat says."""
        with self.simulator() as sim:
            index = self.scene.bodies.index(self.hand.palm)
            position = torch.tensor(self.scene.hand_position, device=sim.device)
            error = worst(sim.state.body_pos[:, index] - position)
            assert error < self.pose_tolerance, (
                f"With all joints at zero the palm is {error:.2g} m away from scene.hand_position."
            )
            upright = torch.tensor(self.hand.palm_quat, device=sim.device)
            error = worst(1 - (sim.state.body_quat[:, index] * upright).sum(-1).abs())
            assert error < self.pose_tolerance, (
                f"With all joints at zero the palm's quaternion is {sim.state.body_quat[0, index].tolist()}; (x, y, "
                f"z, w) = {upright.tolist()} is expected."
            )

    def test_forward_kinematics_match_the_reference(self) -> None:
        """After reset the tracked bodies are where the hand's MJCF puts them, at zero joints and at random ones."""
        reference = reference_of(self.hand)
        lower, upper = reference.dof_limits.unbind(-1)
        dof_pos = lower + (upper - lower) * torch.rand(16, len(lower), generator=torch.Generator().manual_seed(0))
        dof_pos[0] = 0.0
        columns = torch.tensor([reference.index(body) for body in self.scene.bodies])
        expected = reference.poses(dof_pos, torch.zeros_like(dof_pos)).select(columns)
        with self.simulator(num_envs=len(dof_pos)) as sim:
            put(sim, dof_pos.to(sim.device))
            away = sim.state.body_pos.cpu() - expected.pos - torch.tensor(self.scene.hand_position)
            pos_error = away.abs().amax(dim=(0, 2))
            alignment = (sim.state.body_quat.cpu() * expected.quat).sum(-1).abs()
            quat_error = (1 - alignment).abs().amax(dim=0)
            for body, metres, turn in zip(self.scene.bodies, pos_error.tolist(), quat_error.tolist()):
                assert metres < self.pose_tolerance, f"{body} is up to {metres:.2g} m away from its reference position."
                assert turn < self.pose_tolerance, f"{body} is turned away from its reference orientation."

    def test_reset_places_joints_and_objects_exactly(self) -> None:
        """After reset, joint positions and object positions are exactly the given float32 numbers."""
        with self.simulator() as sim:
            dof_pos = random_targets(sim, steps=1)[0]
            quat = (0.1 / math.sqrt(0.3), 0.2 / math.sqrt(0.3), 0.3 / math.sqrt(0.3), 0.4 / math.sqrt(0.3))
            pose = boxes_at(sim, height=0.123, quat=quat)
            put(sim, dof_pos, pose)
            assert torch.equal(sim.state.dof_pos, dof_pos), "dof_pos is not exactly what reset was given."
            assert torch.equal(sim.state.object_pos, pose[..., :3]), "object_pos is not exactly what reset was given."
            error = worst(1 - (sim.state.object_quat * pose[..., 3:]).sum(-1).abs())
            assert error < 1e-6, f"object_quat is {sim.state.object_quat[0, 0].tolist()} instead of {quat}."

    def test_reset_leaves_everything_at_rest(self) -> None:
        """After reset all velocities and contact forces are 0, whatever happened before."""
        with self.simulator() as sim:
            self.press(sim)
            sim.step(random_targets(sim, steps=1)[0])
            put(sim, pointing_down(sim, depth=0.0))
            for name, tensor in snapshot(sim.state).items():
                if "vel" in name or "force" in name:
                    assert worst(tensor) == 0, f"{name} is not 0 right after reset."

    def test_reset_changes_no_other_environment(self) -> None:
        """Resetting some environments changes no bit of the others, now or later."""
        with self.simulator() as sim, self.simulator() as untouched:
            rough_start(sim)
            rough_start(untouched)
            before = snapshot(sim.state)
            sim.reset(mask_of(sim, 1, 3), dof_rows(sim), boxes_at(sim))
            names = changed(before, snapshot(sim.state), 0, 2)
            assert not names, f"Resetting environments 1 and 3 changed {names} of environments 0 and 2."
            assert "dof_pos" in changed(before, snapshot(sim.state), 1), "Environment 1 was not reset."
            targets = random_targets(sim, steps=5)
            names = changed(play(untouched, targets), play(sim, targets), 0, 2)
            assert not names, f"After resetting environments 1 and 3, {names} of 0 and 2 develop differently."

    def test_reset_of_nobody_changes_nothing(self) -> None:
        """A mask without a true value changes no bit."""
        with self.simulator() as sim:
            rough_start(sim)
            before = snapshot(sim.state)
            sim.reset(mask_of(sim), dof_rows(sim), boxes_at(sim))
            names = changed(before, snapshot(sim.state))
            assert not names, f"reset with an empty mask changed {names}."

    def test_reset_ignores_rows_outside_the_mask(self) -> None:
        """Rows of environments that are not reset may hold anything, NaN included."""
        with self.simulator() as sim, self.simulator() as clean:
            targets = random_targets(sim, steps=3)
            for each, filling in ((sim, math.nan), (clean, 0.0)):
                rough_start(each)
                dof_pos, pose = dof_rows(each), boxes_at(each)
                dof_pos[[0, 2]] = filling
                pose[[0, 2]] = filling
                each.reset(mask_of(each, 1, 3), dof_pos, pose)
            assert not changed(snapshot(clean.state), snapshot(sim.state)), (
                "NaN in rows outside the mask of reset appeared in the state."
            )
            assert not changed(play(clean, targets), play(sim, targets)), (
                "NaN in rows outside the mask of reset changed later steps."
            )

    def test_reset_forgets_the_past(self) -> None:
        """From the same reset pose the same targets give equal bits, whatever the environment did before."""
        with self.simulator() as sim:
            targets = random_targets(sim, steps=8)
            start = pointing_down(sim, depth=-0.015)
            put(sim, start)
            first = play(sim, targets)
            rough_start(sim)
            put(sim, start)
            names = changed(first, play(sim, targets))
            assert not names, f"After a reset to the same pose, {names} still depend on what happened before it."

    def test_reset_recovers_a_diverged_environment(self) -> None:
        """After NaN in its state an environment is as if there had been none, and so are all others."""
        with self.simulator() as sim, self.simulator() as sound:
            targets = random_targets(sim, steps=4)
            for each, bad in ((sim, math.nan), (sound, 0.0)):
                rough_start(each)
                dof_pos, pose = dof_rows(each), boxes_at(each)
                each.reset(mask_of(each, 1), dof_pos + bad, pose + bad)
                each.step(targets[0])
                each.reset(mask_of(each, 1), dof_pos, pose)
            names = changed(snapshot(sound.state), snapshot(sim.state))
            assert not names, f"A reset left traces of NaN in {names}: set what it clears to 0 instead of multiplying."
            names = changed(play(sound, targets[1:]), play(sim, targets[1:]))
            assert not names, f"After NaN and a reset of environment 1, {names} take another course."

    def test_arguments_are_left_alone(self) -> None:
        """Neither step nor reset changes the tensors it is given, immediately or later."""
        with self.simulator() as sim:
            arguments = {"dof_pos": pointing_down(sim, depth=-0.015), "object_pose": boxes_at(sim, height=0.2)}
            arguments["targets"] = dof_rows(sim) + 5.0
            copies = {name: tensor.clone() for name, tensor in arguments.items()}
            sim.reset(mask_of(sim, 0, 1, 2, 3), arguments["dof_pos"], arguments["object_pose"])
            for _ in range(3):
                sim.step(arguments["targets"])
            for name, tensor in arguments.items():
                assert torch.equal(tensor, copies[name]), (
                    f"The simulator changed the {name} it was given: copy the tensor."
                )
