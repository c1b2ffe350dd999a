"""A panel stands between a training and a test of it, which are processes of their own."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser
from commands import PPO, Forked, run

from dexhand.checkpoints.choice import Choice, write_choice
from dexhand.view.checkpoint_page import CheckpointPage

MOCK = ["sim.backend=mock", "numEnvs=2"]
TRAIN = ["task=BaseTask", "task.episodeLength=20", "train.network.units=[16]", *PPO]


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a training that goes on."""
    folder = tmp_path_factory.mktemp("training")
    training = Forked([*TRAIN, *MOCK, "maxIter=1000000", "train.saveFrequency=2"], folder)
    training.wait_for_file(folder / "runs" / "latest_train" / "nn" / "checkpoint_4.pth")
    yield folder
    training.kill()


@pytest.fixture
def player(training: Path) -> Iterator[Forked]:
    """A test of it without end."""
    player = Forked(["test=true", "checkpoint=latest", "testGamesNum=0", *MOCK, "reloadInterval=1"], training)
    player.wait_for("^Playing .*latest.pth")
    yield player
    player.kill()


@pytest.fixture
def page(training: Path) -> Iterator[CheckpointPage]:
    """The panel as a page of its own."""
    page = CheckpointPage(training / "runs" / "latest_train" / "nn")
    yield page
    page.close()


def choose(browser: Browser, label: str, option: str) -> None:
    """Choose in a list of the page."""
    browser.driver.find_element("xpath", f"//input[@id=//label[.='{label}']/@for]").click()
    browser.wait(lambda: browser.driver.find_elements("xpath", f"//*[@role='option'][.='{option}']"), option)
    browser.click(option)


def test_a_person_looks_back_while_the_training_goes_on(
    training: Path,
    player: Forked,
    page: CheckpointPage,
    browser: Browser,
) -> None:
    """The page and the player's log agree about an early checkpoint, which stays, and about the newest one after it."""
    browser.driver.get(page.url)
    browser.wait_for(r"Auto, follows[\s\S]*Plays latest.pth, iteration \d+")

    choose(browser, "checkpoint", "checkpoint_2.pth")
    browser.click("Load Selected")
    player.wait_for(r"^Reloaded .*checkpoint_2\.pth: iteration 2,")
    browser.wait_for(r"Manual, holds checkpoint_2.pth\s+Plays checkpoint_2.pth, iteration 2 ")

    def newest() -> int:
        return max(int(number) for number in re.findall(r"checkpoint_(\d+)\.pth", browser.text()))

    number, lines = newest(), len(player.said)
    browser.wait(lambda: newest() >= number + 4, "newer checkpoints in the list")
    assert "Plays checkpoint_2.pth, iteration 2 " in browser.text()
    assert not [line for line in player.said[lines:] if line.startswith("Reloaded")]

    choose(browser, "mode", "Auto")
    said = player.wait_for(r"^Reloaded .*latest\.pth: iteration \d+,", after=lines)
    assert int(re.findall(r"iteration (\d+)", said)[0]) >= number + 4
    browser.wait_for(r"Auto, follows the newest checkpoint\s+Plays latest.pth, iteration \d+")

    choose(browser, "checkpoint", "checkpoint_4.pth")
    browser.click("Load Selected")
    browser.wait_for("Plays checkpoint_4.pth, iteration 4 ")
    (training / "runs" / "latest_train" / "nn" / "checkpoint_4.pth").unlink()
    player.wait_for("^warning: .*checkpoint_4.pth no longer exists. Iteration 4 plays on")
    browser.wait_for("Problem: checkpoint_4.pth is not there")

    player.signal()
    assert player.end().returncode == 0
    browser.wait_for("Nothing plays now")


def test_a_test_of_some_episodes_ignores_the_panel(training: Path) -> None:
    """Its results depend on the command line only."""
    write_choice(training / "runs" / "latest_train" / "nn", Choice("manual", "checkpoint_2.pth"))
    tested = run(["test=true", "checkpoint=latest", "testGamesNum=2", *MOCK], training)
    assert re.search(r"^Playing .*latest\.pth", tested.stdout, re.MULTILINE)
