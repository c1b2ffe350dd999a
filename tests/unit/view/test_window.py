"""The window acts on a test, and its failure is not the run's. Programs that draw nothing stand in for MuJoCo's."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dexhand.core.play_control import PlayControl, Restart
from dexhand.core.stop import StopRequest
from dexhand.mock.env import MockEnv
from dexhand.view.watched_env import watched
from dexhand.view.window import Window, WindowUnavailable

BEGIN = """
import json, sys
from multiprocessing.connection import Connection
pipe = Connection(int(sys.argv[1]))
def tell(**message): pipe.send_bytes(json.dumps(message).encode())
"""
OPEN = f"{BEGIN}\ntell(problem=None)\nsettings = pipe.recv()\n"
PATIENCE = 60.0
Opener = Callable[[str], Window]


@pytest.fixture
def opened(tmp_path: Path, control: PlayControl, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opener]:
    """Opens a window that this program draws."""
    windows: list[Window] = []
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")

    def open_window(program: str) -> Window:
        (tmp_path / "drawing.py").write_text(program)
        env = MockEnv(3)
        windows.append(Window(env, env, "drawing", title="Reach", control=control))
        return windows[-1]

    yield open_window
    for window in windows:
        window.close()


def wait(is_so: Callable[[], object]) -> None:
    """Wait for what another process causes."""
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_it_is_shown_the_environment_that_it_asks_for(opened: Opener, control: PlayControl) -> None:
    """One frame for each request; it pauses when it has got the right one."""
    window = opened(
        f"{OPEN}\ntell(next=2)\nenv_id, frame = pipe.recv()\n"
        "if env_id == 2 and frame.body_pose.shape[0] == 1: tell(do='pause')\npipe.recv()"
    )
    env = watched(MockEnv(3), [window])
    env.reset()

    def steps_until_paused() -> bool:
        window.on_env_step(None)
        return control.is_paused

    wait(steps_until_paused)


def test_closing_it_ends_the_test(opened: Opener, stop: StopRequest) -> None:
    """As Ctrl-C does."""
    opened(f"{OPEN}\ntell(closed=True)")
    wait(lambda: stop.requested)


def test_during_a_pause_another_environment_is_shown(opened: Opener, control: PlayControl) -> None:
    """Without a step, which the pause still forbids."""
    opened(f"{OPEN}\ntell(next=2)\nif pipe.recv()[0] == 2: tell(do='pause')\npipe.poll(None)")
    control.step_once()

    def paused_is_over() -> bool:
        for listener in control.while_waiting:
            listener()
        return not control.is_paused

    wait(paused_is_over)


def test_a_single_step_pauses_and_the_pause_key_goes_on(opened: Opener, control: PlayControl) -> None:
    """One key starts and ends a pause."""
    opened(f"{OPEN}\ntell(do='step_once')\npipe.poll(None)")
    wait(lambda: control.is_paused)
    opened(f"{OPEN}\ntell(do='pause')\npipe.poll(None)")
    wait(lambda: not control.is_paused)


def test_new_episodes_are_started(opened: Opener, control: PlayControl) -> None:
    """With the random numbers that follow."""
    opened(f"{OPEN}\ntell(do='restart')\npipe.poll(None)")
    wait(lambda: control.wait() == Restart(None))


def test_its_failure_does_not_end_the_test(
    opened: Opener, control: PlayControl, stop: StopRequest, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said, and a pause is over, which nobody could end any more."""
    control.pause()
    with caplog.at_level(logging.ERROR):
        opened(f"{OPEN}\nimport os; os.abort()")
        wait(lambda: "The window has failed; the run goes on" in caplog.text)
    assert not control.is_paused
    assert not stop.requested


def test_what_it_may_not_ask_for_is_ignored(opened: Opener, caplog: pytest.LogCaptureFixture) -> None:
    """Such as an environment that does not exist."""
    opened(f"{OPEN}\ntell(next=3)\npipe.poll(None)")
    wait(lambda: "{'next': 3}, which is ignored" in caplog.text)


@pytest.mark.parametrize(
    ("program", "reason"),
    [(f"{BEGIN}\ntell(problem='no OpenGL')", "no OpenGL"), ("raise SystemExit(1)", "has ended")],
)
def test_where_it_cannot_be_opened_the_reason_is_told(opened: Opener, program: str, reason: str) -> None:
    """At once."""
    with pytest.raises(WindowUnavailable, match=reason):
        opened(program)


def test_a_display_that_does_not_answer_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """MuJoCo's window says which one it is, or that there is none."""
    monkeypatch.setenv("DISPLAY", ":9999")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    env = MockEnv(1)
    with pytest.raises(WindowUnavailable, match="display :9999"):
        Window(env, env, "dexhand.sim.window_process", title="Reach")
