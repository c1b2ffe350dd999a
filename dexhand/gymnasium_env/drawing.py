"""Shapes, poses and pictures of Gymnasium's MuJoCo models."""

from collections.abc import Sequence

import mujoco
import numpy as np

from dexhand.core.interfaces import Shape
from dexhand.sim.drawable import shapes_of
from dexhand.sim.mujoco_pictures import Renderers

_TILE = 0.4
"""Size of a tile on the ground, metres."""
_TILES = range(-3, 4)
_PERIOD = 2 * _TILE
_XYZW = [1, 2, 3, 0]


class Drawing:
    """Draws a model from its joint positions. What travels stays in the middle, and tiles pass below it."""

    def __init__(self, model: mujoco.MjModel, travels: Sequence[int]) -> None:
        """``travels`` are the columns of ``qpos`` with the x and y that have no limits."""
        self._model = model
        self._travels = list(travels)
        self._data = mujoco.MjData(model)
        self._renderers = Renderers(model)
        self.shapes = (*shapes_of(model), *(_tiles(model.nbody) if travels else ()))
        """See ``Drawable.shapes``; the tiles belong to a body of their own, the last one."""

    def poses(self, qpos: np.ndarray) -> np.ndarray:
        """Return the poses of all bodies, float32 (E, K, 7), for ``qpos`` (E, nq)."""
        poses = np.zeros((len(qpos), self._model.nbody + 1, 7), np.float32)
        poses[:, -1, 6] = 1.0
        for pose, row in zip(poses, qpos):
            self._data.qpos[:] = row
            mujoco.mj_kinematics(self._model, self._data)
            pose[:-1, :3], pose[:-1, 3:] = self._data.xpos, self._data.xquat[:, _XYZW]
            travelled = np.zeros(3)
            travelled[: len(self._travels)] = row[self._travels]
            pose[1:-1, :3] -= travelled
            pose[-1, :3] = -np.remainder(travelled + _TILE, _PERIOD) + _TILE
        return poses

    def render(self, qpos: np.ndarray, camera: str, width: int, height: int) -> np.ndarray:
        """Draw one environment; see ``VecEnv.render``."""
        chosen = self._camera(camera)
        renderer = self._renderers.of_size(width, height)
        self._data.qpos[:] = qpos
        mujoco.mj_forward(self._model, self._data)
        renderer.update_scene(self._data, camera=chosen)
        picture: np.ndarray = renderer.render().copy()
        return picture

    def _camera(self, name: str) -> int:
        """Return the number of a camera of the model, -1 for MuJoCo's free one. Raises ``ValueError``."""
        known = [self._model.camera(number).name for number in range(self._model.ncam)]
        if name == "default":
            return 0 if known else -1
        if name not in known:
            raise ValueError(f"camera={name!r} is not in the model. Cameras: {', '.join(['default', *known])}")
        return known.index(name)

    def close(self) -> None:
        """Release the renderers."""
        self._renderers.close()


def _tiles(body: int) -> list[Shape]:
    """Flat squares on the ground, as on a chequerboard; they are where they were after each ``_PERIOD``."""
    places = [(x * _TILE, y * _TILE, 0.0) for x in _TILES for y in _TILES if (x + y) % 2 == 0]
    return [Shape("box", body, (_TILE, _TILE, 0.004), place, rgba=(0.62, 0.67, 0.72, 1.0)) for place in places]
