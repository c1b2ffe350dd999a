"""When the page in the browser is opened, and for which environments."""

import sys
from collections.abc import Callable, Iterator

import pytest
from composed import composed

from dexhand.app import build
from dexhand.config.errors import ConfigError
from dexhand.core.interfaces import VecEnv
from dexhand.core.stop import StopRequest
from dexhand.core.task_env import TaskEnv
from dexhand.mock.clock import FakeClock
from dexhand.mock.env import MockEnv
from dexhand.view.live import LiveView


class Bare:
    """Environments that cannot be drawn."""

    num_envs = 3
    reward_names = ()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., LiveView | None]]:
    """Opens a page for environments as the settings say."""
    views: list[LiveView] = []

    def open_page(env: object, *settings: str, at_terminal: bool = False) -> LiveView | None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: at_terminal, raising=False)
        view = build.build_live_view(composed(*settings), env, FakeClock(), StopRequest())  # type: ignore[arg-type]
        views.extend([view] if view else [])
        return view

    yield open_page
    for view in views:
        view.close()


def test_a_test_at_a_terminal_opens_it_by_itself(
    opened: Callable[..., LiveView | None], make_env: Callable[..., TaskEnv]
) -> None:
    """But not where nobody reads the address, where it was refused, or in a training."""
    env = make_env(2)
    assert opened(env, "test=true", at_terminal=True) is not None
    assert opened(env, "test=true") is None
    assert opened(env, "test=true", "videoStream=false", at_terminal=True) is None
    assert opened(env, "test=true", "headless=true", at_terminal=True) is None
    assert opened(env, at_terminal=True) is None


def test_a_test_is_controlled_at_the_speed_that_is_set(opened: Callable[..., LiveView | None]) -> None:
    """``config=test_stream`` plays in real time."""
    env: VecEnv = MockEnv(3)
    view = opened(env, "test=true", "videoStream=true", "env.videoStreamSpeed=0.5")
    assert view is not None
    assert view.control is not None
    assert view.control.speed == 0.5


def test_environments_that_cannot_be_drawn_are_named(opened: Callable[..., LiveView | None]) -> None:
    """If the page is asked for; at a terminal there is just none."""
    with pytest.raises(ConfigError, match=r"my_env\.py:make cannot be drawn"):
        opened(Bare(), "test=true", "videoStream=true", "env.factory=my_env.py:make")
    assert opened(Bare(), "test=true", "env.factory=my_env.py:make", at_terminal=True) is None
