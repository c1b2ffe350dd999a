"""The process of the window, which is sent poses and answers with what keys ask for.

``dexhand.view.window`` starts it. It asks for a frame whenever it can show one, and ends with the pipe. MuJoCo draws;
its own viewer has other meanings for most keys and for the middle button.
"""

import contextlib
import json
import math
import sys
import time
from multiprocessing.connection import Connection
from typing import Any

import glfw
import mujoco
import numpy as np

from dexhand.sim.drawable_pictures import DrawableModel

CAMERA_HELP = "Drag: left orbit, middle pan, wheel zoom | W S A D Q E move"
HELP = "Space pause | Right one step | Backspace new episodes | Up, Down other environment | Esc end"
HELP_OF_TRAINING = "Up, Down other environment | Esc close"
SHARE = 2 / 3
"""Of the screen's width and height that the window takes at first."""
REFRESH = 1 / 60
"""Time between two pictures, seconds."""
_ROOM = 1.3
"""How much farther away the camera is than all shapes of the first frame need."""
_WALK = 0.7
"""How far a held key moves the camera in a second, as a part of its distance."""
_SCROLL = 0.05
"""How much a notch of the wheel zooms."""
_MOST_GEOMS = 10_000
_ACTIONS = {glfw.KEY_SPACE: "pause", glfw.KEY_RIGHT: "step_once", glfw.KEY_BACKSPACE: "restart"}
_TURNS = {glfw.KEY_UP: 1, glfw.KEY_DOWN: -1}
_WAYS = {
    glfw.KEY_W: (1, 0, 0),
    glfw.KEY_S: (-1, 0, 0),
    glfw.KEY_A: (0, 1, 0),
    glfw.KEY_D: (0, -1, 0),
    glfw.KEY_Q: (0, 0, 1),
    glfw.KEY_E: (0, 0, -1),
}
"""Forward, to the left, up."""
_DRAGS = {
    glfw.MOUSE_BUTTON_LEFT: mujoco.mjtMouse.mjMOUSE_ROTATE_V,
    glfw.MOUSE_BUTTON_MIDDLE: mujoco.mjtMouse.mjMOUSE_MOVE_V,
    glfw.MOUSE_BUTTON_RIGHT: mujoco.mjtMouse.mjMOUSE_MOVE_V,
}


