"""``Simulator.physics`` for both MuJoCo back-ends."""

from collections.abc import Callable, Iterable

import mujoco
import numpy as np
import torch
from torch import Tensor

from dexhand.hand_env.interfaces import Scene
from dexhand.sim.mujoco_scene import HAND_PREFIX
from dexhand.sim.mujoco_state import MujocoState
from dexhand.sim.physics import Physics

CHANGES_INERTIA = frozenset({"object_mass", "hand_mass", "armature"})
"""Parameters that MuJoCo derives constants from; ``set_const`` must be called after writing them."""

_SLIDING = 0
"""Column of ``geom_friction`` with sliding friction, before torsional and rolling friction."""


class MujocoPhysics(Physics):
    """Supports all parameters of ``PHYSICS`` and writes them into the fields of a model.

    ``expand`` gives a model field separate values for each environment and returns them, (N, ...). It is called when a
    parameter is first written, so that fields that are never varied stay shared.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        scene: Scene,
        num_envs: int,
        device: torch.device,
        state_map: MujocoState,
        expand: Callable[[str], Tensor],
    ) -> None:
        self._device = device
        self._expand = expand
        self._fields: dict[str, Tensor] = {}
        self._dofs = state_map.qvel_columns
        self._dof_of_actuator = state_map.dof_of_actuator
        hand = [body for body in range(model.nbody) if model.body(body).name.startswith(HAND_PREFIX)]
        self._hand = self._ids(hand)
        self._hand_geoms = self._ids(geom for geom in range(model.ngeom) if model.geom_bodyid[geom] in hand)
        self._objects = self._ids(model.body(box.name).id for box in scene.objects)
        self._object_geoms = self._ids(model.geom(box.name).id for box in scene.objects)
        self._ground = model.geom("ground").id
        self._mass = self._doubles(model.body_mass)
        self._inertia = self._doubles(model.body_inertia)
        self._friction = self._doubles(model.geom_friction[:, _SLIDING])
        super().__init__(self._of_scene(model), num_envs, device)

    def _ids(self, numbers: Iterable[int]) -> Tensor:
        return torch.tensor(list(numbers), dtype=torch.int64, device=self._device)

    def _doubles(self, values: np.ndarray) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=self._device)

    def _of_scene(self, model: mujoco.MjModel) -> dict[str, Tensor]:
        actuators = self._dof_of_actuator.tolist()
        servos = [actuators.index(dof) for dof in range(len(self._dofs))]
        dofs = self._dofs.cpu().numpy()
        return {
            "object_mass": self._mass[self._objects],
            "object_friction": self._friction[self._object_geoms],
            "ground_friction": self._friction[self._ground],
            "hand_mass": self._doubles(np.array(1.0)),
            "hand_friction": self._doubles(np.array(1.0)),
            "stiffness": self._doubles(model.actuator_gainprm[servos, 0]),
            "damping": self._doubles(-model.actuator_biasprm[servos, 2]),
            "joint_damping": self._doubles(model.dof_damping[dofs]),
            "armature": self._doubles(model.dof_armature[dofs]),
            "gravity": self._doubles(model.opt.gravity),
        }

    def write(self, names: Iterable[str]) -> None:
        """Write the current values of these parameters into the model, for all environments."""
        for name in names:
            self._write(name, self.precise(name))

    def _write(self, name: str, value: Tensor) -> None:
        match name:
            case "object_mass":
                self._scale_bodies(self._objects, value / self._mass[self._objects])
            case "hand_mass":
                self._scale_bodies(self._hand, value[:, None])
            case "object_friction":
                self._set("geom_friction", (self._object_geoms, _SLIDING), value)
            case "ground_friction":
                self._set("geom_friction", (self._ground, _SLIDING), value)
            case "hand_friction":
                friction = self._friction[self._hand_geoms] * value[:, None]
                self._set("geom_friction", (self._hand_geoms, _SLIDING), friction)
            case "stiffness":
                self._set("actuator_gainprm", (slice(None), 0), value[:, self._dof_of_actuator])
                self._set("actuator_biasprm", (slice(None), 1), -value[:, self._dof_of_actuator])
            case "damping":
                self._set("actuator_biasprm", (slice(None), 2), -value[:, self._dof_of_actuator])
            case "joint_damping":
                self._set("dof_damping", (self._dofs,), value)
            case "armature":
                self._set("dof_armature", (self._dofs,), value)
            case "gravity":
                self._set("opt.gravity", (), value)

    def _scale_bodies(self, bodies: Tensor, factor: Tensor) -> None:
        """Scale masses and inertias of ``bodies`` to multiples (N, bodies) of the compiled ones."""
        self._set("body_mass", (bodies,), self._mass[bodies] * factor)
        self._set("body_inertia", (bodies,), self._inertia[bodies] * factor[..., None])

    def _set(self, field: str, columns: tuple[Tensor | slice | int, ...], value: Tensor) -> None:
        if field not in self._fields:
            self._fields[field] = self._expand(field)
        rows = self._fields[field]
        rows[(slice(None), *columns)] = value.to(rows.dtype)
