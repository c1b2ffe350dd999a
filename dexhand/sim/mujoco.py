"""MuJoCo on the CPU: all environments stepped in C++ on a thread pool.

Written against MuJoCo 4.0. It uses ``mujoco.batch`` instead of ``mujoco.rollout`` because a batch keeps the complete
state, including the solver's warm start, and can update poses and velocities after the last step, whereas the sensors
of ``rollout`` lag one step behind the state.
"""

import os
from collections.abc import Collection, Mapping

import mujoco
import numpy as np
import torch
from mujoco.batch import Batch
from torch import Tensor

from dexhand.config.schema import SimConfig
from dexhand.hand_env.interfaces import Scene
from dexhand.sim.mujoco_physics import CHANGES_INERTIA, MujocoPhysics
from dexhand.sim.mujoco_pictures import MujocoPictures
from dexhand.sim.mujoco_scene import compile_scene, mujoco_substeps
from dexhand.sim.mujoco_state import MujocoState, check_saved

_VELOCITY_STAGE = int(mujoco.mjtStage.mjSTAGE_VEL)


class MujocoSimulator:
    """``Simulator`` on MuJoCo. Results do not depend on ``sim.mujoco.threads``."""

    def __init__(self, scene: Scene, num_envs: int, sim: SimConfig, control_decimation: int) -> None:
        """Compile the scene. A control step is ``control_decimation`` times ``sim.dt``.

        Raises ``ValueError`` if the hand's MJCF is invalid.
        """
        self.scene = scene
        self.num_envs = num_envs
        self.device = torch.device("cpu")
        self.dof_names = scene.hand.dof_names
        self.model = compile_scene(scene, sim)
        # a diverged environment stays so until it is reset, instead of jumping to the model's default pose
        self.model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
        self._steps_per_control = mujoco_substeps(sim) * control_decimation
        self.control_dt = self.model.opt.timestep * self._steps_per_control
        # a persistent batch continues from the velocity stage instead of recomputing it
        self._batch = Batch(self.model, num_envs, nthread=sim.mujoco.threads or os.cpu_count() or 1, persistent=True)
        self._pictures = MujocoPictures(self.model, scene)
        self._qpos = torch.from_numpy(self._batch.bind("qpos"))
        self._qvel = torch.from_numpy(self._batch.bind("qvel"))
        self._ctrl = torch.from_numpy(self._batch.bind("ctrl"))
        # torch warns about read-only arrays; nothing here writes to this one
        sensors = self._batch.bind("sensordata").view()
        sensors.flags.writeable = True
        self._state_map = MujocoState(self.model, scene, num_envs, self.device, torch.from_numpy(sensors))
        self.dof_limits = self._state_map.dof_limits
        self.state = self._state_map.state
        self._physics = MujocoPhysics(self.model, scene, num_envs, self.device, self._state_map, self._expand)
        self._batch.reset(stage=_VELOCITY_STAGE)
        self._update_motion()

    def _expand(self, field: str) -> Tensor:
        return torch.from_numpy(self._batch.expand(field))

    def _update_motion(self) -> None:
        """Update all of ``state`` except contact forces."""
        self._state_map.update_motion(self._qpos, self._qvel)

    @property
    def physics(self) -> Mapping[str, Tensor]:
        """See ``Simulator.physics``."""
        return self._physics.values

    def step(self, dof_targets: Tensor) -> None:
        """See ``Simulator.step``."""
        self._ctrl.copy_(self._state_map.ctrl(dof_targets))
        self._batch.step(nstep=self._steps_per_control, stage=_VELOCITY_STAGE)
        self._update_motion()
        self._state_map.update_contacts()

    def reset(self, mask: Tensor, dof_pos: Tensor, object_pose: Tensor) -> None:
        """See ``Simulator.reset``."""
        ids = mask.nonzero().flatten()
        rows = ids[:, None]
        pose = dof_pos[ids].double()
        self._batch.reset(ids.numpy(), stage=int(mujoco.mjtStage.mjSTAGE_NONE))
        self._qpos[rows, self._state_map.qpos_columns] = pose
        self._qpos[rows, self._state_map.object_qpos_columns] = self._state_map.object_qpos(object_pose[ids]).double()
        self._ctrl[ids] = pose[:, self._state_map.dof_of_actuator]
        self._batch.forward(ids.numpy(), stage=_VELOCITY_STAGE)
        self._update_motion()
        self._state_map.contacts[ids] = 0.0

    def randomize(self, mask: Tensor, values: Mapping[str, Tensor]) -> None:
        """See ``Simulator.randomize``."""
        self._physics.update(mask, values)
        ids = mask.nonzero().flatten().numpy()
        self._write_physics(values.keys(), ids)
        # the next step continues from this stage
        self._batch.forward(ids, stage=_VELOCITY_STAGE)

    def _write_physics(self, names: Collection[str], ids: np.ndarray | None = None) -> None:
        self._physics.write(names)
        if not CHANGES_INERTIA.isdisjoint(names):
            self._batch.set_const(ids)

    def render(self, env_id: int, camera: str = "default", width: int = 640, height: int = 480) -> np.ndarray:
        """See ``Simulator.render``."""
        return self._pictures.draw(self._batch.get_data(env_id), camera, width, height)

    def state_dict(self) -> dict[str, Tensor]:
        """See ``Simulator.state_dict``."""
        return {name: tensor.clone() for name, tensor in self._saved_tensors().items()} | self._physics.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See ``Simulator.load_state_dict``."""
        tensors = self._saved_tensors()
        check_saved(state, tensors, self.num_envs)
        self._write_physics(self._physics.load_state_dict(state))
        tensors["integration_state"].copy_(state["integration_state"])
        self._batch.forward(stage=_VELOCITY_STAGE)
        self._update_motion()
        tensors["contacts"].copy_(state["contacts"])

    def _saved_tensors(self) -> dict[str, Tensor]:
        return {"integration_state": torch.from_numpy(self._batch.state), "contacts": self._state_map.contacts}

    def close(self) -> None:
        """See ``Simulator.close``."""
        self._pictures.close()
