"""Starting several processes, and ending them all."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from dexhand.distributed.launch import is_launched, launch


def program(folder: Path, body: str) -> list[str]:
    """A command that runs ``body``, which knows its ``rank``."""
    path = folder / "program.py"
    path.write_text("import os, signal, sys, time\nrank = int(os.environ['RANK'])\n" + textwrap.dedent(body))
    return [sys.executable, "-S", str(path)]


def test_each_process_knows_its_place(tmp_path: Path) -> None:
    """The variables of torchrun."""
    body = """
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR")
    open(f"{os.path.dirname(__file__)}/{rank}", "w").write(" ".join(os.environ[name] for name in names))
    """
    assert launch(program(tmp_path, body), 3) == 0
    assert [(tmp_path / str(rank)).read_text() for rank in range(3)] == [
        f"{rank} {rank} 3 127.0.0.1" for rank in range(3)
    ]


def test_the_exit_code_is_that_of_the_first(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It has said why."""
    assert launch(program(tmp_path, "sys.exit(2 if rank == 0 else 0)"), 2) == 2
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_dies_ends_the_others(rank: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Those that do not notice are killed; one line says who died of what."""
    body = f"""
    if rank == {rank}:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)
    """
    assert launch(program(tmp_path, body), 2, grace=0.1) == 1
    assert f"error: process {rank} of 2 was killed by SIGKILL; the others were ended\n" in capfd.readouterr().err


def test_a_process_that_fails_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """With its exit code."""
    assert launch(program(tmp_path, "sys.exit(3 if rank == 1 else 0)"), 2) == 1
    assert capfd.readouterr().err == "error: process 1 of 2 ended with exit code 3; the others were ended\n"


def test_a_request_to_end_goes_to_the_first(tmp_path: Path) -> None:
    """SIGTERM; the launcher waits for all. Nothing of it is left in this process."""
    body = """
    if rank == 0:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(60)
    """
    before = signal.getsignal(signal.SIGTERM)
    assert launch(program(tmp_path, body), 2) == 0
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_launcher_needs_no_torch() -> None:
    """It is one more process on a machine whose memory the others need."""
    code = "import sys, dexhand.distributed.launch; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_launched_process_knows_that_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it does not launch others."""
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert not is_launched()
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert is_launched()
