"""The process of the window: MuJoCo's viewer, which is sent poses and answers with what keys ask for.

``dexhand.view.window`` starts it. It asks for a frame whenever it can show one, and ends with the pipe.
"""

import contextlib
import json
import sys
import time
from multiprocessing.connection import Connection
from queue import SimpleQueue

import glfw
import mujoco
import mujoco.viewer

from dexhand.core.interfaces import Frame
from dexhand.sim.drawable_pictures import DrawableModel

HELP = "Space pause | Right one step | Backspace new episodes | Up, Down other environment | Esc end"
HELP_OF_TRAINING = "Up, Down other environment | Esc close"
REFRESH = 1 / 60
"""Shortest time between two frames, seconds."""
_ROOM = 1.3
"""How much farther away the camera is than all shapes of the first frame need."""
_ACTIONS = {glfw.KEY_SPACE: "pause", glfw.KEY_RIGHT: "step_once", glfw.KEY_BACKSPACE: "restart"}
_TURNS = {glfw.KEY_UP: 1, glfw.KEY_DOWN: -1}


class Window:
    """Shows one environment at a time."""

    def __init__(self, pipe: Connection) -> None:
        """Opens it with the first frame that comes through ``pipe``."""
        self._pipe = pipe
        shapes, self._title, self._num_envs, self._is_controlled = pipe.recv()
        self._drawn = DrawableModel(shapes)
        self._env_id = 0
        self._keys: SimpleQueue[int] = SimpleQueue()
        self._ask()
        _, first = pipe.recv()
        camera = mujoco.MjvCamera()
        self._drawn.look_at(first, camera)
        self._viewer = mujoco.viewer.launch_passive(
            self._drawn.model,
            self._drawn.data,
            key_callback=self._keys.put,
            show_left_ui=False,
            show_right_ui=False,
        )
        camera.distance *= _ROOM
        with self._viewer.lock():
            self._viewer.cam.lookat[:] = camera.lookat
            for name in ("distance", "azimuth", "elevation"):
                setattr(self._viewer.cam, name, getattr(camera, name))
        self._show(first)

    def run(self) -> None:
        """Show frames and obey keys until the window is closed."""
        self._ask()
        while self._viewer.is_running() and self._obey_keys():
            if self._pipe.poll(REFRESH):
                env_id, frame = self._pipe.recv()
                if env_id == self._env_id:
                    self._show(frame)
                time.sleep(REFRESH)
                self._ask()
        self._viewer.close()
        self._tell({"closed": True})

    def _ask(self) -> None:
        self._tell({"next": self._env_id})

    def _obey_keys(self) -> bool:
        """Do what the pressed keys say; returns False if one of them ends it."""
        while not self._keys.empty():
            key = self._keys.get()
            if key == glfw.KEY_ESCAPE:
                return False
            if key in _TURNS:
                self._env_id = (self._env_id + _TURNS[key]) % self._num_envs
                self._ask()
            elif key in _ACTIONS and self._is_controlled:
                self._tell({"do": _ACTIONS[key]})
        return True

    def _show(self, frame: Frame) -> None:
        with self._viewer.lock():
            self._drawn.pose(frame, 0)
        heading = f"{self._title}\n{self._env_id + 1} of {self._num_envs}\n{frame.caption[0]}"
        font, grid = mujoco.mjtFontScale.mjFONTSCALE_100, mujoco.mjtGridPos
        keys = HELP if self._is_controlled else HELP_OF_TRAINING
        self._viewer.set_texts([(font, grid.mjGRID_TOPLEFT, heading, ""), (font, grid.mjGRID_BOTTOMLEFT, keys, "")])
        self._viewer.sync()

    def _tell(self, message: object) -> None:
        self._pipe.send_bytes(json.dumps(message).encode())


def _problem() -> str | None:
    """Return why no window can be opened; MuJoCo's viewer would wait for ever."""
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
    with contextlib.suppress(EOFError, BrokenPipeError):  # the run has ended
        problem = _problem()
        pipe.send_bytes(json.dumps({"problem": problem}).encode())
        if problem is None:
            Window(pipe).run()


if __name__ == "__main__":
    main()
