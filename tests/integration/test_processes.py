"""One training in several processes, started as PyTorch starts them."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import SMALL, TRAIN
from test_resume import differences, state_of

from dexhand.checkpoints.store import load_checkpoint

WORDS = [*SMALL, "sim.backend=mock", "task.episodeLength=10", "train.saveFrequency=2"]
TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc_per_node=2"]
LAUNCH = ["torch.distributed.launch", "--nproc_per_node=2", f"--master_port={20000 + os.getpid() % 20000}"]


def start(launcher: list[str], words: list[str], folder: Path, python: str | None = None) -> "subprocess.Popen[str]":
    """Two processes of the training script."""
    command = [python or sys.executable, "-m", *launcher, str(TRAIN), *words]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(launcher: list[str], words: list[str], folder: Path, python: str | None = None) -> str:
    """Train to the end; returns what was said."""
    process = start(launcher, words, folder, python)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, warm_python: str) -> Path:
    """Four iterations of two processes."""
    folder = tmp_path_factory.mktemp("together")
    (folder / "said.txt").write_text(run(TORCHRUN, [*WORDS, "maxIter=4"], folder, warm_python))
    return folder


def test_one_process_writes_and_speaks(trained: Path) -> None:
    """One run folder, each line once, and the environments of both are counted."""
    said = (trained / "said.txt").read_text()
    assert len(list((trained / "runs_all").glob("*_train_*"))) == 1
    assert "2 processes train together, each in 4 environments" in said
    assert said.count("Stopped after 4 iterations") == 1
    assert state_of(trained)["frame"] == 4 * 2 * 4 * 8


def test_each_process_plays_episodes_of_its_own(trained: Path) -> None:
    """With other random numbers."""
    ours = state_of(trained)["dexhand"]
    (other,) = ours["others"]
    assert differences(ours["running"]["obs"], other["running"]["obs"]) != []
    assert differences(ours["random"]["cpu"], other["random"]["cpu"]) != []


def test_they_go_on_bit_for_bit(trained: Path, tmp_path: Path) -> None:
    """From a checkpoint after two iterations, to the same four; started in the older way."""
    middle = trained / "runs" / "latest_train" / "nn" / "checkpoint_2.pth"
    run(LAUNCH, [*WORDS, "maxIter=4", f"checkpoint={middle}", "env.render=false"], tmp_path)
    assert differences(state_of(trained), state_of(tmp_path)) == []


def test_one_process_goes_on_where_two_were(trained: Path, tmp_path: Path) -> None:
    """Its episodes begin anew; weights, iterations and frames go on."""
    words = [*WORDS, "maxIter=5", f"checkpoint={trained}/runs/latest_train"]
    done = subprocess.run(
        [sys.executable, str(TRAIN), *words], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "Episodes begin anew: the checkpoint's are of mock:BaseTask:4 in 2 processes" in done.stdout
    assert state_of(tmp_path)["frame"] == (4 * 2 + 1) * 4 * 8


def test_a_signal_ends_all_in_good_order(tmp_path: Path) -> None:
    """The launcher passes it on; the iteration is finished and saved."""
    process = start(TORCHRUN, WORDS, tmp_path)
    first = tmp_path / "runs" / "latest_train" / "nn" / "checkpoint_2.pth"
    end = time.monotonic() + 60
    while not first.exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    process.terminate()
    out, err = process.communicate(timeout=60)
    assert "stop requested" in out, err
    assert load_checkpoint(first.with_name("latest.pth"))["epoch"] >= 2


def test_a_test_is_played_by_one_process(trained: Path) -> None:
    """And says so to more."""
    process = start(TORCHRUN, ["test=true", "checkpoint=latest"], trained)
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "train.test=true plays in one process" in err
