"""The page of a real test in a real browser: hands move, controls act, and everyone sees the same."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Browser
from commands import PPO, Forked, run
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.actions.mouse_button import MouseButton

from dexhand.mock.env import MockEnv
from dexhand.view.live import LiveView

SMALL = [
    "task=BlindGrasping",
    "sim.backend=mock",
    "numEnvs=2",
    "train.network.units=[16]",
    *PPO,
]


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


def test_the_picture_fits_the_window(browser: Browser, still: None) -> None:
    """Until a viewer moves the camera, it steps back from a narrower picture."""
    near = browser.camera().distance
    browser.driver.set_window_size(600, 600)
    browser.wait(lambda: browser.camera().distance > 1.5 * near, "the whole scene in a narrow window")
    browser.driver.set_window_size(900, 600)
    browser.wait(lambda: browser.camera().distance < 1.2 * near, "the scene in a wide window")


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


def test_on_phones_the_panel_is_below_the_picture(browser: Browser, still: None) -> None:
    """As wide as the page."""
    browser.driver.set_window_size(500, 600)
    below = """
        const sheet = document.querySelector('[style*="fixed"][style*="width: 20em"]')?.getBoundingClientRect();
        const end = document.querySelector("canvas").getBoundingClientRect().bottom;
        return sheet?.left === 0 && sheet.right === innerWidth && Math.abs(sheet.top - end) < 2;"""
    browser.wait(lambda: browser.driver.execute_script(below), "a panel below the picture")
    browser.driver.set_window_size(900, 600)


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
