"""Isaac Gym Preview 4 (PhysX) as a ``Simulator``: describes the scene to the adapter and computes poses at resets."""

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor

from dexhand.config.schema import PhysxConfig, SimConfig
from dexhand.core.interfaces import RenderingUnavailable
from dexhand.hand_env.interfaces import Scene, SimState
from dexhand.hands.spec import Gains
from dexhand.isaacgym_worker.adapter import CannotDraw, IsaacGymAdapter
from dexhand.isaacgym_worker.scene import Joint as JointDescription
from dexhand.isaacgym_worker.scene import SceneDescription
from dexhand.sim.hand_file import Joint, read_hand
from dexhand.sim.kinematics import HandKinematics
from dexhand.sim.physics import Physics

_FRAME_TOLERANCE = 1e-3
"""Largest deviation of a body's pose from the hand's MJCF, metres and 1 - |cos| of half the angle."""
_NO_LIMIT = float(np.finfo(np.float32).max)
"""Largest effort limit; PhysX does not accept infinity."""


class IsaacGymSimulator:
    """``Simulator`` on Isaac Gym.

    The engine causes two deviations from the contract. It applies a new state only in its next step, so an image
    rendered right after ``reset`` still shows the old pose. And its contact caches cannot be read, so a loaded
    ``state_dict`` continues from the same state but not bit-identically.
    """

    def __init__(
        self,
        scene: Scene,
        num_envs: int,
        sim: SimConfig,
        control_decimation: int,
        device: torch.device,
        viewer: bool = False,
    ) -> None:
        """Build the scene. A control step is ``control_decimation`` calls of ``simulate``, ``sim.dt`` each.

        Raises ``ValueError`` if the hand's MJCF is invalid.
        """
        if num_envs < 2:
            raise ValueError(f"env.numEnvs={num_envs}: Isaac Gym can crash with a single environment. Use 2 or more")
        self.scene = scene
        self.num_envs = num_envs
        self.device = device
        self.control_dt = sim.dt * control_decimation
        self.dof_names = scene.hand.dof_names
        self._kinematics = HandKinematics(scene.hand, scene.hand_position, device)
        self.dof_limits = self._kinematics.dof_limits
        self._adapter = IsaacGymAdapter(
            describe(scene),
            {
                "num_envs": num_envs,
                "device": str(device),
                "graphics_device": sim.isaacgym.graphicsDevice,
                "viewer": viewer,
                "dt": sim.dt,
                "substeps": sim.substeps or sim.physx.substeps,
                "calls_per_step": control_decimation,
                "physx": _physx_params(sim.physx, num_envs),
            },
        )
        self.state = SimState(**self._adapter.state)
        self._physics = Physics({}, num_envs, device)
        kinematic = [self._kinematics.index(name) for name in scene.bodies]
        self._kinematic_bodies = torch.tensor(kinematic, dtype=torch.int64, device=device)
        self._frames_checked = False
        poses = [[0.0, 0.0, box.size[2] / 2, 0.0, 0.0, 0.0, 1.0] for box in scene.objects]
        self.reset(
            torch.ones(num_envs, dtype=torch.bool, device=device),
            torch.zeros(num_envs, len(self.dof_names), device=device),
            torch.tensor(poses, device=device).reshape(1, -1, 7).repeat(num_envs, 1, 1),
        )

    def step(self, dof_targets: Tensor) -> None:
        """See ``Simulator.step``. Raises ``RuntimeError`` if the engine's hand differs from the MJCF."""
        self._adapter.step(dof_targets.clamp(self.dof_limits[:, 0], self.dof_limits[:, 1]))
        if not self._frames_checked:
            self._check_frames()

    def _check_frames(self) -> None:
        """Raise ``RuntimeError`` if body poses differ from the MJCF's: frames, joint order, environment origin."""
        poses = self._kinematics.poses(self.state.dof_pos, self.state.dof_vel).select(self._kinematic_bodies)
        apart = (poses.pos - self.state.body_pos).abs().amax(dim=(0, 2))
        turned = 1 - (poses.quat * self.state.body_quat).sum(-1).abs().amin(dim=0)
        for name, metres, turn in zip(self.scene.bodies, apart.tolist(), turned.tolist()):
            if not max(metres, turn) < _FRAME_TOLERANCE:
                raise RuntimeError(
                    f"Isaac Gym has {name} {metres:.3g} m away and turned (1 - |cos| = {turn:.3g}) from where "
                    f"{self.scene.hand.asset} puts it: it has read the file differently"
                )
        self._frames_checked = True

    def reset(self, mask: Tensor, dof_pos: Tensor, object_pose: Tensor) -> None:
        """See ``Simulator.reset``. ``state`` changes immediately, the engine's state in the next ``step``."""
        state, rows = self.state, mask[:, None]
        state.dof_pos.copy_(torch.where(rows, dof_pos, state.dof_pos))
        state.dof_vel.masked_fill_(rows, 0.0)
        for tensor in (state.object_linvel, state.object_angvel, state.contact_force, state.object_contact_force):
            tensor.masked_fill_(rows[..., None], 0.0)
        poses = self._kinematics.poses(state.dof_pos, state.dof_vel).select(self._kinematic_bodies)
        for tensor, values in (
            (state.object_pos, object_pose[..., :3]),
            (state.object_quat, object_pose[..., 3:]),
            (state.body_pos, poses.pos),
            (state.body_quat, poses.quat),
            (state.body_linvel, poses.linvel),
            (state.body_angvel, poses.angvel),
        ):
            tensor.copy_(torch.where(rows[..., None], values, tensor))
        self._adapter.write_back(mask)

    @property
    def physics(self) -> Mapping[str, Tensor]:
        """See ``Simulator.physics``; empty."""
        return self._physics.values

    def randomize(self, mask: Tensor, values: Mapping[str, Tensor]) -> None:
        """See ``Simulator.randomize``; refuses every parameter."""
        self._physics.update(mask, values)

    def render(self, env_id: int, camera: str = "default", width: int = 640, height: int = 480) -> np.ndarray:
        """See ``Simulator.render``; shows the old pose between ``reset`` and the next ``step``."""
        name = self.scene.camera(camera).name
        try:
            return self._adapter.render(env_id, name, width, height)
        except CannotDraw as error:
            raise RenderingUnavailable(str(error)) from None

    def state_dict(self) -> dict[str, Tensor]:
        """See ``Simulator.state_dict``; everything that the engine exposes."""
        return {name: tensor.clone() for name, tensor in vars(self.state).items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See ``Simulator.load_state_dict``."""
        for name, tensor in vars(self.state).items():
            if state[name].shape != tensor.shape:
                raise ValueError(
                    f"The saved {name} has shape {tuple(state[name].shape)}, this simulator needs "
                    f"{tuple(tensor.shape)}: same scene and env.numEnvs={self.num_envs}"
                )
        for name, tensor in vars(self.state).items():
            tensor.copy_(state[name])
        self._adapter.write_back(torch.ones(self.num_envs, dtype=torch.bool, device=self.device))

    def close(self) -> None:
        """See ``Simulator.close``."""
        self._adapter.close()


def _physx_params(physx: PhysxConfig, num_envs: int) -> dict[str, int | float]:
    """Return attributes of ``gymapi.PhysXParams`` with their values."""
    params: dict[str, int | float] = asdict(physx)
    del params["substeps"]
    params["max_gpu_contact_pairs"] = params.pop("gpu_contact_pairs_per_env") * num_envs
    return params


def describe(scene: Scene) -> SceneDescription:
    """Describe the scene for the adapter. Raises ``ValueError`` if the hand's MJCF is invalid."""
    hand = scene.hand
    tree = read_hand(hand)
    joints = {body.joint.name: body.joint for body in tree if body.joint}
    return {
        "asset": str(hand.asset.resolve()),
        "hand_position": list(scene.hand_position),
        "joints": [_describe_joint(joints[name], gains) for names, gains in hand.joint_groups for name in names],
        "bodies": [
            {
                "name": body.name,
                "friction": body.friction or 0.0,
                "collision_filter": _filter(body.name, hand.contact_bodies),
            }
            for body in tree
        ],
        "tracked_bodies": list(scene.bodies),
        "contact_bodies": list(scene.contact_bodies),
        "boxes": [
            {
                "name": box.name,
                "size": list(box.size),
                "mass": box.mass,
                "friction": box.friction,
                "rgb": list(box.rgba[:3]),
            }
            for box in scene.objects
        ],
        "ground_friction": scene.ground_friction,
        "cameras": [
            {
                "name": camera.name,
                "position": list(camera.position),
                "target": list(camera.target),
                "fovy": camera.fovy,
            }
            for camera in scene.cameras
        ],
    }


def _describe_joint(joint: Joint, gains: Gains) -> JointDescription:
    """Describe a drive that combines the servo, with ``gains`` over those of the MJCF, and the joint's damping."""
    servo_damping = joint.servo_damping if gains.damping is None else gains.damping
    return {
        "name": joint.name,
        "lower": joint.lower,
        "upper": joint.upper,
        "stiffness": joint.stiffness if gains.stiffness is None else gains.stiffness,
        "damping": servo_damping + joint.damping,
        "effort": min(joint.force_limit if gains.force_limit is None else gains.force_limit, _NO_LIMIT),
        "armature": joint.armature if gains.armature is None else gains.armature,
    }


def _filter(body: str, distal_links: tuple[str, ...]) -> int:
    """Return a filter with which distal links collide with each other but other hand bodies with none of the hand."""
    if body in distal_links:
        return 1 << distal_links.index(body)
    return (1 << len(distal_links)) - 1
