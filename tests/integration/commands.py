"""The training program, in this process and in processes of its own."""

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from dexhand.app.main import main

TRAIN = Path(__file__).parents[2] / "scripts" / "train.py"
BACKEND = "mujoco"
SMALL = [f"sim.backend={BACKEND}", "numEnvs=4", "train.network.units=[16]", "train.ppo.horizon_length=8"]
T = TypeVar("T")
PATIENCE = 60.0
"""Seconds until something that is waited for has failed."""


class Running:
    """A program that runs in the main thread of this process, as another thread sees it."""

    def __init__(self, out: io.StringIO) -> None:
        self.has_ended = threading.Event()
        self._out = out

    @property
    def said(self) -> list[str]:
        """The lines it has printed so far."""
        return self._out.getvalue().splitlines()

    def wait_for(self, pattern: str, after: int = 0) -> str:
        """Wait until a line matches, of those after so many; returns it."""
        return self.wait(lambda: next((line for line in self.said[after:] if re.search(pattern, line)), None), pattern)

    def wait_for_file(self, path: Path) -> None:
        """Wait until a file is there."""
        self.wait(lambda: path.exists() or None, str(path))

    def wait(self, look: Callable[[], T | None], what: str) -> T:
        """Wait until ``look`` finds something; returns it."""
        end = time.monotonic() + PATIENCE
        while (found := look()) is None:
            assert not self.has_ended.wait(0.01), f"it ended before {what!r}: {self.said}"
            assert time.monotonic() < end, f"{what!r} did not come within {PATIENCE} s: {self.said}"
        return found

    def signal(self, number: int = signal.SIGINT) -> None:
        """Send it a signal."""
        assert not self.has_ended.is_set()
        os.kill(os.getpid(), number)


def run(
    arguments: Sequence[str], folder: Path, meanwhile: Callable[[Running], None] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run the training program in ``folder`` to its end, in this process, with ``meanwhile`` in a thread beside it.

    Where ``meanwhile`` fails, the program is interrupted, and what was wrong is raised here.
    """
    out, err = io.StringIO(), io.StringIO()
    company = contextlib.nullcontext() if meanwhile is None else beside(meanwhile, Running(out))
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), company:
        code = main(arguments)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def beside(work: Callable[[Running], None], running: Running) -> Iterator[None]:
    """Do ``work`` in a thread during the block; raises what it raised."""
    errors: list[BaseException] = []

    def do() -> None:
        try:
            work(running)
        except BaseException as error:
            errors.append(error)
            if not running.has_ended.is_set():
                os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=do)
    thread.start()
    try:
        yield
    finally:
        running.has_ended.set()
        thread.join()
    if errors:
        raise errors[0]


def start(arguments: Sequence[str], folder: Path) -> "subprocess.Popen[str]":
    """Start the training script in ``folder``, in a process of its own."""
    return subprocess.Popen(
        [sys.executable, str(TRAIN), *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def run_process(arguments: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the training script in ``folder`` to its end, in a process of its own."""
    process = start(arguments, folder)
    out, err = process.communicate(timeout=2 * PATIENCE)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    """Wait until a file is there."""
    end = time.monotonic() + PATIENCE
    while not path.exists():
        assert process.poll() is None, f"the process ended early: {process.communicate()}"
        assert time.monotonic() < end, f"{path} did not appear within {PATIENCE} s"
        time.sleep(0.02)
