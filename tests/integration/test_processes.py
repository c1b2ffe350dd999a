"""One training in several processes."""

import signal
from pathlib import Path

import pytest
import torch.distributed.run
from commands import SMALL, TRAIN, Forked, Running, run
from test_resume import differences, state_of
from torch.distributed.elastic.utils.distributed import get_free_port

from dexhand.app.train import _shared_settings
from dexhand.checkpoints.store import load_checkpoint
from dexhand.config.compose import compose
from dexhand.distributed.launch import launch
from dexhand.distributed.meeting import meet
from dexhand.distributed.place import CannotJoin, Place

WORDS = [*SMALL, "sim.backend=mock", "task.episodeLength=10", "train.saveFrequency=2"]


def train(words: list[str], folder: Path) -> int:
    """In each of the processes; what they say goes to one file."""
    done = run(words, folder)
    with open(folder / "said.txt", "a") as file:
        file.write(done.stdout + done.stderr)
    return done.returncode


@pytest.fixture
def trained(launched_processes_are_forks: None, tmp_path: Path) -> Path:
    """Four iterations of two processes."""
    assert launch(train, ([*WORDS, "maxIter=4"], tmp_path), 2) == 0, (tmp_path / "said.txt").read_text()
    return tmp_path


def test_two_processes_train_one_policy(trained: Path) -> None:
    """One run folder, each line once, and the environments of both are counted, each with its own random numbers."""
    said = (trained / "said.txt").read_text()
    assert len(list((trained / "runs_all").glob("*_train_*"))) == 1
    assert "2 processes train together, each in 4 environments" in said
    assert said.count("Stopped after 4 iterations") == 1
    state = state_of(trained)
    assert state["frame"] == 4 * 2 * 4 * 8
    ours = state["dexhand"]
    (other,) = ours["others"]
    assert differences(ours["running"]["obs"], other["running"]["obs"]) != []
    assert differences(ours["random"]["cpu"], other["random"]["cpu"]) != []


def test_they_go_on_bit_for_bit_and_one_goes_on_where_two_were(trained: Path) -> None:
    """From a checkpoint after two iterations, to the same four; alone with fresh episodes, where frames go on."""
    expected = state_of(trained)
    middle = trained / "runs" / "latest_train" / "nn" / "checkpoint_2.pth"
    words = [*WORDS, "maxIter=4", f"checkpoint={middle.resolve()}", "env.render=false"]
    assert launch(train, (words, trained), 2) == 0, (trained / "said.txt").read_text()
    assert differences(expected, state_of(trained)) == []
    done = run([*WORDS, "maxIter=5", "checkpoint=latest"], trained)
    assert done.returncode == 0, done.stderr
    assert "Episodes start over: the checkpoint's are of mock:BaseTask:4 in 2 processes" in done.stdout
    assert state_of(trained)["frame"] == (4 * 2 + 1) * 4 * 8


def test_processes_of_different_configurations_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line in each, which names the key; no run is left behind. Process 1 is a thread here."""
    port = get_free_port()
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}.items():
        monkeypatch.setenv(name, value)
    line = "process 1 was started with train.ppo.learning_rate=0.1 where process 0 has 0.0001. "

    def join_with_another_rate(leader: Running) -> None:
        settings = _shared_settings(compose([*WORDS, "train.ppo.learning_rate=0.1"]))
        with pytest.raises(CannotJoin, match=line):
            meet(Place(rank=1, size=2, host="127.0.0.1", port=port), settings, 60.0, lambda store: None)

    done = run([*WORDS, "train.ppo.learning_rate=0.0001"], tmp_path, join_with_another_rate)
    assert done.returncode == 2
    assert done.stderr == f"error: {line}Start all processes with the same settings\n"
    assert not (tmp_path / "runs_all").exists()


def test_a_signal_to_torchrun_ends_all_in_good_order(tmp_path: Path) -> None:
    """It passes it on; the iteration is finished and saved."""
    forks = ["--run-path", "--start-method=fork"]  # both train in forks of torchrun, which has made the slow imports
    words = ["--standalone", "--nproc_per_node=2", *forks, str(TRAIN), *WORDS]
    torchrun = Forked(words, tmp_path, torch.distributed.run.main)
    first = tmp_path / "runs" / "latest_train" / "nn" / "checkpoint_2.pth"
    torchrun.wait_for_file(first)
    torchrun.signal(signal.SIGTERM)
    done = torchrun.end()
    assert "stop requested" in done.stdout, done.stderr
    assert load_checkpoint(first.with_name("latest.pth"))["epoch"] >= 2


def test_a_test_is_played_by_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says so to more."""
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}.items():
        monkeypatch.setenv(name, value)
    done = run(["test=true", "checkpoint=latest"], tmp_path)
    assert done.returncode == 2
    assert "train.test=true plays in one process" in done.stderr
