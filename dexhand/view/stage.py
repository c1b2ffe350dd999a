"""The environments as a 3-D scene in viser: hands and objects in a grid, contact forces, captions."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import product
from math import ceil, sqrt, tan
from typing import Any

import numpy as np
import trimesh
import viser

from dexhand.core.interfaces import Frame, Shape

ARROW_PER_NEWTON = 0.02
"""Length of the arrow of a contact force, metres per newton."""
LONGEST_ARROW = 0.2
LEAST_FORCE = 0.05
"""Smaller forces are not shown, newtons."""

MOST_WITH_SHADOWS = 16
"""More environments than these cast no shadows, which double what a browser has to draw."""

Vector = tuple[float, float, float]

FIELD_OF_VIEW = 0.8
"""Of the camera from top to bottom, rad."""

_ROUND = 16
"""Corners of a circle: few, since a browser may have to draw thousands of shapes without a graphics card."""


class Stage:
    """Draws chosen environments side by side. One batch of instances per mesh, whatever the number of environments."""

    def __init__(self, server: viser.ViserServer, shapes: Sequence[Shape], precision: float = 0.0) -> None:
        """Poses are rounded to multiples of ``precision``, so that they can be compressed; 0 = not rounded."""
        self._scene = server.scene
        self._server = server
        self._shapes = shapes
        self._precision = precision
        self._bodies = [shape.body for shape in shapes]
        self._local_pos = np.array([shape.position for shape in shapes], np.float32)
        self._local_quat = np.array([shape.quat for shape in shapes], np.float32)
        self._groups = _grouped(shapes)
        self._shown: tuple[int, ...] = ()
        self._batches: list[tuple[list[int], Any]] = []
        self._labels: list[Any] = []
        self._spacing = 0.0
        self._framed: dict[int, Vector] = {}
        """Where viewers' cameras were placed last, by the viewers' numbers."""
        self._is_dark = False
        self.show_forces = True
        self.show_captions = True
        self.followed: int | None = None
        """The environment that stays in the middle of the picture; ``None`` = the whole grid does."""
        self._set_up()

    def _set_up(self) -> None:
        self._scene.set_up_direction("+z")
        self._scene.configure_default_lights(cast_shadow=True)
        self._world = self._scene.add_frame("/world", show_axes=False)
        self._arrows = self._scene.add_arrows(
            "/world/forces",
            np.zeros((0, 2, 3), np.float32),
            (230, 60, 40),
            shaft_radius=0.002,
            head_radius=0.006,
            head_length=0.012,
        )

    def show(self, env_ids: tuple[int, ...], frame: Frame) -> None:
        """Show a frame of the environments ``env_ids``."""
        pos, quat = world_poses(frame.body_pose[:, self._bodies], self._local_pos, self._local_quat)
        if not self._spacing:
            self._set_spacing(pos)
        offsets = self._offsets(len(env_ids))
        pos += offsets[:, None]
        if self._precision:
            pos, quat = (np.round(array / self._precision) * self._precision for array in (pos, quat))
        with self._server.atomic():
            if env_ids != self._shown:
                self._arrange(env_ids, pos, quat)
            for members, batch in self._batches:
                batch.batched_positions = pos[:, members].reshape(-1, 3)
                batch.batched_wxyzs = quat[:, members].reshape(-1, 4)
            self._arrows.points = self._arrow_points(frame.force, offsets)
            self._show_captions(frame.caption)
            self._follow(pos)

    def _set_spacing(self, pos: np.ndarray) -> None:
        """Choose the distance of neighbours from the first frame."""
        sizes = np.array([shape.size for shape in self._shapes if shape.kind != "mesh"] or [(0.2, 0.2, 0.2)])
        reach = float(abs(pos[..., :2]).max() + sizes[:, :2].max() / 2)
        self._spacing = max(0.5, ceil(20 * reach) / 10)

    def _offsets(self, count: int) -> np.ndarray:
        """Places (count, 3) of environments in a grid around the origin, row by row."""
        columns, rows = _layout(count)
        place = np.arange(count)
        x = place % columns - (columns - 1) / 2
        y = (rows - 1) / 2 - place // columns
        return np.stack((x, y, 0.0 * x), axis=1).astype(np.float32) * self._spacing

    def _arrange(self, env_ids: tuple[int, ...], pos: np.ndarray, quat: np.ndarray) -> None:
        """Make the batches, ground and captions for another choice of environments."""
        for handle in [batch for _, batch in self._batches] + self._labels:
            handle.remove()
        self._shown, count = env_ids, len(env_ids)
        self._batches = [
            (members, self._batch(number, mesh, members, count, pos, quat))
            for number, (mesh, members) in enumerate(self._groups)
        ]
        offsets = self._offsets(count)
        self._labels = [
            self._scene.add_label(f"/world/captions/{env_id}", str(env_id), position=(x, y, 0.02), anchor="top-center")
            for env_id, (x, y, _) in zip(env_ids, offsets - [0.0, 0.3 * self._spacing, 0.0])
        ]
        self._lay_ground()
        camera = self._server.initial_camera
        camera.fov = FIELD_OF_VIEW
        camera.position, camera.look_at = view_of(self._reach, aspect=1.5)
        for client in self._server.get_clients().values():
            self._frame(client.camera)

    @property
    def _side(self) -> float:
        """Length of the grid's longer side, metres."""
        return self._spacing * _layout(len(self._shown))[0]

    @property
    def _reach(self) -> tuple[float, float]:
        """How far from the middle of the grid anything usually is along x and y, metres."""
        columns, rows = _layout(len(self._shown))
        return self._spacing * (columns / 2 - 0.15), self._spacing * (rows / 2 - 0.15)

    def frame_for(self, client: viser.ClientHandle) -> None:
        """Keep a viewer's camera where it sees all environments, until the viewer moves it, and after "Reset View"."""
        client.camera.on_update(self._frame_untouched)
        self._frame(client.camera)

    def forget(self, client: viser.ClientHandle) -> None:
        """Forget a viewer who has left."""
        self._framed.pop(client.client_id, None)

    def _frame_untouched(self, camera: viser.CameraHandle) -> None:
        placed = self._server.initial_camera.position, self._framed.get(camera.client.client_id, (0.0, 0.0, 0.0))
        if any(np.allclose(camera.position, position, atol=1e-3) for position in placed):
            self._frame(camera)

    def _frame(self, camera: viser.CameraHandle) -> None:
        if not self._shown:  # they are framed for everyone when they come
            return
        position, look_at = view_of(self._reach, camera.aspect)
        self._framed[camera.client.client_id] = position
        if np.allclose(camera.position, position, atol=1e-3):  # or the beginning of a drag would be taken back
            return
        with camera.client.atomic():
            camera.position, camera.look_at = position, look_at

    def set_dark(self, dark: bool) -> None:
        """Choose a dark ground or a light one."""
        self._is_dark = dark
        if self._shown:
            self._lay_ground()

    def _lay_ground(self) -> None:
        side = self._side + self._spacing
        plane, cell, section = (50, 66, 82) if self._is_dark else (237, 224, 207)
        self._scene.add_grid(
            "/world/ground",
            side,
            side,
            cell_size=self._spacing / 5,
            section_size=self._spacing,
            cell_color=(cell, cell, cell + 4),
            section_color=(section, section, section + 5),
            plane_color=(plane, plane, plane + 4),
            plane_opacity=1.0,
            shadow_opacity=0.3,
        )

    def _batch(self, number: int, mesh: Any, members: list[int], count: int, pos: np.ndarray, quat: np.ndarray) -> Any:
        shapes = [self._shapes[member] for member in members]
        rgba = np.tile([shape.rgba for shape in shapes], (count, 1))
        return self._scene.add_batched_meshes_simple(
            f"/world/shapes/{number}",
            np.asarray(mesh.vertices),
            np.asarray(mesh.faces),
            batched_wxyzs=quat[:, members].reshape(-1, 4),
            batched_positions=pos[:, members].reshape(-1, 3),
            batched_scales=np.tile([_scale(shape) for shape in shapes], (count, 1)).astype(np.float32),
            batched_colors=(255 * rgba[:, :3]).astype(np.uint8),
            batched_opacities=rgba[:, 3].astype(np.float32) if (rgba[:, 3] < 1).any() else None,
            lod="off",
            cast_shadow=count <= MOST_WITH_SHADOWS,
            flat_shading=shapes[0].kind in ("box", "mesh"),
        )

    def _arrow_points(self, force: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Ends of arrows (number, 2, 3) for the forces (E, any, 6) that are worth showing."""
        points, vectors = (force[..., :3] + offsets[:, None]).reshape(-1, 3), force[..., 3:].reshape(-1, 3)
        size = np.linalg.norm(vectors, axis=1)
        seen = (size > LEAST_FORCE) & self.show_forces
        length = np.minimum(ARROW_PER_NEWTON * size[seen] + 0.02, LONGEST_ARROW)
        ends = points[seen] + vectors[seen] * (length / size[seen])[:, None]
        return np.stack((points[seen], ends), axis=1).astype(np.float32)

    def _show_captions(self, captions: Sequence[str]) -> None:
        for label, env_id, caption in zip(self._labels, self._shown, captions):
            label.visible = self.show_captions
            text = f"{env_id} · {caption}" if caption else str(env_id)
            if label.text != text:
                label.text = text

    def _follow(self, pos: np.ndarray) -> None:
        if self.followed in self._shown:
            x, y, _ = pos[self._shown.index(self.followed)].mean(axis=0).tolist()
            self._world.position = (-x, -y, 0.0)
        else:
            self._world.position = (0.0, 0.0, 0.0)


def _layout(count: int) -> tuple[int, int]:
    """Columns and rows of the grid."""
    columns = ceil(sqrt(count)) or 1
    return columns, ceil(count / columns)


def _grouped(shapes: Sequence[Shape]) -> list[tuple[Any, list[int]]]:
    """Meshes with the indices of the shapes that are copies of them, stretched by ``_scale``."""
    groups: dict[Any, list[int]] = defaultdict(list)
    for index, shape in enumerate(shapes):
        own = {"capsule": shape.size, "mesh": index}.get(shape.kind)
        groups[shape.kind, own, shape.rgba[3] < 1].append(index)  # what is solid hides what is behind it
    return [(_mesh(shapes[members[0]]), members) for members in groups.values()]


def _mesh(shape: Shape) -> Any:
    if shape.kind == "mesh":
        return trimesh.Trimesh(shape.vertices, shape.faces, process=False)
    if shape.kind == "capsule":
        diameter, _, length = shape.size
        return trimesh.creation.capsule(length - diameter, diameter / 2, count=[_ROUND // 2, _ROUND])
    if shape.kind == "cylinder":
        return trimesh.creation.cylinder(0.5, 1.0, sections=_ROUND)
    if shape.kind == "ellipsoid":
        return trimesh.creation.icosphere(2, 0.5)
    return trimesh.creation.box((1.0, 1.0, 1.0))


def _scale(shape: Shape) -> tuple[float, float, float]:
    return (1.0, 1.0, 1.0) if shape.kind == "capsule" else shape.size


def view_of(reach: tuple[float, float], aspect: float) -> tuple[Vector, Vector]:
    """Where a camera is and looks to see what is no farther from the origin than ``reach`` along x and y."""
    axes = np.array(((1.0, 0.4, 0.0), (-0.24, 0.6, 1.16), (0.4, -1.0, 0.6)))  # right, up, backward
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    look_at = np.array((0.0, 0.0, 0.2))
    corners = np.array(list(product((-reach[0], reach[0]), (-reach[1], reach[1]), (-0.2, 0.3))))
    across, upward, nearer = axes @ corners.T
    slope = tan(FIELD_OF_VIEW / 2)
    distance = (np.maximum(abs(across) / aspect, abs(upward)) / slope + nearer).max()
    return tuple((look_at + distance * axes[2]).tolist()), tuple(look_at.tolist())


def world_poses(body_pose: np.ndarray, pos: np.ndarray, quat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions (E, S, 3) and quaternions (w, x, y, z) (E, S, 4) of shapes fixed at ``pos`` and ``quat`` of bodies."""
    vector, w = body_pose[..., 3:6], body_pose[..., 6:]
    local, local_w = quat[:, :3], quat[:, 3:]
    turned = pos + 2.0 * np.cross(vector, np.cross(vector, pos) + w * pos)
    product_vector = w * local + local_w * vector + np.cross(vector, local)
    product_w = w * local_w - (vector * local).sum(axis=-1, keepdims=True)
    return body_pose[..., :3] + turned, np.concatenate((product_w, product_vector), axis=-1)
