"""MuJoCo's batch of simulations, with the contact forces that Gymnasium's environments read after each step.

Written against MuJoCo 4.0. This calls its C interface (``mujoco/mjbatch.h``), because the class ``mujoco.batch.Batch``
cannot run ``mj_rnePostConstraint``, which computes these forces and which Gymnasium calls after each step.
"""

import ctypes
import weakref
from collections.abc import Iterable
from ctypes import POINTER, byref, c_bool, c_char_p, c_double, c_int, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

_FORCES = {"cfrc_ext", "cfrc_int", "cacc"}
"""Fields that ``mj_rnePostConstraint`` computes."""


class _Config(ctypes.Structure):
    _fields_ = (("nthread", c_int), ("persistent", c_bool))


@cache
def _library() -> ctypes.CDLL:
    """MuJoCo's library, which ``mujoco`` has loaded, with the signatures of the functions that are used here."""
    folder = Path(mujoco.__file__).parent
    path = next(file for pattern in ("libmujoco*", "mujoco*.dll") for file in folder.glob(pattern))
    library = ctypes.CDLL(str(path))
    for name, returns, *arguments in (
        ("makeBatch", c_void_p, c_void_p, c_int, POINTER(_Config), c_char_p, c_int),
        ("deleteBatch", None, c_void_p),
        ("nstate", c_int, c_void_p),
        ("state", c_void_p, c_void_p),
        ("stateComponent", c_void_p, c_void_p, c_int, POINTER(c_int)),
        ("output", c_void_p, c_void_p, c_char_p, POINTER(c_int), POINTER(c_int)),
        ("reset", c_int, c_void_p, c_void_p, c_int, c_void_p, c_int),
        ("forward", c_int, c_void_p, c_void_p, c_int, c_int),
        ("step", c_int, c_void_p, c_void_p, c_int, c_int, c_int),
        ("apply", c_int, c_void_p, c_void_p, c_int, c_void_p, c_void_p, c_int),
        ("status", POINTER(c_int), c_void_p),
        ("error", c_char_p, c_void_p, c_int),
    ):
        function = getattr(library, f"mjb_{name}")
        function.restype, function.argtypes = returns, arguments
    return library


class BatchPhysics:
    """N simulations of a model, stepped by threads in C++; results do not depend on their number.

    As in Gymnasium, derived fields describe the state before the last substep of ``step``, and contact forces are 0
    after a reset. Arrays are MuJoCo's own, float64, and change in place.
    """

    def __init__(self, model: mujoco.MjModel, num_envs: int, threads: int, fields: Iterable[str]) -> None:
        """Bind the derived ``fields`` of ``MjData``. 0 threads = one per processor core."""
        self._library = _library()
        problem = ctypes.create_string_buffer(1000)
        config = _Config(threads, True)
        self._batch = self._library.mjb_makeBatch(model._address, num_envs, byref(config), problem, len(problem))
        if not self._batch:
            raise MemoryError(f"MuJoCo cannot allocate memory for {num_envs} simulations: {problem.value.decode()}")
        weakref.finalize(self, self._library.mjb_deleteBatch, self._batch)
        self._num_envs = num_envs
        fields = set(fields)
        self._post = ctypes.cast(self._library.mj_rnePostConstraint, c_void_p) if fields & _FORCES else None
        self.model = model
        self.state = self._array(self._library.mjb_state(self._batch), self._library.mjb_nstate(self._batch))
        """Everything that later steps depend on. Shape (N, any)."""
        self.qpos, self.qvel, self.ctrl = (
            self._component(component)
            for component in (
                mujoco.mjtState.mjSTATE_QPOS,
                mujoco.mjtState.mjSTATE_QVEL,
                mujoco.mjtState.mjSTATE_CTRL,
            )
        )
        data = mujoco.MjData(model)
        self.fields = {name: self._output(name, getattr(data, name).shape) for name in sorted(fields)}
        """The derived fields, each of shape (N, as in ``MjData``)."""

    def step(self, controls: np.ndarray, substeps: int) -> None:
        """Advance all simulations by ``substeps`` with ``controls`` (N, nu)."""
        self.ctrl[:] = controls
        self._call("step", None, self._num_envs, substeps, 0)
        if self._post is not None:
            self._call("apply", None, self._num_envs, self._post, None, 0)
            self._call("forward", None, self._num_envs, 0)  # computes nothing, but copies the fields

    def reset(self, env_ids: np.ndarray, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """Start the simulations ``env_ids`` (n,) at ``qpos`` (n, nq) and ``qvel`` (n, nv); others are not touched."""
        ids = np.ascontiguousarray(env_ids, np.int32)
        self._call("reset", ids.ctypes.data, len(ids), None, 0)
        self.qpos[ids], self.qvel[ids] = qpos, qvel
        self._call("forward", ids.ctypes.data, len(ids), int(mujoco.mjtStage.mjSTAGE_ACC))

    def _call(self, name: str, *arguments: int | c_void_p | None) -> None:
        """Call a function of MuJoCo. Raises ``RuntimeError`` if a simulation fails."""
        if getattr(self._library, f"mjb_{name}")(self._batch, *arguments):
            status = self._library.mjb_status(self._batch)[: self._num_envs]
            failed = int(np.flatnonzero(status)[0])
            message = self._library.mjb_error(self._batch, failed).decode()
            raise RuntimeError(f"MuJoCo failed in environment {failed}: {message}")

    def _component(self, component: mujoco.mjtState) -> np.ndarray:
        size = c_int()
        place = self._library.mjb_stateComponent(self._batch, int(component), byref(size))
        first = (place - self.state.ctypes.data) // self.state.itemsize
        return self.state[:, first : first + size.value]

    def _output(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        size, bytes_each = c_int(), c_int()
        place = self._library.mjb_output(self._batch, name.encode(), byref(size), byref(bytes_each))
        return self._array(place, size.value).reshape(self._num_envs, *shape)

    def _array(self, place: int, columns: int) -> np.ndarray:
        buffer: Any = (c_double * (self._num_envs * columns)).from_address(place)
        buffer.owner = self  # which frees the memory
        array: np.ndarray = np.frombuffer(buffer).reshape(self._num_envs, columns)
        return array
