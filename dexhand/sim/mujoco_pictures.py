"""Off-screen rendering of a compiled scene."""

import os
from typing import ClassVar

import mujoco
import numpy as np

from dexhand.core.interfaces import RenderingUnavailable, Scene
from dexhand.sim.gl import INSTALL_HINT


class MujocoPictures:
    """Renders one environment at a time; keeps one renderer per image size."""

    _failure: ClassVar[str | None] = None
    """Why rendering failed in this process; it is not retried, as GLFW aborts the process at a second attempt."""

    def __init__(self, model: mujoco.MjModel, scene: Scene) -> None:
        self._model = model
        self._scene = scene
        self._renderers: dict[tuple[int, int], mujoco.Renderer] = {}

    def draw(self, data: mujoco.MjData, camera: str, width: int, height: int) -> np.ndarray:
        """See ``Simulator.render``; only the positions in ``data`` are used, the rest is recomputed."""
        name = self._scene.camera(camera).name
        renderer = self._renderer(width, height)
        mujoco.mj_forward(self._model, data)
        renderer.update_scene(data, camera=name)
        picture: np.ndarray = renderer.render()
        return picture.copy()

    def _renderer(self, width: int, height: int) -> "mujoco.Renderer":
        if (width, height) not in self._renderers:
            if os.environ.get("MUJOCO_GL") == "disable":
                raise RenderingUnavailable(f"No OpenGL library was found. {INSTALL_HINT}")
            if MujocoPictures._failure is not None:
                raise RenderingUnavailable(MujocoPictures._failure)
            try:
                self._renderers[width, height] = mujoco.Renderer(self._model, height, width)
            except Exception as error:  # GL platforms raise different exceptions
                gl = os.environ.get("MUJOCO_GL", "glfw")
                MujocoPictures._failure = f"MuJoCo cannot draw with MUJOCO_GL={gl}: {error}. {INSTALL_HINT}"
                raise RenderingUnavailable(MujocoPictures._failure) from error
        return self._renderers[width, height]

    def close(self) -> None:
        """Release the renderers."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()
