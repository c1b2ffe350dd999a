"""MuJoCo on the CPU: all environments stepped in C++ on a thread pool.

Read for MuJoCo 4.0. ``mujoco.batch`` rather than ``mujoco.rollout``: its rows hold the whole state, the solver's warm
start included, and it can bring poses and velocities up to date after the last step, where ``rollout`` returns sensors
that lag one step behind the state.
"""

import os
from typing import Dict, Mapping, Tuple

import numpy as np
import torch
from torch import Tensor

from dexhand.core import hand
from dexhand.core.interfaces import RenderingUnavailable, Scene, SimState
from dexhand.sim.gl import INSTALL_HINT
from dexhand.sim.mjcf import BODY_SENSORS, HAND_PREFIX, SolverSettings, compile_scene

import mujoco  # isort: skip  (after mjcf, which chooses the GL library)
from mujoco.batch import Batch  # isort: skip

_VELOCITY_STAGE = int(mujoco.mjtStage.mjSTAGE_VEL)
_WXYZ_TO_XYZW = torch.tensor([1, 2, 3, 0])


class MujocoSimulator:
    """``Simulator`` on MuJoCo. ``num_threads`` 0 = one per processor core; results do not depend on it."""

    def __init__(
        self, scene: Scene, num_envs: int, *, solver: SolverSettings, steps_per_control: int, num_threads: int = 0
    ) -> None:
        self.scene = scene
        self.num_envs = num_envs
        self.device = torch.device("cpu")
        self.control_dt = solver.timestep * steps_per_control
        self.dof_names = hand.DOF_NAMES
        self.model = compile_scene(scene, solver)
        self._steps_per_control = steps_per_control
        # the persistent batch goes on from the velocity stage instead of computing it twice
        self._batch = Batch(self.model, num_envs, nthread=num_threads or os.cpu_count() or 1, persistent=True)
        self._renderers: Dict[Tuple[int, int], mujoco.Renderer] = {}

        joints = [self.model.joint(HAND_PREFIX + name) for name in self.dof_names]
        self.dof_limits = torch.tensor(np.array([joint.range for joint in joints]), dtype=torch.float32)
        self._qpos = torch.from_numpy(self._batch.bind("qpos"))
        self._qvel = torch.from_numpy(self._batch.bind("qvel"))
        self._ctrl = torch.from_numpy(self._batch.bind("ctrl"))
        self._qpos_columns = torch.tensor([joint.qposadr[0] for joint in joints])
        self._qvel_columns = torch.tensor([joint.dofadr[0] for joint in joints])
        self._object_qpos_columns = self._free_joint_columns()
        dof_of_joint = {joint.id: dof for dof, joint in enumerate(joints)}
        self._dof_of_actuator = torch.tensor([dof_of_joint[j] for j in self.model.actuator_trnid[:, 0]])
        # a read-only array, which torch warns of: nothing here writes to it
        sensors = self._batch.bind("sensordata").view()
        sensors.flags.writeable = True
        self._sensors = torch.from_numpy(sensors)
        self._readings = torch.zeros(self._sensors.shape, dtype=torch.float32)
        self.state = self._views()
        self._batch.reset(stage=_VELOCITY_STAGE)
        self._refresh()

    def _free_joint_columns(self) -> Tensor:
        adr = [int(self.model.joint(box.name).qposadr[0]) for box in self.scene.objects]
        return torch.tensor([list(range(a, a + 7)) for a in adr], dtype=torch.int64).reshape(-1)

    def _views(self) -> SimState:
        """State tensors as windows of the float32 copy of the sensor readings, in ``compile_scene``'s layout."""
        num_bodies, num_objects = len(self.scene.bodies), len(self.scene.objects)
        start = 0

        def window(count: int, width: int) -> Tensor:
            nonlocal start
            start += count * width
            return self._readings[:, start - count * width : start].view(self.num_envs, count, width)

        (pos, object_pos), quats, (linvel, object_linvel), (angvel, object_angvel) = (
            (window(num_bodies, width), window(num_objects, width)) for _, width in BODY_SENSORS
        )
        self._quats_wxyz = quats
        self._contact_start = start
        return SimState(
            dof_pos=torch.zeros(self.num_envs, len(self.dof_names)),
            dof_vel=torch.zeros(self.num_envs, len(self.dof_names)),
            body_pos=pos,
            body_quat=torch.zeros(self.num_envs, num_bodies, 4),
            body_linvel=linvel,
            body_angvel=angvel,
            contact_force=window(len(self.scene.contact_bodies), 3),
            object_pos=object_pos,
            object_quat=torch.zeros(self.num_envs, num_objects, 4),
            object_linvel=object_linvel,
            object_angvel=object_angvel,
            object_contact_force=window(num_objects, 3),
        )

    def _refresh(self) -> None:
        """Bring ``state`` up to date, contact forces aside."""
        start = self._contact_start
        self._readings[:, :start] = self._sensors[:, :start]
        state = self.state
        state.dof_pos.copy_(self._qpos[:, self._qpos_columns])
        state.dof_vel.copy_(self._qvel[:, self._qvel_columns])
        torch.index_select(self._quats_wxyz[0], 2, _WXYZ_TO_XYZW, out=state.body_quat)
        torch.index_select(self._quats_wxyz[1], 2, _WXYZ_TO_XYZW, out=state.object_quat)

    def step(self, dof_targets: Tensor) -> None:
        """See ``Simulator.step``."""
        self._ctrl.copy_(dof_targets.clamp(self.dof_limits[:, 0], self.dof_limits[:, 1])[:, self._dof_of_actuator])
        self._batch.step(nstep=self._steps_per_control, stage=_VELOCITY_STAGE)
        self._refresh()
        # MuJoCo: force of the body on others; ours: of the others on the body
        self._readings[:, self._contact_start :] = self._sensors[:, self._contact_start :].neg()

    def reset(self, mask: Tensor, dof_pos: Tensor, object_pose: Tensor) -> None:
        """See ``Simulator.reset``."""
        ids = mask.nonzero().flatten()
        rows = ids[:, None]
        pose = dof_pos[ids].double()
        self._batch.reset(ids.numpy(), stage=int(mujoco.mjtStage.mjSTAGE_NONE))
        self._qpos[rows, self._qpos_columns] = pose
        if self.scene.objects:
            poses = object_pose[ids][..., [0, 1, 2, 6, 3, 4, 5]]
            self._qpos[rows, self._object_qpos_columns] = poses.flatten(1).double()
        self._ctrl[ids] = pose[:, self._dof_of_actuator]
        self._batch.forward(ids.numpy(), stage=_VELOCITY_STAGE)
        self._refresh()
        self._readings[ids, self._contact_start :] = 0.0

    def render(self, env_id: int, camera: str = "default", width: int = 640, height: int = 480) -> np.ndarray:
        """See ``Simulator.render``."""
        known = [c.name for c in self.scene.cameras]
        if camera not in known:
            raise ValueError(f"camera={camera!r} is not in the scene. Cameras: {', '.join(known)}")
        renderer = self._renderer(width, height)
        data = self._batch.get_data(env_id)
        mujoco.mj_forward(self.model, data)
        renderer.update_scene(data, camera=camera)
        picture: np.ndarray = renderer.render()
        return picture.copy()

    def _renderer(self, width: int, height: int) -> "mujoco.Renderer":
        if (width, height) not in self._renderers:
            if os.environ.get("MUJOCO_GL") == "disable":
                raise RenderingUnavailable(f"No OpenGL library was found. {INSTALL_HINT}")
            try:
                self._renderers[width, height] = mujoco.Renderer(self.model, height, width)
            except Exception as error:  # each GL platform fails in its own way
                gl = os.environ.get("MUJOCO_GL", "glfw")
                raise RenderingUnavailable(
                    f"MuJoCo cannot draw with MUJOCO_GL={gl}: {error}. {INSTALL_HINT}"
                ) from error
        return self._renderers[width, height]

    def state_dict(self) -> Dict[str, Tensor]:
        """See ``Simulator.state_dict``."""
        return {
            "integration_state": torch.from_numpy(self._batch.state.copy()),
            "contact_readings": self._readings[:, self._contact_start :].clone(),
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See ``Simulator.load_state_dict``."""
        rows = torch.from_numpy(self._batch.state)
        if state["integration_state"].shape != rows.shape:
            raise ValueError(
                f"The saved state has shape {tuple(state['integration_state'].shape)}, this simulator needs "
                f"{tuple(rows.shape)}: same scene and env.numEnvs={self.num_envs}"
            )
        rows.copy_(state["integration_state"])
        self._batch.forward(stage=_VELOCITY_STAGE)
        self._refresh()
        self._readings[:, self._contact_start :] = state["contact_readings"]

    def close(self) -> None:
        """See ``Simulator.close``."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()
