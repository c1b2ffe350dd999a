"""Starting several processes, and ending them all."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from dexhand.distributed.launch import is_launched, launch

pytestmark = pytest.mark.usefixtures("launched_processes_are_forks")


def rank() -> int:
    return int(os.environ["RANK"])


def write_place(folder: Path) -> int:
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR")
    (folder / str(rank())).write_text(" ".join(os.environ[name] for name in names) + f" {is_launched()}")
    return 0


def test_each_process_knows_its_place(tmp_path: Path) -> None:
    """The variables of torchrun; none of them is left in the launcher."""
    assert launch(write_place, (tmp_path,), 3) == 0
    assert [(tmp_path / str(rank)).read_text() for rank in range(3)] == [
        f"{rank} {rank} 3 127.0.0.1 True" for rank in range(3)
    ]
    assert not is_launched()


def test_the_exit_code_is_that_of_the_first(capfd: pytest.CaptureFixture[str]) -> None:
    """It has explained it itself."""
    assert launch(lambda: 0 if rank() else 2, (), 2) == 2
    assert capfd.readouterr().err == ""


def test_a_process_that_fails_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    """With its exit code."""
    assert launch(lambda: 3 if rank() else 0, (), 2) == 1
    assert capfd.readouterr().err == "error: process 1 of 2 ended with exit code 3; the others were ended\n"


def test_an_interrupted_process_has_not_succeeded() -> None:
    """Ctrl-C before anything listens to signals: 128 + SIGINT, as of a shell."""

    def interrupted() -> int:
        raise KeyboardInterrupt

    assert launch(interrupted, (), 1) == 130


def die_or_sleep(dying: int) -> int:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if rank() == dying:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)
    return 0


@pytest.mark.parametrize("dying", [0, 1])
def test_a_process_that_dies_ends_the_others(dying: int, capfd: pytest.CaptureFixture[str]) -> None:
    """Even those that ignore SIGTERM; one line says who died of what."""
    assert launch(die_or_sleep, (dying,), 2, grace=0.1) == 1
    assert f"error: process {dying} of 2 was killed by SIGKILL; the others were ended\n" in capfd.readouterr().err


def stop_when_asked() -> int:
    if rank() == 0:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(60)
    return 0


def test_a_request_to_end_goes_to_the_first() -> None:
    """SIGTERM; the launcher waits for all, and its own handler is restored."""
    before = signal.getsignal(signal.SIGTERM)
    assert launch(stop_when_asked, (), 2) == 0
    assert signal.getsignal(signal.SIGTERM) == before
