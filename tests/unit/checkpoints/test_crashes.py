"""A process that dies while it saves leaves every checkpoint whole: the previous one or the new one."""

import subprocess
import sys
from pathlib import Path

import pytest

SAVER = Path(__file__).parent / "crash_saver.py"


def killed(folder: Path, *way: str) -> int:
    """How many saving processes were killed; fails where one left something broken."""
    done = subprocess.run(
        [sys.executable, str(SAVER), way[0], str(folder / "nn"), *way[1:]], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_at_every_call_into_the_operating_system(tmp_path: Path) -> None:
    """Before and after each open, write, flush, rename, link and deletion of one save."""
    assert killed(tmp_path, "calls") > 40


def test_in_the_middle_of_a_write(tmp_path: Path) -> None:
    """After so many bytes, for sizes all over the file."""
    assert killed(tmp_path, "bytes") >= 60


@pytest.mark.timeout(300)
def test_at_200_random_moments(tmp_path: Path) -> None:
    """While one save follows another."""
    assert killed(tmp_path, "random", "200") == 200
