"""The page of a real test in a real browser: hands move, controls act, and everyone sees the same."""

import io
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from commands import PATIENCE, PPO, Forked, run
from PIL import Image, ImageChops
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.mouse_button import MouseButton

from dexhand.mock.env import MockEnv
from dexhand.view.live import LiveView

BROWSER, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
SMALL = [
    "task=BlindGrasping",
    "sim.backend=mock",
    "numEnvs=2",
    "train.network.units=[16]",
    *PPO,
]
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-background-networking", "--disable-dev-shm-usage"),
    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--window-size=900,600"),
)
SCENE = (0, 150, 560, 440)
"""Part of the window that shows nothing but hands and ground."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which one short training has run."""
    folder = tmp_path_factory.mktemp("trained")
    assert run([*SMALL, "maxIter=1"], folder).returncode == 0
    return folder


@pytest.fixture(scope="module")
def test(trained: Path) -> Iterator[Forked]:
    """A test that plays what is trained there, without end and slowly, since software draws it."""
    words = [
        "config=test_stream",
        "testGamesNum=0",
        "sim.backend=mock",
        "numEnvs=2",
        "reloadInterval=0.2",
        "env.videoStreamSpeed=0.25",
    ]
    running = Forked(words, trained)
    yield running
    running.kill()


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """A headless Chromium, which draws without a graphics card."""
    if BROWSER is None or DRIVER is None:
        reason = "needs Chromium: apt-get install chromium chromium-driver"
        if "CI" in os.environ:
            pytest.fail(reason)
        pytest.skip(reason)
    browser = Browser()
    yield browser
    browser.driver.quit()


class Browser:
    """What a person does."""

    def __init__(self) -> None:
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = BROWSER or ""
        for flag in FLAGS:
            options.add_argument(flag)
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))

    def text(self) -> str:
        """The texts of the page."""
        text: str = self.driver.execute_script("return document.body.innerText")
        return text

    def wait(self, is_so: Callable[[], object], what: str) -> None:
        """Wait for what the page will show."""
        end = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < end, f"{what} did not come: {self.text()}"
            time.sleep(0.05)

    def wait_for(self, pattern: str) -> None:
        """Wait for a text."""
        self.wait(lambda: re.search(pattern, self.text()), pattern)

    def click(self, text: str) -> None:
        """Click on the button or choice with this text."""
        self.driver.find_element("xpath", f"//*[self::button or self::label or @role='option'][.='{text}']").click()

    def scene(self) -> Image.Image:
        """A picture of the hands."""
        return Image.open(io.BytesIO(self.driver.get_screenshot_as_png())).convert("L").crop(SCENE)

    def moves(self) -> bool:
        """Whether two pictures differ by more than noise."""
        first, second = self.scene(), self.scene()
        return ImageChops.difference(first, second).getextrema()[1] > 40

    def speed(self) -> float:
        """Simulated seconds per second, as the page says."""
        return float(re.findall(r"([\d.]+) x real time", self.text().replace(",", ""))[0])

    def press(self, key: str) -> None:
        """Press a key."""
        ActionChains(self.driver).send_keys(key).perform()

    def camera(self) -> "Camera":
        """Where the camera is, as the page has told the run last."""
        seen = self.driver.execute_script("return window.seen")
        return Camera(np.array(seen["position"]), np.array(seen["look_at"]))

    def moved_by(self, act: Callable[[], object]) -> "tuple[Camera, Camera]":
        """Do something that moves the camera; returns it before and after, when it has come to rest."""
        before = self.camera()
        act()
        self.wait(lambda: not self.camera().is_at(before), "a movement of the camera")
        return before, self.camera_at_rest()

    def camera_at_rest(self) -> "Camera":
        """Where the camera is when it has not moved for a second."""
        last, seen = None, self.camera()
        while last is None or not seen.is_at(last):
            time.sleep(1.0)
            last, seen = seen, self.camera()
        return seen

    def drag(self, button: str) -> "tuple[Camera, Camera]":
        """Drag the picture to the right; returns the camera before and after."""
        actions = ActionBuilder(self.driver)
        actions.pointer_action.move_to_location(200, 300).pointer_down(button=button)
        actions.pointer_action.move_to_location(250, 300).move_to_location(300, 300).pointer_up(button=button)
        return self.moved_by(actions.perform)

    def hold(self, key: str) -> "tuple[Camera, Camera]":
        """Hold a key until the camera moves; returns it before and after."""
        before = self.camera()

        def press() -> None:
            ActionChains(self.driver).key_down(key).perform()
            self.wait(lambda: not self.camera().is_at(before), f"a movement by {key}")
            ActionChains(self.driver).key_up(key).perform()

        return self.moved_by(press)

    def open_another_tab(self, url: str) -> None:
        """Be a second viewer, too."""
        self.driver.switch_to.new_window("tab")
        self.driver.get(url)


@dataclass
class Camera:
    """Where a browser's camera is and looks."""

    position: np.ndarray
    look_at: np.ndarray

    def is_at(self, other: "Camera") -> bool:
        return np.allclose((self.position, self.look_at), (other.position, other.look_at), atol=1e-5)

    @property
    def distance(self) -> float:
        return float(np.linalg.norm(self.look_at - self.position))

    @property
    def forward(self) -> np.ndarray:
        return (self.look_at - self.position) / self.distance

    @property
    def right(self) -> np.ndarray:
        return np.cross(self.forward, (0.0, 0.0, 1.0))


