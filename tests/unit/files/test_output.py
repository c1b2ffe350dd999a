"""Output to full disks and closed pipes."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dexhand.files.output import KEPT, PatientFile, patient_text


def test_what_a_full_disk_refuses_is_written_when_there_is_room(tmp_path: Path, disk_with_room_for: Any) -> None:
    """Every byte once and in order, also where a part of a line went through."""
    stream = patient_text(tmp_path / "out")
    with disk_with_room_for(10):
        for word in ("first", "second", "third"):
            print(word, file=stream)
        assert (tmp_path / "out").read_text() == "first\nseco"
    print("fourth", file=stream)
    assert (tmp_path / "out").read_text() == "first\nsecond\nthird\nfourth\n"


def test_memory_is_bounded_and_what_is_lost_is_noted(tmp_path: Path, disk_with_room_for: Any) -> None:
    """The newest lines are kept, whole; the number of lost bytes stands in their place."""
    lines = [f"line {number}\n" for number in range(2 * KEPT // 10)]
    with PatientFile(tmp_path / "out") as file:
        with disk_with_room_for(0):
            for line in lines:
                file.write(line.encode())
        file.flush()
    note, *kept = (tmp_path / "out").read_text().splitlines(keepends=True)
    lost = int(note.removeprefix("[").split()[0])
    assert "".join(kept) == "".join(lines)[lost:]
    assert KEPT - 20 <= len("".join(kept)) <= KEPT
    assert kept[0] in lines


def test_a_closed_pipe_stops_nothing() -> None:
    """Nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    file = PatientFile(writer)
    assert file.write(b"text\n") == 5
    assert isinstance(file.problem, BrokenPipeError)
    os.close(writer)


@pytest.mark.parametrize(("out", "code"), [("/dev/full", 1), ("a closed pipe", 0)])
def test_a_page_that_cannot_be_printed(out: str, code: int) -> None:
    """One line and exit code 1 on a full disk; nothing where the reader has seen enough."""
    reader, writer = os.pipe()
    os.close(reader)
    target = os.open(out, os.O_WRONLY) if out.startswith("/") else writer
    program = "from dexhand.files.output import *; write_patiently(); print('page'); raise SystemExit(output_code())"
    done = subprocess.run([sys.executable, "-c", program], stdout=target, stderr=subprocess.PIPE, text=True)
    for descriptor in {target, writer}:
        os.close(descriptor)
    assert done.returncode == code
    assert done.stderr == "error: standard output cannot be written to: No space left on device\n" * code
