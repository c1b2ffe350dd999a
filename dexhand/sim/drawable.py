"""What a simulator's scene looks like, for views that draw it themselves."""

from collections.abc import Callable, Sequence
from typing import Protocol

import mujoco
import numpy as np
import torch
from torch import Tensor

from dexhand.config.schema import SimConfig
from dexhand.core.interfaces import Frame, Shape, Vec3
from dexhand.hand_env.interfaces import Simulator
from dexhand.sim.mujoco_scene import HAND_PREFIX, compile_scene

_SHOWN_GROUPS = 3
"""MuJoCo's viewer shows the geom groups 0, 1 and 2; by custom, collision shapes beside visual ones are in group 3."""

_TARGET_SIZE, _TARGET_RGBA = 0.03, (0.18, 0.62, 0.27, 0.45)
"""Diameter, metres, and colour of the ball that marks a target."""

_NO_TURN = (0.0, 0.0, 0.0, 1.0)
_WXYZ = [3, 0, 1, 2]
_XYZW = [1, 2, 3, 0]


class Annotations(Protocol):
    """What is shown besides the scene, as by ``dexhand.tasks.BaseTask``."""

    def captions(self, env_ids: Sequence[int]) -> Sequence[str]:
        """Return ``Frame.caption``."""

    def targets(self, env_ids: Sequence[int]) -> Tensor:
        """Return points to be reached, metres, always as many. Shape (E, any, 3)."""


class NoAnnotations:
    """Says nothing about any environment."""

    def captions(self, env_ids: Sequence[int]) -> Sequence[str]:
        """See ``Annotations.captions``."""
        return [""] * len(env_ids)

    def targets(self, env_ids: Sequence[int]) -> Tensor:
        """See ``Annotations.targets``."""
        return torch.zeros(len(env_ids), 0, 3)


class DrawableScene:
    """``Drawable`` of any simulator: MuJoCo compiles its scene once and computes body poses from its ``SimState``."""

    def __init__(
        self,
        simulator: Simulator,
        sim: SimConfig,
        annotations: Annotations,
    ) -> None:
        """Raises ``ValueError`` if the hand's MJCF is invalid."""
        scene = simulator.scene
        self.control_dt = simulator.control_dt
        self._simulator = simulator
        self._annotations = annotations
        self._model = compile_scene(scene, sim)
        self._data = mujoco.MjData(self._model)
        joints = [self._model.joint(HAND_PREFIX + name) for name in simulator.dof_names]
        self._dof_columns = [int(joint.qposadr[0]) for joint in joints]
        starts = [int(self._model.joint(box.name).qposadr[0]) for box in scene.objects]
        self._object_columns = [column for start in starts for column in range(start, start + 7)]
        names = [*(HAND_PREFIX + name for name in scene.contact_bodies), *(box.name for box in scene.objects)]
        self._pushed = [self._model.body(name).id for name in names]
        num_targets = annotations.targets([0]).shape[1]
        self.shapes = (*shapes_of(self._model), *(_target(self._model.nbody + index) for index in range(num_targets)))

    def frame(self, env_ids: Sequence[int]) -> Frame:
        """See ``Drawable.frame``."""
        state, rows = self._simulator.state, list(env_ids)

        def copied(*names: str) -> np.ndarray:
            return np.concatenate([getattr(state, name)[rows].cpu().numpy() for name in names], axis=-1)

        dof_pos, object_pose = copied("dof_pos"), copied("object_pos", "object_quat")
        object_qpos = np.concatenate((object_pose[..., :3], object_pose[..., 3:][..., _WXYZ]), axis=-1)
        body_pose = np.empty((len(rows), self._model.nbody, 7), np.float32)
        for row in range(len(rows)):
            self._data.qpos[self._dof_columns] = dof_pos[row]
            self._data.qpos[self._object_columns] = object_qpos[row].ravel()
            mujoco.mj_kinematics(self._model, self._data)
            body_pose[row, :, :3] = self._data.xpos
            body_pose[row, :, 3:] = self._data.xquat[:, _XYZW]
        force = np.concatenate((copied("contact_force"), copied("object_contact_force")), axis=1)
        points = body_pose[:, self._pushed, :3]
        targets = self._annotations.targets(rows).cpu().numpy()
        target_pose = np.concatenate((targets, np.broadcast_to(_NO_TURN, (*targets.shape[:2], 4))), axis=2)
        return Frame(
            np.concatenate((body_pose, target_pose), axis=1, dtype=np.float32),
            np.concatenate((points, force), axis=2),
            tuple(self._annotations.captions(rows)),
        )


_GEOMS = mujoco.mjtGeom
_KINDS: dict[int, tuple[str, Callable[[float, float, float], Vec3]]] = {
    _GEOMS.mjGEOM_BOX: ("box", lambda x, y, z: (2 * x, 2 * y, 2 * z)),
    _GEOMS.mjGEOM_SPHERE: ("ellipsoid", lambda radius, y, z: (2 * radius, 2 * radius, 2 * radius)),
    _GEOMS.mjGEOM_ELLIPSOID: ("ellipsoid", lambda x, y, z: (2 * x, 2 * y, 2 * z)),
    _GEOMS.mjGEOM_CYLINDER: ("cylinder", lambda radius, half, z: (2 * radius, 2 * radius, 2 * half)),
    _GEOMS.mjGEOM_CAPSULE: ("capsule", lambda radius, half, z: (2 * radius, 2 * radius, 2 * (half + radius))),
    _GEOMS.mjGEOM_MESH: ("mesh", lambda x, y, z: (1.0, 1.0, 1.0)),
}
"""Our name of MuJoCo's shapes and the extents that belong to their sizes. Planes and height fields are ground."""


def shapes_of(model: mujoco.MjModel) -> tuple[Shape, ...]:
    """Return the visible shapes of a model; planes and height fields are ground."""
    drawn = (model.geom_group < _SHOWN_GROUPS) & np.isin(model.geom_type, list(_KINDS))
    shapes = (_shape(model, int(geom)) for geom in drawn.nonzero()[0])
    return tuple(shape for shape in shapes if shape.rgba[3] > 0)


def _target(body: int) -> Shape:
    return Shape("ellipsoid", body, (_TARGET_SIZE,) * 3, rgba=_TARGET_RGBA)


def _shape(model: mujoco.MjModel, geom: int) -> Shape:
    kind, extents = _KINDS[int(model.geom_type[geom])]
    material, mesh = model.geom_matid[geom], model.geom_dataid[geom]
    rgba = model.geom_rgba[geom] if material < 0 else model.mat_rgba[material]
    is_mesh = kind == "mesh"
    return Shape(
        kind,  # type: ignore[arg-type]
        body=int(model.geom_bodyid[geom]),
        size=extents(*model.geom_size[geom].tolist()),
        position=tuple(model.geom_pos[geom].tolist()),
        quat=tuple(model.geom_quat[geom][_XYZW].tolist()),
        rgba=tuple(rgba.tolist()),
        vertices=_rows(model.mesh_vert, model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]) if is_mesh else None,
        faces=_rows(model.mesh_face, model.mesh_faceadr[mesh], model.mesh_facenum[mesh]) if is_mesh else None,
    )


def _rows(array: np.ndarray, start: int, count: int) -> np.ndarray:
    return array[start : start + count].copy()
