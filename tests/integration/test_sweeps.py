"""``--multirun``: real processes, one for each job."""

import re
import signal
from pathlib import Path

import pytest
from commands import run_process, start, wait_for

JOB = ["sim.backend=mock", "numEnvs=2", "train.network.units=[8]", "train.ppo.horizon_length=4"]


def runs_of(folder: Path) -> int:
    """How many run folders there are."""
    return len(list((folder / "runs_all").glob("*_train_*")))


def test_each_job_has_a_run_folder_of_its_own(tmp_path: Path) -> None:
    """With its own value; Hydra's own folders are not made, and one that fails does not stop the others."""
    values = "train.checkpoint=null,/nowhere.pth,null"
    done = run_process(["--multirun", *JOB, "maxIter=1", values, "train.experimentName=a"], tmp_path)
    assert done.returncode == 2
    assert runs_of(tmp_path) == 2
    assert re.search(r"Exit code 2: .*train\.checkpoint=/nowhere\.pth", done.stdout)
    assert "3 of 3 jobs run, 1 of them failed" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "runs_all"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_job_in_good_order_and_starts_no_other(number: signal.Signals, tmp_path: Path) -> None:
    """The job saves; the exit code is that of a training that was asked to stop."""
    process = start(["-m", *JOB, "seed=1,2,3", "train.saveFrequency=1"], tmp_path)
    wait_for(tmp_path / "runs" / "latest_train" / "nn" / "latest.pth", process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert runs_of(tmp_path) == 1
    assert "stop requested" in out
    assert "1 of 3 jobs run, 0 of them failed" in out
