"""A panel stands between a training and a test of it, which are processes of their own."""

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import PPO, Forked, Running, beside, run
from test_live_view import Browser, browser  # noqa: F401

from dexhand import checkpoint_panel
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


def choose(browser: Browser, label: str, option: str) -> None:  # noqa: F811
    """Choose in a list of the page."""
    browser.driver.find_element("xpath", f"//input[@id=//label[.='{label}']/@for]").click()
    browser.wait(lambda: browser.driver.find_elements("xpath", f"//*[@role='option'][.='{option}']"), option)
    browser.click(option)


def test_a_person_looks_back_while_the_training_goes_on(
    training: Path,
    player: Forked,
    page: CheckpointPage,
    browser: Browser,  # noqa: F811
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


def test_the_program_prints_its_address_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    """Also before the first checkpoint."""
    (tmp_path / "runs_all" / "Reach_train_20260101_000000").mkdir(parents=True)
    out = io.StringIO()

    def interrupt(program: Running) -> None:
        program.wait_for(r"^Checkpoints of .*Reach_train_20260101_000000/nn: http://127\.0\.0\.1:\d+/ ")
        program.signal()

    with contextlib.redirect_stdout(out), beside(interrupt, out):
        assert checkpoint_panel.main(["--experiment=Reach", f"--runs-dir={tmp_path / 'runs'}"]) == 0


def test_an_experiment_that_does_not_exist_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which names the option and what there is."""
    with pytest.raises(SystemExit) as end:
        checkpoint_panel.main(["--experiment=Nobody", f"--runs-dir={tmp_path / 'runs'}"])
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: --experiment='Nobody': no file, folder or run has this name")
