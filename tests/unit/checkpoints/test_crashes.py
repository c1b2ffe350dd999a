"""A process that dies while it saves leaves every checkpoint whole: the previous one or the new one."""

import subprocess
import sys
from pathlib import Path

import pytest

SAVER = Path(__file__).parent / "crash_saver.py"


@pytest.mark.timeout(300)
def test_every_name_is_whole_whenever_the_process_is_killed(tmp_path: Path) -> None:
    """At each open, write, flush, rename, link and deletion, in the middle of a write, and at 200 random moments."""
    words = [sys.executable, str(SAVER), str(tmp_path / "nn"), "200"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    calls, sizes, moments = map(int, done.stdout.split())
    assert calls > 40
    assert sizes >= 60
    assert moments == 200
