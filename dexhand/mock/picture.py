"""Images of sticks and boxes on a checkered ground, drawn with numpy."""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from dexhand.hand_env.interfaces import Camera

SKY = (214, 226, 238)
GROUND = ((232, 232, 228), (205, 206, 204))
BONE = (70, 78, 92)
JOINT = (40, 165, 120)
BONE_RADIUS = 0.006
JOINT_RADIUS = 0.008
TILE = 0.1
"""Edge of a ground tile, metres."""
NEAREST = 0.02
"""Shapes that come closer to the camera than this are not drawn, metres."""

Colour = tuple[float, ...]
Coverage = Callable[[np.ndarray, np.ndarray], np.ndarray]

_FACES = tuple((axis, side) for axis in range(3) for side in (-1.0, 1.0))


class Picture:
    """Collects shapes in world coordinates and paints them from back to front."""

    def __init__(self, camera: Camera, width: int, height: int) -> None:
        self._view = (camera, width, height)
        self._size = (width, height)
        self._eye = np.array(camera.position)
        # focal length in pixels
        self._focal = height / 2 / math.tan(math.radians(camera.fovy) / 2)
        self._axes = _view_axes(np.array(camera.target) - self._eye)
        self._shapes: list[tuple[float, Callable[[np.ndarray], None]]] = []

    def bone(self, start: np.ndarray, end: np.ndarray) -> None:
        """Add a stick between two points with a ball at its end."""
        self._segment(start, end, BONE_RADIUS, BONE)
        # slightly nearer, so that the ball covers the stick
        self._segment(end, end, JOINT_RADIUS, JOINT, lift=1e-3)

    def box(self, centre: np.ndarray, quat: np.ndarray, size: Sequence[float], rgba: Colour) -> None:
        """Add a box, whose faces are shaded by their direction."""
        axes = _rotation_matrix(quat) * (np.array(size) / 2)
        for axis, side in _FACES:
            across, along = axes[:, (axis + 1) % 3], axes[:, (axis + 2) % 3]
            middle = centre + side * axes[:, axis]
            corners = [middle + a * across + b * along for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1))]
            upwards = side * axes[2, axis] / max(float(np.linalg.norm(axes[:, axis])), 1e-9)
            self._polygon(corners, tuple(255 * c * (0.75 + 0.25 * upwards) for c in rgba[:3]))

    def draw(self) -> np.ndarray:
        """Return the image, uint8 (height, width, 3)."""
        image = _background(*self._view).copy()
        for _, paint in sorted(self._shapes, key=lambda shape: -shape[0]):
            paint(image)
        return image

    def background(self) -> np.ndarray:
        """Return the ground and the sky."""
        width, height = self._size
        columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        right, up, forward = self._axes
        sideways, upwards = (columns - width / 2) / self._focal, (height / 2 - rows) / self._focal
        rays = sideways[..., None] * right + upwards[..., None] * up + forward
        # rays that do not point down never hit the ground
        reach = self._eye[2] / np.where(rays[..., 2] < -1e-6, -rays[..., 2], np.inf)
        tiles = np.floor((self._eye[:2] + reach[..., None] * rays[..., :2]) / TILE).astype(np.int64).sum(axis=-1)
        image: np.ndarray = np.array(GROUND, dtype=np.uint8)[tiles % 2]
        image[reach <= 0] = SKY
        return image

    def _project(self, points: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return pixel coordinates (P, 2) and depths (P,), metres."""
        seen = (np.array(points) - self._eye) @ self._axes.T
        depth = seen[:, 2]
        offset = seen[:, :2] * [1, -1] * self._focal / np.maximum(depth, NEAREST)[:, None]
        return offset + np.array(self._size) / 2, depth

    def _segment(self, start: np.ndarray, end: np.ndarray, radius: float, colour: Colour, lift: float = 0.0) -> None:
        (a, b), depth = self._project((start, end))
        pixels = max(radius * self._focal / max(float(depth.mean()), NEAREST), 1.0)
        along = b - a
        length_squared = max(float(along @ along), 1e-12)

        def covers(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            at = np.clip(((x - a[0]) * along[0] + (y - a[1]) * along[1]) / length_squared, 0, 1)
            near: np.ndarray = (x - a[0] - at * along[0]) ** 2 + (y - a[1] - at * along[1]) ** 2 <= pixels**2
            return near

        self._add(np.array((a, b)), depth, covers, colour, margin=pixels, lift=lift)

    def _polygon(self, corners: Sequence[np.ndarray], colour: Colour) -> None:
        points, depth = self._project(corners)

        def covers(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            edges = zip(points, np.roll(points, -1, axis=0))
            sides = np.array([(b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]) for a, b in edges])
            inside: np.ndarray = np.all(sides >= 0, axis=0) | np.all(sides <= 0, axis=0)
            return inside

        self._add(points, depth, covers, colour)

    def _add(
        self,
        points: np.ndarray,
        depth: np.ndarray,
        covers: Coverage,
        colour: Colour,
        margin: float = 0.0,
        lift: float = 0.0,
    ) -> None:
        """Queue painting of the pixels near ``points`` for which ``covers`` is true."""
        if depth.min() < NEAREST:
            return
        low = np.clip(np.floor(points.min(axis=0) - margin), 0, self._size).astype(int)
        high = np.clip(np.ceil(points.max(axis=0) + margin) + 1, 0, self._size).astype(int)

        def paint(image: np.ndarray) -> None:
            x, y = np.meshgrid(np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1]) + 0.5)
            image[low[1] : high[1], low[0] : high[0]][covers(x, y)] = np.clip(colour, 0, 255)

        self._shapes.append((float(depth.mean()) - lift, paint))


def _view_axes(forward: np.ndarray) -> np.ndarray:
    """Return the camera's right, up and forward axes as rows; the world's z points up in the image."""
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    if np.linalg.norm(right) < 1e-6:
        # straight up or down: x points to the right
        right = np.array((1.0, 0.0, 0.0))
    right = right / np.linalg.norm(right)
    return np.stack((right, np.cross(right, forward), forward))


def _rotation_matrix(quat: np.ndarray) -> np.ndarray:
    x, y, z, w = (float(value) for value in quat)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


@lru_cache(maxsize=8)
def _background(camera: Camera, width: int, height: int) -> np.ndarray:
    """Painting it takes longer than the hand."""
    return Picture(camera, width, height).background()