@pytest.mark.timeout(400)  # a software renderer on a busy machine
def test_a_person_watches_a_test(test: Forked, browser: Browser, trained: Path) -> None:
    """Hands move; a pause stops them; a new checkpoint is in the log; the speed changes; a second viewer ends it.

    Esc asks for the end, and a second time takes that back.
    """
    url = test.wait_for("Watch it in a browser").split()[5]
    browser.driver.get(url)
    browser.wait_for("iteration 1")
    browser.wait(browser.moves, "motion")

    browser.click("pause")
    browser.wait(lambda: not browser.moves(), "a standstill")
    assert not browser.moves()

    browser.click("play")
    browser.wait(browser.moves, "motion")
    assert run([*SMALL, "resume=latest", "maxIter=2"], trained).returncode == 0
    browser.wait_for(r"checkpoint latest.pth, iteration 2[\s\S]*\n1\s")
    assert browser.speed() < 0.5

    browser.driver.find_element("css selector", "input[value='0.25 x']").click()
    browser.click("real time")
    browser.wait(lambda: browser.speed() > 0.5, "another speed")

    browser.open_another_tab(url)
    browser.wait_for("checkpoint latest.pth, iteration 2")
    assert browser.driver.find_element("css selector", "input[value='real time']")
    browser.press(Keys.ESCAPE)
    browser.wait_for("Stop the test\\?")
    browser.press(Keys.ESCAPE)
    browser.wait(lambda: "Stop the test?" not in browser.text(), "no dialog")
    browser.click("Stop the test")
    browser.wait_for("Stop the test\\?")
    browser.click("Stop")
    browser.wait_for("The test has ended.")
    done = test.end()
    assert done.returncode == 0, done.stderr
    assert "iteration 2" in done.stdout


@pytest.fixture(scope="module")
def still(browser: Browser) -> Iterator[None]:
    """A page of environments that stand still, in the browser; it remembers where the camera is."""
    env = MockEnv(1)
    view = LiveView(env, env, title="Reach", port=58080)
    remember = (
        "const post = Worker.prototype.postMessage; Worker.prototype.postMessage = function (...sent) {"
        "if (sent[0]?.message?.type === 'ViewerCameraMessage') window.seen = sent[0].message;"
        "return post.apply(this, sent); }"
    )
    browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": remember})
    browser.driver.set_window_size(1300, 600)  # so wide that the page need not frame them once more beside the panel
    browser.driver.get(view.url)

    def has_framed() -> bool:
        view.on_env_step(None)
        seen = browser.driver.execute_script("return window.seen")
        return seen is not None and seen["look_at"] == pytest.approx((0.0, 0.0, 0.2))

    browser.wait(has_framed, "the page")
    browser.camera_at_rest()
    yield
    browser.driver.set_window_size(900, 600)
    view.close()


def test_mouse_and_keys_move_the_camera(browser: Browser, still: None) -> None:
    """Left: around what it looks at; middle: sideways; wheel: closer; W, S, A, D, Q and E: the ways that they say."""
    before, after = browser.drag(MouseButton.LEFT)
    assert after.look_at == pytest.approx(before.look_at, abs=1e-3)
    assert after.distance == pytest.approx(before.distance, rel=1e-3)
    assert np.linalg.norm(after.position - before.position) > 0.1

    before, after = browser.drag(MouseButton.MIDDLE)
    moved = after.position - before.position
    assert after.look_at - before.look_at == pytest.approx(moved, abs=1e-3)
    assert moved @ before.right < -0.1  # the picture goes where the mouse goes

    before, after = browser.moved_by(ActionChains(browser.driver).scroll_by_amount(0, -300).perform)
    assert after.distance < 0.9 * before.distance

    up = np.array((0.0, 0.0, 1.0))
    for key, name, sign in (("w", "forward", 1), ("s", "forward", -1), ("a", "right", -1), ("d", "right", 1)):
        before, after = browser.hold(key)
        assert sign * (after.position - before.position) @ getattr(before, name) > 0.0, key
    for key, sign in (("q", 1), ("e", -1)):
        before, after = browser.hold(key)
        assert sign * (after.position - before.position) @ up > 0.0, key


def test_the_replay_of_a_test_plays_without_anything_else(browser: Browser, trained: Path, tmp_path: Path) -> None:
    """Opened as a file in another folder, by a browser that has no network, hands move."""
    words = ["test=true", "checkpoint=latest", "testGamesNum=2", "task.episodeLength=50", "replayDuration=2"]
    done = run([*words, "sim.backend=mock", "numEnvs=2"], trained)
    assert done.returncode == 0, done.stderr
    written = trained / "runs" / "latest_test" / "replay.html"
    assert f"Wrote {written.resolve()}" in done.stdout
    page = written.rename(tmp_path / "replay.html")
    browser.driver.set_network_conditions(offline=True, latency=0, throughput=0)
    browser.driver.get(page.as_uri())
    browser.wait(browser.moves, "motion")
