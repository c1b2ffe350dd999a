"""MuJoCo Warp: the scene of the MuJoCo back-end on an NVIDIA GPU or, slowly, on Warp's CPU device.

Written against MuJoCo Warp 4.0 and Warp 1.19.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

import mujoco
import numpy as np
import torch
import warp as wp
from torch import Tensor

from dexhand.config.schema import SimConfig
from dexhand.hand_env.interfaces import Scene
from dexhand.sim.mujoco_physics import CHANGES_INERTIA, MujocoPhysics
from dexhand.sim.mujoco_pictures import MujocoPictures
from dexhand.sim.mujoco_scene import compile_scene, mujoco_substeps
from dexhand.sim.mujoco_state import MujocoState, check_saved
from dexhand.sim.physics import rows_of

wp.config.log_level = wp.LOG_ERROR  # hides messages about compiled kernels and devices

import mujoco_warp as mjw  # noqa: E402  (after its log level is set)

log = logging.getLogger(__name__)

_CONTACTS_DROPPED = (
    mjw.OverflowType.BROADPHASE | mjw.OverflowType.NARROWPHASE | mjw.OverflowType.CCD | mjw.OverflowType.CONTACT_MATCH
)
_ROWS_DROPPED = mjw.OverflowType.NEFC | mjw.OverflowType.NJMAX_NNZ
"""Overflows that make the physics wrong; the others only mean that the solver used all its iterations."""

_DERIVED = ("body_subtreemass", "body_invweight0", "dof_invweight0", "actuator_acc0")
"""Fields of this model that ``set_const`` computes from masses and armatures."""


class MujocoWarpSimulator:
    """``Simulator`` on MuJoCo Warp.

    A control step and a state update are recorded once as graphs and then replayed. Everything is float32. Without
    ``sim.mujoco_warp.deterministic`` the summation order on a GPU, and therefore the last bits, differ between runs.
    """

    def __init__(
        self, scene: Scene, num_envs: int, sim: SimConfig, control_decimation: int, device: torch.device
    ) -> None:
        """Compile the scene and the kernels. A control step is ``control_decimation`` times ``sim.dt``.

        Raises ``ValueError`` if the hand's MJCF is invalid.
        """
        self.scene = scene
        self.num_envs = num_envs
        self.device = device
        self.dof_names = scene.hand.dof_names
        self.model = compile_scene(scene, sim)
        self._steps_per_control = mujoco_substeps(sim) * control_decimation
        self.control_dt = self.model.opt.timestep * self._steps_per_control
        self._settings = settings = sim.mujoco_warp
        self._pictures = MujocoPictures(self.model, scene)
        self._picture_data = mujoco.MjData(self.model)
        wp.init()
        with self._on_torch_stream():
            self._model = mjw.put_model(self.model)
            self._model.opt.warn_overflow = 0  # kernels would print in every step; see _warn_of_overflow
            self._model.opt.contact_sensor_maxmatch = settings.nconmax
            if settings.deterministic:
                self._model.opt.deterministic = True
            self._data = mjw.make_data(self.model, nworld=num_envs, nconmax=settings.nconmax, njmax=settings.njmax)
        self._qpos = wp.to_torch(self._data.qpos)
        self._qvel = wp.to_torch(self._data.qvel)
        self._ctrl = wp.to_torch(self._data.ctrl)
        self._warm_start = wp.to_torch(self._data.qacc_warmstart)
        self._overflow = wp.to_torch(self._data.overflow)
        self._overflow_seen = torch.zeros((), dtype=torch.int32, pin_memory=device.type == "cuda")
        self._initial_qpos = torch.from_numpy(self.model.qpos0).to(device, torch.float32)
        self._state_map = MujocoState(self.model, scene, num_envs, device, wp.to_torch(self._data.sensordata))
        self.dof_limits = self._state_map.dof_limits
        self.state = self._state_map.state
        self._physics = MujocoPhysics(self.model, scene, num_envs, device, self._state_map, self._expand)
        self._derived: dict[str, Tensor] = {}
        self._compiled: dict[str, Tensor] = {}
        self._has_warned = False
        log.info("Loading the kernels of MuJoCo Warp; compiling them the first time takes about a minute")
        self._compile(self._compute_step)
        self._record()
        self._qpos.copy_(self._initial_qpos)
        self._clear(torch.ones(num_envs, dtype=torch.bool, device=device))
        self._update_motion()

    # --- computing ----------------------------------------------------------------------------------------------------

    @contextmanager
    def _on_torch_stream(self) -> Iterator[None]:
        """Run Warp on torch's CUDA stream, so that no synchronisation is needed."""
        device = wp.device_from_torch(self.device)
        if not device.is_cuda:
            with wp.ScopedDevice(device):
                yield
            return
        with wp.ScopedDevice(device), wp.ScopedStream(wp.stream_from_torch(self.device), sync_enter=False):
            yield

    def _compile(self, compute: Callable[[], None]) -> None:
        """Load the kernels of ``compute``, which CUDA cannot do while it records."""
        if self.device.type == "cuda":
            with self._on_torch_stream():
                compute()

    def _record(self) -> None:
        """Record the graphs without executing them."""
        self._step_graph = self._capture(self._compute_step)
        self._motion_graph = self._capture(self._compute_motion)
        if self._derived:
            self._constants_graph = self._capture(self._compute_constants)
        self._is_recorded = True

    def _capture(self, compute: Callable[[], None]) -> wp.Graph:
        with wp.ScopedDevice(wp.device_from_torch(self.device)):
            wp.synchronize_device()
            # on Warp's own stream, since torch's default stream cannot be captured
            with wp.ScopedCapture() as capture:
                compute()
        return capture.graph

    def _replay(self, graph: wp.Graph) -> None:
        with self._on_torch_stream():
            wp.capture_launch(graph)

    def _compute_step(self) -> None:
        for _ in range(self._steps_per_control):
            mjw.step(self._model, self._data)
        self._compute_motion()

    def _compute_motion(self) -> None:
        """Compute poses, velocities and their sensors for the current positions; contact sensors keep their values."""
        mjw.kinematics(self._model, self._data)
        mjw.com_pos(self._model, self._data)
        mjw.com_vel(self._model, self._data)
        mjw.sensor_pos(self._model, self._data)
        mjw.sensor_vel(self._model, self._data)

    def _update_motion(self) -> None:
        """Update all of ``state`` except contact forces."""
        self._replay(self._motion_graph)
        self._state_map.update_motion(self._qpos, self._qvel)

    # --- physics per environment --------------------------------------------------------------------------------------

    def _expand(self, field: str) -> Tensor:
        """Replace a model field by one with a row for each environment."""
        owner, name = (self._model.opt, field[4:]) if field.startswith("opt.") else (self._model, field)
        shared = getattr(owner, name)
        row: Tensor = wp.to_torch(shared)
        rows = row.expand(self.num_envs, *row.shape[1:]).clone()
        setattr(owner, name, wp.from_torch(rows, dtype=shared.dtype))
        self._is_recorded = False
        return rows

    def _write_physics(self, names: Collection[str], mask: Tensor) -> None:
        self._physics.write(names)
        is_inertia = not CHANGES_INERTIA.isdisjoint(names)
        if is_inertia and not self._derived:
            self._expand_constants()
        if not self._is_recorded:  # the graphs still refer to the shared fields
            self._record()
        if is_inertia:
            self._update_constants(mask)

    def _expand_constants(self) -> None:
        self._derived = {name: self._expand(name) for name in _DERIVED}
        self._compiled = {name: tensor.clone() for name, tensor in self._derived.items()}
        self._compile(self._compute_constants)
        for name, tensor in self._derived.items():
            tensor.copy_(self._compiled[name])

    def _compute_constants(self) -> None:
        mjw.set_const(self._model, self._data)

    def _update_constants(self, mask: Tensor) -> None:
        """Recompute the constants derived from masses and armatures where ``mask`` is true."""
        before = {name: tensor.clone() for name, tensor in self._derived.items()}
        self._replay(self._constants_graph)
        # in single precision they differ slightly from the compiled ones, which unchanged environments keep
        initial = self._physics.is_initial(CHANGES_INERTIA)
        for name, tensor in self._derived.items():
            after = torch.where(rows_of(initial, tensor), self._compiled[name], tensor)
            tensor.copy_(torch.where(rows_of(mask, tensor), after, before[name]))

    # --- the contract -------------------------------------------------------------------------------------------------

    @property
    def physics(self) -> Mapping[str, Tensor]:
        """See ``Simulator.physics``."""
        return self._physics.values

    def step(self, dof_targets: Tensor) -> None:
        """See ``Simulator.step``."""
        self._ctrl.copy_(self._state_map.ctrl(dof_targets))
        self._replay(self._step_graph)
        self._state_map.update_motion(self._qpos, self._qvel)
        self._state_map.update_contacts()
        if not self._has_warned:
            self._warn_of_overflow()

    def reset(self, mask: Tensor, dof_pos: Tensor, object_pose: Tensor) -> None:
        """See ``Simulator.reset``; never waits for the GPU."""
        state_map, rows = self._state_map, mask[:, None]
        for columns, values in (
            (state_map.qpos_columns, dof_pos),
            (state_map.object_qpos_columns, state_map.object_qpos(object_pose)),
        ):
            self._qpos[:, columns] = torch.where(rows, values, self._qpos[:, columns])
        self._ctrl.copy_(torch.where(rows, dof_pos[:, state_map.dof_of_actuator], self._ctrl))
        self._clear(mask)
        self._update_motion()

    def _clear(self, mask: Tensor) -> None:
        """Zero velocities, warm start and contacts where ``mask`` is true."""
        for tensor in (self._qvel, self._warm_start, self._state_map.contacts):
            tensor.masked_fill_(mask[:, None], 0.0)

    def randomize(self, mask: Tensor, values: Mapping[str, Tensor]) -> None:
        """See ``Simulator.randomize``. Waits for the GPU only when a parameter is varied for the first time."""
        self._physics.update(mask, values)
        self._write_physics(values.keys(), mask)

    def render(self, env_id: int, camera: str = "default", width: int = 640, height: int = 480) -> np.ndarray:
        """See ``Simulator.render``."""
        self._picture_data.qpos[:] = self._qpos[env_id].cpu().numpy()
        return self._pictures.draw(self._picture_data, camera, width, height)

    def state_dict(self) -> dict[str, Tensor]:
        """See ``Simulator.state_dict``."""
        return {name: tensor.clone() for name, tensor in self._saved_tensors().items()} | self._physics.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See ``Simulator.load_state_dict``."""
        tensors = self._saved_tensors()
        check_saved(state, tensors, self.num_envs)
        all_envs = torch.ones(self.num_envs, dtype=torch.bool, device=self.device)
        self._write_physics(self._physics.load_state_dict(state), all_envs)
        for name, tensor in tensors.items():
            tensor.copy_(state[name])
        self._update_motion()

    def _saved_tensors(self) -> dict[str, Tensor]:
        return {
            "qpos": self._qpos,
            "qvel": self._qvel,
            "ctrl": self._ctrl,
            "qacc_warmstart": self._warm_start,
            "contacts": self._state_map.contacts,
        }

    def close(self) -> None:
        """See ``Simulator.close``."""
        self._pictures.close()

    def _warn_of_overflow(self) -> None:
        """Warn once if contacts were ignored.

        MuJoCo Warp never clears overflow bits, so there is no need to wait for the copy to the host: on a GPU the
        warning may come a few steps late, but no step is delayed.
        """
        dropped = self._overflow & int(_CONTACTS_DROPPED | _ROWS_DROPPED)
        self._overflow_seen.copy_(dropped.amax(), non_blocking=True)
        flags = int(self._overflow_seen)
        if flags:
            self._has_warned = True
            key = "nconmax" if flags & int(_CONTACTS_DROPPED) else "njmax"
            log.warning(
                "sim.mujoco_warp.%s=%d is too small: contacts were ignored, the physics is wrong. Give a larger one",
                key,
                getattr(self._settings, key),
            )
