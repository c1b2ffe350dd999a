"""``--multirun``: a process for each job, here forks of this one where the process itself does not matter."""

import re
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import ForkedJob, Running, run

from dexhand.app import sweep

JOB = [
    "sim.backend=mock",
    "numEnvs=2",
    "train.network.units=[8]",
    "train.ppo.horizon_length=4",
    "train.ppo.mini_epochs=1",
]


def runs_of(folder: Path) -> int:
    """How many run folders there are."""
    return len(list((folder / "runs_all").glob("*_train_*")))


@pytest.fixture
def jobs_are_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "subprocess", SimpleNamespace(Popen=ForkedJob))


@pytest.mark.usefixtures("jobs_are_forks")
def test_each_job_has_a_run_folder_of_its_own(tmp_path: Path) -> None:
    """With its own value; Hydra's own folders are not made, and one that fails does not stop the others."""
    values = "train.checkpoint=null,/nowhere.pth,null"
    done = run(["--multirun", *JOB, "maxIter=1", values, "train.experimentName=a"], tmp_path)
    assert done.returncode == 2
    assert runs_of(tmp_path) == 2
    assert re.search(r"Exit code 2: .*train\.checkpoint=/nowhere\.pth", done.stdout)
    assert "3 of 3 jobs run, 1 of them failed" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "runs_all"}


@pytest.mark.usefixtures("jobs_are_forks")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_job_in_good_order_and_starts_no_other(number: signal.Signals, tmp_path: Path) -> None:
    """The job saves; the exit code is that of a training that was asked to stop."""
    run_folder = tmp_path / "runs" / "latest_train"

    def meanwhile(launcher: Running) -> None:
        launcher.wait_for_file(run_folder / "nn" / "latest.pth")
        launcher.signal(number)

    done = run(["-m", *JOB, "seed=1,2,3", "train.saveFrequency=1"], tmp_path, meanwhile)
    assert done.returncode == 0, done.stderr
    assert runs_of(tmp_path) == 1
    assert "stop requested" in (run_folder / "train.log").read_text()
    assert "SIGTERM: stopping" in (run_folder / "train.log").read_text()  # a starting Python prints nothing for it
    assert "1 of 3 jobs run, 0 of them failed" in done.stdout


def test_a_job_is_a_python_of_its_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """With the words of the sweep."""
    assert run(["-m", *JOB, "seed=7", "--dry-run"], tmp_path).returncode == 0
    assert "seed: 7" in capfd.readouterr().out
