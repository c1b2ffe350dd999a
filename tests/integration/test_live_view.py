"""The page of a real test in a real browser: hands move, controls act, and everyone sees the same."""

import io
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import PATIENCE, Forked, run
from PIL import Image, ImageChops

BROWSER, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
SMALL = [
    "task=BlindGrasping",
    "sim.backend=mock",
    "numEnvs=2",
    "train.network.units=[16]",
    "train.ppo.horizon_length=8",
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

    def open_another_tab(self, url: str) -> None:
        """Be a second viewer, too."""
        self.driver.switch_to.new_window("tab")
        self.driver.get(url)


@pytest.mark.timeout(400)  # a software renderer on a busy machine
def test_a_person_watches_a_test(test: Forked, browser: Browser, trained: Path) -> None:
    """Hands move; a pause stops them; a new checkpoint is in the log; the speed changes; a second viewer ends it."""
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
    browser.click("Stop the test")
    done = test.end()
    assert done.returncode == 0, done.stderr
    assert "iteration 2" in done.stdout


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
