"""``dexhand replay`` opens a replay, and makes one where there is none."""

import webbrowser
from pathlib import Path

import pytest
from commands import PPO, run

from dexhand import replay
from dexhand.workspace.workspace import Run, lock_run

SMALL = ["task=BoxGrasping", "sim.backend=mock", "numEnvs=2", "train.network.units=[8]", *PPO]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that a browser was told to open."""
    addresses: list[str] = []
    monkeypatch.setattr(webbrowser, "open", addresses.append)
    return addresses


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, in which there are a training and a test without a replay."""
    assert run([*SMALL, "maxIter=1"], tmp_path).returncode == 0
    words = ["test=true", "checkpoint=latest", "sim.backend=mock", "testGamesNum=1", "task.episodeLength=5"]
    assert run(words, tmp_path).returncode == 0
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_test_is_played_again_until_there_is_a_replay(
    trained: Path, opened: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Then that one is opened, until other settings are given; no run is begun."""
    runs = sorted((trained / "runs_all").iterdir())
    (test,) = (path for path in runs if "_test_" in path.name)
    file = test / "replay.html"
    assert replay.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (lines[0], lines[-1]) == (f"The newest test is {test.name}", str(file))
    first = file.read_bytes()
    assert replay.main(["latest_test"]) == 0
    assert file.read_bytes() == first
    assert opened == [file.as_uri()] * 2
    assert replay.main([test.name, "replayDuration=0.2", "--no-browser"]) == 0
    assert f"With other settings a new replay will replace {file}" in capsys.readouterr().out
    assert len(file.read_bytes()) < len(first)
    with lock_run(Run(test)):
        assert replay.main([]) == 2
    assert f"the newest test, {test.name}, is still running" in capsys.readouterr().err
    assert len(opened) == 2
    assert sorted((trained / "runs_all").iterdir()) == runs


def test_a_training_has_a_replay_of_its_checkpoint(trained: Path, opened: list[str]) -> None:
    """In its own folder."""
    assert replay.main(["latest_train", "sim.backend=mock", "replayDuration=0.2", "numEnvs=1"]) == 0
    assert (trained / "runs" / "latest_train" / "replay.html").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing"], "no run is named 'nothing'"),
        (["latest_train", "numEnvs=0"], "env.numEnvs=0"),
        (["latest_train", "replayDuration=0"], "env.replayDuration=0: a replay needs a length"),
        (["latest_train", "seed=1,2", "--no-browser"], "seed=1,2"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    words: list[str], said: str, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code 2."""
    assert replay.main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert said in line
