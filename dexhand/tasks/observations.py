"""Observation terms of every task: base joints, fingers, wrist, contact and previous actions."""

from __future__ import annotations

from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING

from dexhand.core import quaternions
from dexhand.core.lazy import lazy_module
from dexhand.hands.spec import HandSpec
from dexhand.tasks.action_map import ActionMap
from dexhand.tasks.hand_state import HandState
from dexhand.tasks.terms import observation

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy_module("torch")


_BASE_JOINTS, _CONTROLS, _FINGERS = attrgetter("num_base"), attrgetter("num_controls"), attrgetter("num_fingers")


def _finger_controls(hand: HandSpec) -> int:
    return len(hand.controls)


def _finger_joints(hand: HandSpec) -> int:
    return len(hand.finger_joints)


def _finger_poses(hand: HandSpec) -> int:
    return 7 * hand.num_fingers


class HandObservations:
    """Observation terms of the hand. "Active" finger joints are the first joint of each control, in action order."""

    hand: HandSpec
    action_map: ActionMap
    control_dt: float
    device: torch.device

    # --- joints, m and rad

    @observation(_BASE_JOINTS)
    def base_dof_pos(self, state: HandState) -> Tensor:
        """Positions of the base joints."""
        return state.base_pos

    @observation(_BASE_JOINTS)
    def base_dof_vel(self, state: HandState) -> Tensor:
        """Velocities of the base joints."""
        return state.base_vel

    @observation(_BASE_JOINTS)
    def base_dof_target(self, state: HandState) -> Tensor:
        """Commanded positions of the base joints."""
        return state.buffers.targets[:, : self.hand.num_base]

    @observation(_finger_controls)
    def active_finger_dof_pos(self, state: HandState) -> Tensor:
        """Positions of the active finger joints."""
        return state.sim.dof_pos[:, self._active]

    @observation(_finger_controls)
    def active_finger_dof_vel(self, state: HandState) -> Tensor:
        """Velocities of the active finger joints."""
        return state.sim.dof_vel[:, self._active]

    @observation(_finger_controls)
    def active_finger_dof_target(self, state: HandState) -> Tensor:
        """Commanded positions of the active finger joints."""
        return state.buffers.targets[:, self.hand.num_base :]

    @observation(_finger_joints)
    def all_finger_dof_pos(self, state: HandState) -> Tensor:
        """Positions of all finger joints."""
        return state.finger_pos

    @observation(_finger_joints)
    def all_finger_dof_vel(self, state: HandState) -> Tensor:
        """Velocities of all finger joints."""
        return state.finger_vel

    @observation(_finger_joints)
    def all_finger_dof_target(self, state: HandState) -> Tensor:
        """Commanded positions of all finger joints."""
        base = self.hand.num_base
        return state.buffers.targets[:, base:] @ self.action_map.coupling[base:, base:]

    # --- wrist

    @observation(7)
    def hand_pose(self, state: HandState) -> Tensor:
        """Position and quaternion of the wrist."""
        return torch.cat((state.hand_pos, state.hand_quat), dim=1)

    @observation(7)
    def hand_pose_arr_aligned(self, state: HandState) -> Tensor:
        """Position of the wrist, and its quaternion relative to the one at zero joint positions."""
        return torch.cat((state.hand_pos, quaternions.multiply(state.hand_quat, self._palm_inverse)), dim=1)

    # --- contact

    @observation(lambda hand: 3 * hand.num_fingers)
    def contact_forces(self, state: HandState) -> Tensor:
        """Net contact force on each contact body, N."""
        return state.sim.contact_force.flatten(1)

    @observation(_FINGERS)
    def contact_force_magnitude(self, state: HandState) -> Tensor:
        """Magnitude of each contact force, N."""
        return state.contact_magnitude

    @observation(_FINGERS)
    def contact_binary(self, state: HandState) -> Tensor:
        """1 where a contact force is above the threshold, else 0."""
        return state.in_contact.float()

    @observation(_FINGERS)
    def contact_duration(self, state: HandState) -> Tensor:
        """Duration of unbroken contact, s."""
        return state.buffers.contact_steps * self.control_dt

    # --- actions

    @observation(_CONTROLS)
    def prev_actions(self, state: HandState) -> Tensor:
        """The action just executed."""
        return state.buffers.actions

    @observation(_CONTROLS)
    def active_prev_targets(self, state: HandState) -> Tensor:
        """Control targets of the step just executed."""
        return state.buffers.targets

    @observation(_CONTROLS)
    def active_rule_targets(self, state: HandState) -> Tensor:
        """Next targets of controls that the policy does not command, set by the task."""
        return state.buffers.scripted_targets

    # --- tips and pads

    @observation(_finger_poses)
    def fingertip_poses_world(self, state: HandState) -> Tensor:
        """Positions and quaternions of the fingertips."""
        return state.finger_poses_world[:, : self.hand.num_fingers].flatten(1)

    @observation(_finger_poses)
    def fingerpad_poses_world(self, state: HandState) -> Tensor:
        """Positions and quaternions of the fingerpads."""
        return state.finger_poses_world[:, self.hand.num_fingers :].flatten(1)

    @observation(_finger_poses)
    def fingertip_poses_hand(self, state: HandState) -> Tensor:
        """Positions and quaternions of the fingertips in the wrist's own frame."""
        return state.finger_poses_hand[:, : self.hand.num_fingers].flatten(1)

    @observation(_finger_poses)
    def fingerpad_poses_hand(self, state: HandState) -> Tensor:
        """Positions and quaternions of the fingerpads in the wrist's own frame."""
        return state.finger_poses_hand[:, self.hand.num_fingers :].flatten(1)

    # --- time

    @observation(1)
    def episode_time(self, state: HandState) -> Tensor:
        """Time since the start of the episode, s."""
        return (state.buffers.steps * self.control_dt).float()[:, None]

    @property
    def _active(self) -> Tensor:
        return self.action_map.control_dofs[self.hand.num_base :]

    @cached_property
    def _palm_inverse(self) -> Tensor:
        return quaternions.conjugate(torch.tensor(self.hand.palm_quat, device=self.device))
