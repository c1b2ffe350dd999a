"""Isaac Gym's viewer window."""

import logging

from isaacgym import gymapi

from .scene import Camera

log = logging.getLogger(__name__)

_QUIT, _SYNC = "quit", "toggle_sync"


class Viewer:
    """Shows the simulation while it runs. Esc or the window's close button closes it; V pauses and resumes drawing.

    Closing it does not stop the run.
    """

    def __init__(self, gym: gymapi.Gym, sim: gymapi.Sim, env: gymapi.Env, camera: Camera) -> None:
        """Open a window that shows ``env`` through ``camera``. Raises ``RuntimeError`` if that is impossible."""
        self._gym = gym
        self._sim = sim
        self._is_drawing = True
        self._viewer = gym.create_viewer(sim, gymapi.CameraProperties())
        if self._viewer is None:
            raise RuntimeError("env.viewer=true: Isaac Gym could not open a window. Is there a display?")
        self._is_open = True
        gym.subscribe_viewer_keyboard_event(self._viewer, gymapi.KEY_ESCAPE, _QUIT)
        gym.subscribe_viewer_keyboard_event(self._viewer, gymapi.KEY_V, _SYNC)
        gym.viewer_camera_look_at(self._viewer, env, gymapi.Vec3(*camera["position"]), gymapi.Vec3(*camera["target"]))

    def show(self) -> None:
        """Draw the current state, at most in real time, and handle key presses."""
        if not self._is_open:
            return
        pressed = {event.action for event in self._gym.query_viewer_action_events(self._viewer) if event.value > 0}
        if _QUIT in pressed or self._gym.query_viewer_has_closed(self._viewer):
            log.info("The viewer was closed; the run continues without it")
            self.close()
            return
        if _SYNC in pressed:
            self._is_drawing = not self._is_drawing
        if self._is_drawing:
            self._gym.step_graphics(self._sim)
            self._gym.draw_viewer(self._viewer, self._sim, True)
            self._gym.sync_frame_time(self._sim)
        else:
            self._gym.poll_viewer_events(self._viewer)

    def close(self) -> None:
        """Close the window; calling it again does nothing."""
        if self._is_open:
            self._is_open = False
            self._gym.destroy_viewer(self._viewer)
