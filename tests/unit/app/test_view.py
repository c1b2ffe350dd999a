"""When a window and the page in the browser are opened, and for which environments."""

import sys
from collections.abc import Callable, Iterator

import pytest
from composed import composed

from dexhand.app import build
from dexhand.config.errors import ConfigError
from dexhand.core.interfaces import VecEnv
from dexhand.core.stop import StopRequest
from dexhand.hand_env.task_env import TaskEnv
from dexhand.mock.clock import FakeClock
from dexhand.mock.env import MockEnv
from dexhand.view.live import LiveView
from dexhand.view.window import Window, WindowUnavailable


class Bare:
    """Environments that cannot be drawn."""

    num_envs = 3
    reward_names = ()


def on_a_machine(monkeypatch: pytest.MonkeyPatch, *, at_terminal: bool, display: str = "") -> None:
    """Pretend that somebody works there."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: at_terminal, raising=False)
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., LiveView | None]]:
    """Opens a page for environments as the settings say, on a machine without a display."""
    opened: list[build.Screens] = []

    def open_page(env: object, *settings: str, at_terminal: bool = False) -> LiveView | None:
        on_a_machine(monkeypatch, at_terminal=at_terminal)
        opened.append(build.build_screens(composed(*settings), env, FakeClock(), StopRequest()))  # type: ignore[arg-type]
        assert opened[-1].window is None
        return opened[-1].page

    yield open_page
    for screens in opened:
        screens.close()


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


class FakeWindow(Window):
    """A window that nobody sees."""

    def __init__(self, *arguments: object, **options: object) -> None:
        pass

    def close(self) -> None:
        pass


class NoWindow(Window):
    """A window that cannot be opened."""

    def __init__(self, *arguments: object, **options: object) -> None:
        raise WindowUnavailable("no OpenGL")


def screens(monkeypatch: pytest.MonkeyPatch, *settings: str, at_terminal: bool = True) -> tuple[bool, bool, float]:
    """Whether there are a window and a page on a machine with a display, and the speed."""
    on_a_machine(monkeypatch, at_terminal=at_terminal, display=":0")
    opened = build.build_screens(composed(*settings), MockEnv(2), FakeClock(), StopRequest())
    opened.close()
    assert opened.control is not None or not opened.viewers
    return opened.window is not None, opened.page is not None, opened.control.speed if opened.control else 0.0


class TestWindow:
    def test_a_test_at_a_terminal_with_a_display_opens_one_by_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It plays in real time. What is asked for or refused is done."""
        monkeypatch.setattr("dexhand.view.window.Window", FakeWindow)
        assert screens(monkeypatch, "test=true") == (True, False, 1.0)
        assert screens(monkeypatch, "test=true", at_terminal=False) == (False, False, 0.0)
        assert screens(monkeypatch, "test=true", "videoStream=true") == (False, True, 0.0)
        assert screens(monkeypatch, "test=true", "videoStream=false") == (False, False, 0.0)
        assert screens(monkeypatch, "test=true", "headless=true") == (False, False, 0.0)
        assert screens(monkeypatch, "test=true", "viewer=true", at_terminal=False) == (True, False, 1.0)
        assert screens(monkeypatch, "viewer=true", "videoStream=true", "env.videoStreamSpeed=0.5") == (True, True, 0.5)

    def test_where_it_cannot_be_opened_the_page_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Unless a window was asked for: that is an error."""
        monkeypatch.setattr("dexhand.view.window.Window", NoWindow)
        assert screens(monkeypatch, "test=true") == (False, True, 0.0)
        with pytest.raises(ConfigError, match=r"env\.viewer=true: no OpenGL\. .*videoStream=true"):
            screens(monkeypatch, "test=true", "viewer=true")

    def test_without_a_display_the_error_names_the_alternatives(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Before anything is built."""
        on_a_machine(monkeypatch, at_terminal=True)
        with pytest.raises(ConfigError, match=r"env\.viewer=true: .*display.*videoStream=true.*videoRecord=true"):
            build.check_machine(composed("test=true", "viewer=true"))

    def test_environments_that_cannot_be_drawn_are_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As for the page."""
        on_a_machine(monkeypatch, at_terminal=True, display=":0")
        config = composed("test=true", "viewer=true", "env.factory=my_env.py:make")
        with pytest.raises(ConfigError, match=r"env\.viewer=true: .*my_env\.py:make cannot be drawn"):
            build.build_screens(config, Bare(), FakeClock(), StopRequest())  # type: ignore[arg-type]
