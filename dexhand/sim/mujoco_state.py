"""``SimState`` for both MuJoCo back-ends."""

from collections.abc import Mapping

import mujoco
import numpy as np
import torch
from torch import Tensor

from dexhand.hand_env.interfaces import Scene, SimState
from dexhand.sim.mujoco_scene import BODY_SENSORS, HAND_PREFIX


class MujocoState:
    """Fills a ``SimState`` from MuJoCo's arrays, given the columns of joints and objects in them.

    Poses and velocities of ``state`` are views of MuJoCo's own array ``sensors`` (N, nsensordata) if that is float32,
    else of a float32 copy.
    """

    def __init__(
        self, model: mujoco.MjModel, scene: Scene, num_envs: int, device: torch.device, sensors: Tensor
    ) -> None:
        self._sensors = sensors
        self._scene = scene
        self._num_envs = num_envs
        self._device = device
        joints = [model.joint(HAND_PREFIX + name) for name in scene.hand.dof_names]
        limits = np.array([joint.range for joint in joints])
        self.dof_limits = torch.tensor(limits, dtype=torch.float32, device=device)
        """Shape (D, 2), m or rad."""
        self.qpos_columns = self._indices([int(joint.qposadr[0]) for joint in joints])
        self.qvel_columns = self._indices([int(joint.dofadr[0]) for joint in joints])
        dof_of_joint = {joint.id: dof for dof, joint in enumerate(joints)}
        self.dof_of_actuator = self._indices([dof_of_joint[joint] for joint in model.actuator_trnid[:, 0].tolist()])
        """Index into axis D of the joint that each actuator drives. Shape (nu,)."""
        free = [int(model.joint(box.name).qposadr[0]) for box in scene.objects]
        self.object_qpos_columns = self._indices([column for start in free for column in range(start, start + 7)])
        self._xyzw = self._indices([1, 2, 3, 0])
        self.wxyz = self._indices([3, 0, 1, 2])
        self._readings = sensors if sensors.dtype == torch.float32 else torch.zeros(sensors.shape)
        self.state = self._views()

    def _indices(self, numbers: list[int]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.int64, device=self._device)

    def _views(self) -> SimState:
        """Create the state tensors as views of the readings, in the layout of ``compile_scene``."""
        num_bodies, num_objects = len(self._scene.bodies), len(self._scene.objects)
        start = 0

        def window(count: int, width: int) -> Tensor:
            nonlocal start
            start += count * width
            return self._readings[:, start - count * width : start].view(self._num_envs, count, width)

        (pos, object_pos), self._quats_wxyz, (linvel, object_linvel), (angvel, object_angvel) = (
            (window(num_bodies, width), window(num_objects, width)) for _, width in BODY_SENSORS
        )
        num_contacts = len(self._scene.contact_bodies)
        self._contact_start = start
        self.contacts = torch.zeros(self._num_envs, 3 * (num_contacts + num_objects), device=self._device)
        """All contact forces of ``state``, flat: (N, 3 x (contact bodies + objects))."""

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(self._num_envs, *shape, device=self._device)

        return SimState(
            dof_pos=zeros(self._scene.hand.num_dofs),
            dof_vel=zeros(self._scene.hand.num_dofs),
            body_pos=pos,
            body_quat=zeros(num_bodies, 4),
            body_linvel=linvel,
            body_angvel=angvel,
            contact_force=self.contacts[:, : 3 * num_contacts].view(self._num_envs, num_contacts, 3),
            object_pos=object_pos,
            object_quat=zeros(num_objects, 4),
            object_linvel=object_linvel,
            object_angvel=object_angvel,
            object_contact_force=self.contacts[:, 3 * num_contacts :].view(self._num_envs, num_objects, 3),
        )

    def update_motion(self, qpos: Tensor, qvel: Tensor) -> None:
        """Update all of ``state`` except contact forces from ``qpos`` (N, nq) and ``qvel`` (N, nv)."""
        start, state = self._contact_start, self.state
        if self._readings is not self._sensors:
            self._readings[:, :start] = self._sensors[:, :start]
        state.dof_pos.copy_(qpos[:, self.qpos_columns])
        state.dof_vel.copy_(qvel[:, self.qvel_columns])
        torch.index_select(self._quats_wxyz[0], 2, self._xyzw, out=state.body_quat)
        torch.index_select(self._quats_wxyz[1], 2, self._xyzw, out=state.object_quat)

    def update_contacts(self) -> None:
        """Update the contact forces of ``state``."""
        # MuJoCo reports forces of the body on others, SimState those of others on the body
        self.contacts.copy_(self._sensors[:, self._contact_start :].neg())

    def ctrl(self, dof_targets: Tensor) -> Tensor:
        """Compute actuator controls (N, nu) for joint targets (N, D), clamped to the joint limits."""
        return dof_targets.clamp(self.dof_limits[:, 0], self.dof_limits[:, 1])[:, self.dof_of_actuator]

    def object_qpos(self, object_pose: Tensor) -> Tensor:
        """Convert object poses (N, O, 7) to MuJoCo's order w x y z, flattened to (N, 7 x O)."""
        return torch.cat((object_pose[..., :3], object_pose[..., 3:][..., self.wxyz]), dim=-1).flatten(1)


def check_saved(saved: Mapping[str, Tensor], expected: Mapping[str, Tensor], num_envs: int) -> None:
    """Raise ``ValueError`` if a saved state is from another simulator, scene or number of environments."""
    for name, tensor in expected.items():
        shape: tuple[int, ...] = tuple(saved[name].shape) if name in saved else ()
        if shape != tuple(tensor.shape):
            raise ValueError(
                f"The saved {name} has shape {shape}, this simulator needs {tuple(tensor.shape)}: same simulator, "
                f"scene and env.numEnvs={num_envs}"
            )
