"""The window of a real test on a virtual display: hands move, keys act, and Esc ends the test in good order."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import PATIENCE, SMALL, Forked, run

DRAG_OF = {
    button: f"mousemove 100 120 mousedown {button} mousemove 140 130 mousemove 160 140 mouseup {button}".split()
    for button in "123"
}
"""What xdotool does to drag with a button: 1 left, 2 middle, 3 right."""
NEEDED = ("Xvfb", "xdotool", "xwd")


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    """A display that nobody sees."""
    if not all(shutil.which(name) for name in NEEDED):
        reason = "needs a virtual display: apt-get install xvfb xdotool x11-apps"
        if "CI" in os.environ:
            pytest.fail(reason)
        pytest.skip(reason)
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "320x240x24", "-nolisten", "tcp"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as number:
        yield f":{number.readline().strip()}"
    server.kill()
    server.wait()


def wait(is_so: Callable[[], object], what: str) -> None:
    """Wait for what the window will show."""
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.1)


def picture(display: str) -> bytes:
    """What the display shows."""
    return subprocess.run(["xwd", "-root", "-silent", "-display", display], check=True, capture_output=True).stdout


def xdotool(display: str, *words: str) -> None:
    """Use mouse or keys."""
    subprocess.run(["xdotool", *words], check=True, env={**os.environ, "DISPLAY": display})


def press(display: str, key: str) -> None:
    """Press a key."""
    xdotool(display, "key", key)


def test_keys_control_a_test_until_esc(display: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause stops the picture, a single step changes it, keys and mouse move the camera, Esc leaves results."""
    monkeypatch.setenv("DISPLAY", display)
    assert run(["task=BlindGrasping", *SMALL, "maxIter=1"], tmp_path).returncode == 0
    empty = picture(display)
    test = Forked(["config=test_viewer", "testGamesNum=0", "sim.backend=mock", "numEnvs=2"], tmp_path)

    def stands_still() -> bool:
        before = picture(display)
        time.sleep(0.5)
        return picture(display) == before

    try:
        wait(lambda: picture(display) != empty, "the window")
        wait(lambda: not stands_still(), "a movement")
        press(display, "space")
        wait(stands_still, "the pause")
        paused = picture(display)
        press(display, "Right")
        wait(lambda: picture(display) != paused, "the single step")
        wait(stands_still, "the pause after it")
        for act in (*(["key", letter] for letter in "wsadqe"), ["click", "4"], *(DRAG_OF[button] for button in "123")):
            before = picture(display)
            xdotool(display, *act)
            wait(lambda: picture(display) != before, f"a movement of the camera by {act}")  # noqa: B023
            wait(stands_still, "its end")
        press(display, "space")
        wait(lambda: not stands_still(), "the end of the pause")
        press(display, "Escape")
        assert test.end().returncode == 0
    finally:
        test.kill()
    assert (tmp_path / "runs" / "latest_test" / "results.json").exists()
