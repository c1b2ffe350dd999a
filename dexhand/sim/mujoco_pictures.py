"""Off-screen rendering with MuJoCo."""

import os
from typing import ClassVar

import mujoco
import numpy as np

from dexhand.core.interfaces import RenderingUnavailable
from dexhand.hand_env.interfaces import Scene
from dexhand.sim.gl import INSTALL_HINT


class Renderers:
    """One renderer per image size, made when it is needed. OpenGL binds them to the thread that makes them."""

    _failure: ClassVar[str | None] = None
    """Why rendering failed in this process; it is not retried, as GLFW aborts the process at a second attempt."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._renderers: dict[tuple[int, int], mujoco.Renderer] = {}

    def of_size(self, width: int, height: int) -> mujoco.Renderer:
        """Return the renderer of a size in pixels. Raises ``RenderingUnavailable``."""
        if (width, height) not in self._renderers:
            if os.environ.get("MUJOCO_GL") == "disable":
                raise RenderingUnavailable(f"No OpenGL library was found. {INSTALL_HINT}")
            if Renderers._failure is not None:
                raise RenderingUnavailable(Renderers._failure)
            try:
                self._renderers[width, height] = mujoco.Renderer(self._model, height, width)
            except Exception as error:  # GL platforms raise different exceptions
                gl = os.environ.get("MUJOCO_GL", "glfw")
                Renderers._failure = f"MuJoCo cannot draw with MUJOCO_GL={gl}: {error}. {INSTALL_HINT}"
                raise RenderingUnavailable(Renderers._failure) from error
        return self._renderers[width, height]

    def close(self) -> None:
        """Release the renderers."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()


class MujocoPictures:
    """Renders one environment of a compiled scene at a time."""

    def __init__(self, model: mujoco.MjModel, scene: Scene) -> None:
        self._model = model
        self._scene = scene
        self._renderers = Renderers(model)

    def draw(self, data: mujoco.MjData, camera: str, width: int, height: int) -> np.ndarray:
        """See ``Simulator.render``; only the positions in ``data`` are used, the rest is recomputed."""
        name = self._scene.camera(camera).name
        renderer = self._renderers.of_size(width, height)
        mujoco.mj_forward(self._model, data)
        renderer.update_scene(data, camera=name)
        picture: np.ndarray = renderer.render()
        return picture.copy()

    def close(self) -> None:
        """Release the renderers."""
        self._renderers.close()
