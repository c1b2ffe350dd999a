"""Builders of what people watch."""

import sys
from typing import TYPE_CHECKING

from dexhand.config.errors import ConfigError
from dexhand.config.schema import Config
from dexhand.core.interfaces import Clock, Drawable, VecEnv
from dexhand.core.play_control import PlayControl
from dexhand.core.stop import StopRequest
from dexhand.core.task_env import TaskEnv
from dexhand.tasks import BaseTask

if TYPE_CHECKING:
    from dexhand.view.live import LiveView


def build_drawable(config: Config, env: VecEnv) -> Drawable | None:
    """Build what draws ``env``: its scene, or the environment itself. ``None`` if it cannot be drawn."""
    if isinstance(env, TaskEnv):
        from dexhand.sim.drawable import DrawableScene, no_captions

        captions = env.task.captions if isinstance(env.task, BaseTask) else no_captions
        return DrawableScene(env.simulator, config.sim, captions)
    has_all = all(hasattr(env, name) for name in ("shapes", "frame", "control_dt"))
    return env if has_all else None  # type: ignore[return-value]


def build_live_view(config: Config, env: VecEnv, clock: Clock, stop: StopRequest | None = None) -> "LiveView | None":
    """Build and open the page in the browser, ``None`` if none is wanted.

    With ``stop``, viewers can control the test that it stops. Raises ``ConfigError``.
    """
    settings = config.env
    if not _is_wanted(config):
        return None
    drawable = build_drawable(config, env)
    if drawable is None and settings.videoStream:
        raise ConfigError(
            f"env.videoStream=true: the environments of env.factory={settings.factory} cannot be drawn. Give them the "
            "members of Drawable in dexhand/core/interfaces.py"
        )
    if drawable is None:
        return None
    from dexhand.view.live import LiveView

    control = None if stop is None else PlayControl(stop, drawable.control_dt, clock, settings.videoStreamSpeed)
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


def _is_wanted(config: Config) -> bool:
    """Whether to open a page; by default in tests that a person started, at a terminal."""
    env = config.env
    if env.videoStream is None:
        return config.train.test and env.viewer is None and sys.stdout.isatty()
    return env.videoStream
