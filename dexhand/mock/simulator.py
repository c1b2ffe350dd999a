"""A ``Simulator`` without dynamics: exact, deterministic and fast on any torch device."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from dexhand.hand_env.interfaces import Scene, SimState
from dexhand.mock.boxes import Boxes
from dexhand.mock.picture import Picture
from dexhand.sim.kinematics import BodyPoses, HandKinematics
from dexhand.sim.physics import Physics

GRAVITY = (0.0, 0.0, -9.81)
"""m/s^2."""


class MockSimulator:
    """``Simulator`` of the hand's kinematics, without dynamics.

    Joints follow their clamped targets as a first-order lag. Boxes fall, rest on the ground and are carried while the
    thumb and another fingerpad touch them; see ``Boxes``. Only fingerpads make contact, reported for their distal
    links. Box masses and gravity can be varied; servo gains and friction have no effect.
    """

    time_constant = 0.03
    """Time constant with which joints approach their targets, seconds."""

    def __init__(
        self,
        scene: Scene,
        num_envs: int,
        control_dt: float,
        substeps: int = 1,
        device: str | torch.device = "cpu",
    ) -> None:
        """``substeps`` is how often a control step computes contacts; the motion is exact for any number.

        Raises ``ValueError`` if the hand's MJCF is invalid or lacks a body of the scene.
        """
        hand = scene.hand
        self.scene = scene
        self.num_envs = num_envs
        self.control_dt = control_dt
        self.substeps = substeps
        self.device = torch.device(device)
        self.dof_names = hand.dof_names
        self._kinematics = HandKinematics(hand, scene.hand_position, self.device)
        self.dof_limits = self._kinematics.dof_limits
        self._physics = self._scene_physics()
        self._boxes = Boxes(scene.objects, self._physics.precise("object_mass"), self._physics.precise("gravity"))
        self._tracked = self._indices(scene.bodies)
        self._hand_base = self._indices((hand.palm,))
        self._pads = self._indices(hand.fingerpads)
        self._fingers, self._has_pad = self._pads_of_contact_bodies()
        self._bones = self._kinematics.bones_below(hand.palm)
        self.state = self._new_state()
        self._update_bodies(self._hand_poses(), torch.ones(num_envs, dtype=torch.bool, device=self.device))

    def _scene_physics(self) -> Physics:
        masses = torch.tensor([box.mass for box in self.scene.objects], dtype=torch.float64)
        gravity = torch.tensor(GRAVITY, dtype=torch.float64)
        return Physics({"object_mass": masses, "gravity": gravity}, self.num_envs, self.device)

    @property
    def physics(self) -> Mapping[str, Tensor]:
        """See ``Simulator.physics``."""
        return self._physics.values

    def step(self, dof_targets: Tensor) -> None:
        """See ``Simulator.step``."""
        targets = torch.clamp(dof_targets, self.dof_limits[:, 0], self.dof_limits[:, 1])
        for _ in range(self.substeps):
            self._move_joints(targets, self.control_dt / self.substeps)
            poses = self._hand_poses()
            self._update_contacts(poses, self.control_dt / self.substeps)
        self._update_bodies(poses, torch.ones(self.num_envs, dtype=torch.bool, device=self.device))

    def reset(self, mask: Tensor, dof_pos: Tensor, object_pose: Tensor) -> None:
        """See ``Simulator.reset``."""
        self.state.dof_pos.copy_(torch.where(mask[:, None], dof_pos, self.state.dof_pos))
        self.state.dof_vel.masked_fill_(mask[:, None], 0)
        self.state.contact_force.masked_fill_(mask[:, None, None], 0)
        self._boxes.reset(mask, object_pose)
        self._update_bodies(self._hand_poses(), mask)

    def randomize(self, mask: Tensor, values: Mapping[str, Tensor]) -> None:
        """See ``Simulator.randomize``."""
        self._physics.update(mask, values)
        self._write_physics()

    def _write_physics(self) -> None:
        self._boxes.set_physics(self._physics.precise("object_mass"), self._physics.precise("gravity"))

    def render(self, env_id: int, camera: str = "default", width: int = 640, height: int = 480) -> np.ndarray:
        """See ``Simulator.render``; draws with numpy only."""
        pos = self._hand_poses().pos[env_id].cpu().numpy()
        picture = Picture(self.scene.camera(camera), width, height)
        for parent, body in self._bones:
            picture.bone(pos[parent], pos[body])
        for index, box in enumerate(self.scene.objects):
            centre = self.state.object_pos[env_id, index].cpu().numpy()
            rotation = self.state.object_quat[env_id, index].cpu().numpy()
            picture.box(centre, rotation, box.size, box.rgba)
        return picture.draw()

    def state_dict(self) -> dict[str, Tensor]:
        """See ``Simulator.state_dict``."""
        return {name: tensor.clone() for name, tensor in self._saved_tensors().items()} | self._physics.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See ``Simulator.load_state_dict``."""
        self._physics.load_state_dict(state)
        for name, tensor in self._saved_tensors().items():
            tensor.copy_(state[name])
        self._write_physics()

    def close(self) -> None:
        """See ``Simulator.close``; there is nothing to release."""

    def _saved_tensors(self) -> dict[str, Tensor]:
        return {**vars(self.state), **self._boxes.tensors()}

    def _new_state(self) -> SimState:
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(self.num_envs, *shape, device=self.device)

        bodies = len(self.scene.bodies)
        return SimState(
            dof_pos=zeros(len(self.dof_names)),
            dof_vel=zeros(len(self.dof_names)),
            body_pos=zeros(bodies, 3),
            body_quat=zeros(bodies, 4),
            body_linvel=zeros(bodies, 3),
            body_angvel=zeros(bodies, 3),
            contact_force=zeros(len(self.scene.contact_bodies), 3),
            object_pos=self._boxes.pos,
            object_quat=self._boxes.quat,
            object_linvel=self._boxes.linvel,
            object_angvel=self._boxes.angvel,
            object_contact_force=self._boxes.contact_force,
        )

    def _move_joints(self, targets: Tensor, seconds: float) -> None:
        behind = (self.state.dof_pos - targets) * math.exp(-seconds / self.time_constant)
        self.state.dof_pos.copy_(targets + behind)
        self.state.dof_vel.copy_(-behind / self.time_constant)

    def _update_contacts(self, poses: BodyPoses, seconds: float) -> None:
        hand_base = poses.select(self._hand_base)
        grounded = self._boxes.advance(seconds, hand_base)
        forces = self._boxes.touch(poses.pos[:, self._pads], grounded, hand_base)
        self.state.contact_force.copy_(forces[:, self._fingers] * self._has_pad)

    def _hand_poses(self) -> BodyPoses:
        return self._kinematics.poses(self.state.dof_pos, self.state.dof_vel)

    def _update_bodies(self, poses: BodyPoses, mask: Tensor) -> None:
        tracked = poses.select(self._tracked)
        state, rows = self.state, mask[:, None, None]
        state.body_pos.copy_(torch.where(rows, tracked.pos, state.body_pos))
        state.body_quat.copy_(torch.where(rows, tracked.quat, state.body_quat))
        state.body_linvel.copy_(torch.where(rows, tracked.linvel, state.body_linvel))
        state.body_angvel.copy_(torch.where(rows, tracked.angvel, state.body_angvel))

    def _indices(self, bodies: tuple[str, ...]) -> Tensor:
        indices = [self._kinematics.index(body) for body in bodies]
        return torch.tensor(indices, dtype=torch.long, device=self.device)

    def _pads_of_contact_bodies(self) -> tuple[Tensor, Tensor]:
        """Return each contact body's pad index, and 1 where it has a pad, else 0."""
        self._indices(self.scene.contact_bodies)
        distal_links = self.scene.hand.contact_bodies
        is_distal = [body in distal_links for body in self.scene.contact_bodies]
        fingers = [
            distal_links.index(body) if distal else 0 for body, distal in zip(self.scene.contact_bodies, is_distal)
        ]
        has_pad = torch.tensor(is_distal, dtype=torch.float32, device=self.device)
        return torch.tensor(fingers, dtype=torch.long, device=self.device), has_pad[:, None]