class Window:
    """Shows one environment at a time."""

    def __init__(self, pipe: Connection) -> None:
        """Opens it with the first frame that comes through ``pipe``. GLFW must be initialised."""
        self._pipe = pipe
        shapes, self._title, self._num_envs, self._is_controlled = pipe.recv()
        self._drawn = DrawableModel(shapes)
        self._env_id = 0
        self._ask()
        _, self._frame = pipe.recv()
        self._camera = mujoco.MjvCamera()
        self._drawn.look_at(self._frame, self._camera)
        self._camera.distance *= _ROOM
        self._is_new = True
        """Whether the picture is to be drawn again."""
        self._pointer = (0.0, 0.0)
        self._window = self._open()
        self._context = mujoco.MjrContext(self._drawn.model, mujoco.mjtFontScale.mjFONTSCALE_100)
        self._scene = mujoco.MjvScene(self._drawn.model, _MOST_GEOMS)

    def _open(self) -> Any:
        glfw.window_hint(glfw.SAMPLES, 4)
        screen = glfw.get_video_mode(glfw.get_primary_monitor()).size
        width, height = int(SHARE * screen.width), int(SHARE * screen.height)
        window = glfw.create_window(width, height, f"dexhand: {self._title}", None, None)
        glfw.make_context_current(window)
        glfw.swap_interval(1)
        glfw.set_input_mode(window, glfw.STICKY_KEYS, True)  # a short press counts, however slow the picture is
        glfw.set_key_callback(window, self._on_key)
        glfw.set_scroll_callback(window, lambda _, x, y: self._move(mujoco.mjtMouse.mjMOUSE_ZOOM, 0.0, -_SCROLL * y))
        glfw.set_cursor_pos_callback(window, self._on_pointer)
        for subscribe in (glfw.set_framebuffer_size_callback, glfw.set_window_refresh_callback):
            subscribe(window, self._on_change)
        return window

    def run(self) -> None:
        """Show frames and obey keys and mouse until the window is closed."""
        self._ask()
        last = time.monotonic()
        while not glfw.window_should_close(self._window):
            glfw.wait_events_timeout(REFRESH)
            now = time.monotonic()
            self._walk(now - last)
            last = now
            if self._is_new:
                self._draw()
            if self._pipe.poll():
                env_id, frame = self._pipe.recv()
                if env_id == self._env_id:
                    self._frame, self._is_new = frame, True
                self._ask()
        glfw.terminate()
        self._tell({"closed": True})

    def _ask(self) -> None:
        self._tell({"next": self._env_id})

    # --- mouse and keys

    def _on_change(self, *_: Any) -> None:
        self._is_new = True

    def _on_key(self, window: Any, key: int, scancode: int, action: int, modifiers: int) -> None:
        if action == glfw.RELEASE:
            return
        if key == glfw.KEY_ESCAPE:
            glfw.set_window_should_close(window, True)
        elif key in _TURNS:
            self._env_id = (self._env_id + _TURNS[key]) % self._num_envs
            self._ask()
        elif key in _ACTIONS and self._is_controlled and (action == glfw.PRESS or key == glfw.KEY_RIGHT):
            self._tell({"do": _ACTIONS[key]})

    def _on_pointer(self, window: Any, x: float, y: float) -> None:
        before, self._pointer = self._pointer, (x, y)
        _, height = glfw.get_window_size(window)
        for button, drag in _DRAGS.items():
            if glfw.get_mouse_button(window, button) == glfw.PRESS:
                self._move(drag, (x - before[0]) / height, (y - before[1]) / height)
                return

    def _move(self, way: int, x: float, y: float) -> None:
        mujoco.mjv_moveCamera(self._drawn.model, way, x, y, self._camera)
        self._is_new = True

    def _walk(self, seconds: float) -> None:
        """Move the camera by the keys that are held."""
        held = [way for key, way in _WAYS.items() if glfw.get_key(self._window, key) == glfw.PRESS]
        if not held:
            return
        forward, left, up = np.sum(held, axis=0) * _WALK * self._camera.distance * min(seconds, 0.1)
        cos, sin = math.cos(math.radians(self._camera.azimuth)), math.sin(math.radians(self._camera.azimuth))
        self._camera.lookat += (forward * cos - left * sin, forward * sin + left * cos, up)
        self._is_new = True

    # --- the picture

    def _draw(self) -> None:
        self._is_new = False
        self._drawn.pose(self._frame, 0)
        mujoco.mjv_updateScene(
            self._drawn.model,
            self._drawn.data,
            mujoco.MjvOption(),
            None,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )
        view = mujoco.MjrRect(0, 0, *glfw.get_framebuffer_size(self._window))
        mujoco.mjr_render(view, self._scene, self._context)
        heading = f"{self._title}\n{self._env_id + 1} of {self._num_envs}\n{self._frame.caption[0]}"
        keys = f"{CAMERA_HELP}\n{HELP if self._is_controlled else HELP_OF_TRAINING}"
        places = mujoco.mjtGridPos
        for place, text in ((places.mjGRID_TOPLEFT, heading), (places.mjGRID_BOTTOMLEFT, keys)):
            mujoco.mjr_overlay(mujoco.mjtFont.mjFONT_NORMAL, place, view, text, "", self._context)
        glfw.swap_buffers(self._window)

    def _tell(self, message: object) -> None:
        self._pipe.send_bytes(json.dumps(message).encode())


def _problem() -> str | None:
    """Initialise GLFW; returns why no window can be opened, if so."""
    errors: list[str] = []
    glfw.set_error_callback(lambda _, text: errors.append(text.decode()))  # type: ignore[attr-defined]
    window = None
    if glfw.init():
        glfw.window_hint(glfw.VISIBLE, glfw.FALSE)
        window = glfw.create_window(64, 64, "", None, None)
    if not window:
        return " ".join(errors) or "GLFW cannot open windows here"
    glfw.destroy_window(window)
    glfw.default_window_hints()
    return None


def main() -> None:
    """Show what comes through the pipe, whose file descriptor is the argument."""
    pipe = Connection(int(sys.argv[1]))
    with contextlib.suppress(EOFError, ConnectionError):  # the run has ended
        problem = _problem()
        pipe.send_bytes(json.dumps({"problem": problem}).encode())
        if problem is None:
            Window(pipe).run()


if __name__ == "__main__":
    main()
