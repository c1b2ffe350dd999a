"""Builders of what people watch."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dexhand.app.build.machine import has_display, has_own_window, no_window
from dexhand.config.errors import ConfigError
from dexhand.config.schema import Config
from dexhand.core.comparison import SideBySide
from dexhand.core.interfaces import Clock, Drawable, MetricSink, RenderingUnavailable, VecEnv
from dexhand.core.play_control import PlayControl
from dexhand.core.stop import StopRequest
from dexhand.hand_env.task_env import TaskEnv
from dexhand.tasks import BaseTask
from dexhand.view.side_by_side import SideBySideDrawable
from dexhand.view.watched_env import ReplaySink, VideoSink, Viewer

if TYPE_CHECKING:
    from dexhand.view.live import LiveView
    from dexhand.view.recording import Recording
    from dexhand.view.replay import Replay
    from dexhand.view.window import Window

log = logging.getLogger(__name__)


def build_drawable(config: Config, env: VecEnv) -> Drawable | None:
    """Build what draws ``env``: its scene, or the environment itself. ``None`` if it cannot be drawn."""
    if isinstance(env, TaskEnv):
        from dexhand.sim.drawable import DrawableScene, NoAnnotations

        annotations = env.task if isinstance(env.task, BaseTask) else NoAnnotations()
        return DrawableScene(env.simulator, config.sim, annotations)
    if isinstance(env, SideBySide):
        left, right = (build_drawable(config, half) for half in env.halves)
        return None if left is None or right is None else SideBySideDrawable(left, right)
    has_all = all(hasattr(env, name) for name in ("shapes", "frame", "control_dt"))
    return env if has_all else None  # type: ignore[return-value]


@dataclass(frozen=True)
class Screens:
    """What shows a run while it runs."""

    window: "Window | None" = None
    page: "LiveView | None" = None
    control: PlayControl | None = None
    """What acts on a test that is watched."""

    @property
    def viewers(self) -> "list[Viewer]":
        """Those that there are."""
        return [viewer for viewer in (self.window, self.page) if viewer is not None]

    def show_run(self, name: str) -> None:
        """Show the name of the run."""
        if self.page is not None:
            self.page.show_run(name)

    def offer_checkpoints(self) -> None:
        """Let viewers choose which checkpoint of the run plays."""
        if self.page is not None:
            self.page.offers_checkpoints = True

    def close(self) -> None:
        """Close all. Calling it again does nothing."""
        for viewer in self.viewers:
            viewer.close()


def build_screens(config: Config, env: VecEnv, clock: Clock, stop: StopRequest | None = None) -> Screens:
    """Build and open what is wanted of a window and a page in the browser.

    With ``stop``, viewers can control the test that it stops. Raises ``ConfigError``.
    """
    settings = config.env
    wants_window, wants_page = _wants_window(config), _wants_page(config)
    drawable = build_drawable(config, env) if wants_window or wants_page else None
    if drawable is None:
        for key in ("viewer", "videoStream"):
            if getattr(settings, key) and (key == "videoStream" or wants_window):
                raise cannot_be_drawn(key, config)
        return Screens()
    speed = settings.videoStreamSpeed
    control = None if stop is None else PlayControl(stop, drawable.control_dt, clock, speed)
    window = _window(config, env, drawable, control) if wants_window else None
    if window is not None and control is not None:
        control.speed = speed or 1.0
    wants_page &= window is None or bool(settings.videoStream)
    try:
        page = _page(config, env, drawable, control) if wants_page else None
    except ConfigError:
        if window is not None:
            window.close()
        raise
    return Screens(window, page, control)


def _wants_window(config: Config) -> bool:
    """Whether to open a window; by default in tests that a person started, at a terminal. Isaac Gym has its own."""
    env = config.env
    if has_own_window(config):
        return False
    if env.viewer is None:
        return config.train.test and env.videoStream is None and sys.stdout.isatty() and has_display()
    return env.viewer


def _wants_page(config: Config) -> bool:
    """Whether to open a page; by default in tests that a person started, at a terminal, without a window."""
    env = config.env
    if env.videoStream is None:
        return config.train.test and env.viewer is None and sys.stdout.isatty()
    return env.videoStream


def _window(config: Config, env: VecEnv, drawable: Drawable, control: PlayControl | None) -> "Window | None":
    """Open a window; where none was asked for, one that cannot be opened is left out."""
    from dexhand.view.window import Window, WindowUnavailable

    try:
        return Window(env, drawable, "dexhand.sim.window_process", title=config.subject, control=control)
    except WindowUnavailable as error:
        if config.env.viewer:
            raise no_window(str(error)) from None
        log.info("There is no window: %s", error)
        return None


def _page(config: Config, env: VecEnv, drawable: Drawable, control: PlayControl | None) -> "LiveView":
    from dexhand.view.live import LiveView

    settings = config.env
    try:
        return LiveView(
            env,
            drawable,
            title=config.subject,
            port=settings.videoStreamPort,
            bind_all=settings.videoStreamBindAll,
            control=control,
        )
    except OSError as error:
        raise ConfigError(f"env.videoStreamPort={settings.videoStreamPort}: {error}") from None


def build_recording(config: Config, env: VecEnv, folder: Path, sinks: Sequence[MetricSink]) -> "Recording | None":
    """Build what records videos into ``folder``, ``None`` if none are wanted.

    Finished videos are also sent to the ``sinks`` that accept them. Raises ``ConfigError`` if it is impossible here.
    """
    settings = config.env
    if not settings.videoRecord:
        return None
    drawable = build_drawable(config, env)
    if drawable is None:
        raise cannot_be_drawn("videoRecord", config)
    import av

    from dexhand.view.film import ProcessFilm
    from dexhand.view.recording import Recording
    from dexhand.view.video import CODEC

    if CODEC not in av.codecs_available:
        raise ConfigError(
            f"env.videoRecord=true: PyAV was built without {CODEC}. Install its wheel: "
            "pip install --force-reinstall --no-deps --only-binary=av av"
        )
    accepting = [sink for sink in sinks if isinstance(sink, VideoSink)]
    try:
        return Recording(
            env,
            drawable,
            lambda: ProcessFilm("dexhand.app.film_process", drawable.shapes),
            folder,
            title=config.subject,
            max_duration=settings.videoMaxDuration,
            waits=config.train.test and config.train.testGamesNum > 0,
            sinks=accepting,
        )
    except RenderingUnavailable as error:
        raise ConfigError(f"env.videoRecord=true: {error} Or watch in a browser: env.videoStream=true") from None


def build_replay(config: Config, env: VecEnv, path: Path, sinks: Sequence[MetricSink] = ()) -> "Replay | None":
    """Build what keeps the beginning of a test in ``path``, ``None`` if that is not wanted or cannot be drawn.

    The page is also sent to the ``sinks`` that accept it.
    """
    settings = config.env
    drawable = build_drawable(config, env) if settings.replayDuration else None
    if drawable is None:
        return None
    from dexhand.view.replay import Replay

    return Replay(
        env,
        drawable,
        path,
        title=config.subject,
        duration=settings.replayDuration,
        max_megabytes=settings.replayMegabytes,
        sinks=[sink for sink in sinks if isinstance(sink, ReplaySink)],
    )


def cannot_be_drawn(key: str, config: Config) -> ConfigError:
    """Return the error for environments without ``Drawable`` that ``env.<key>`` asks to draw."""
    factory = config.env.factory
    maker = f"task={config.task.subject}" if factory is None else f"env.factory={factory}"
    hint = ". Give them the members of Drawable in dexhand/core/interfaces.py"
    if factory is None:
        hint = ". Leave it out; dexhand panel --experiment=RUN chooses what plays without a picture of it"
    return ConfigError(
        f"env.{key}={str(getattr(config.env, key)).lower()}: the environments of {maker} cannot be drawn{hint}"
    )
