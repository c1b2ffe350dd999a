"""The training program, in this process, in forks of it and in processes of its own."""

import atexit
import contextlib
import io
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch._dynamo  # noqa: F401  (the first optimizer of a process imports it, for longer than a short training takes)

from dexhand.app import __main__ as program
from dexhand.app.main import main
from dexhand.core.program import run_program

TRAIN = Path(__file__).parents[1] / "scripts" / "train.py"
BACKEND = "mujoco"
PPO = ["train.ppo.horizon_length=8", "train.ppo.mini_epochs=1"]
"""Few steps and few updates of the network in an iteration."""
SMALL = [f"sim.backend={BACKEND}", "numEnvs=4", "train.network.units=[16]", *PPO]
T = TypeVar("T")
Main = Callable[[Sequence[str]], int]
PATIENCE = 60.0
"""Seconds until something that is waited for has failed."""


class Running:
    """A program that runs, as its environment sees it."""

    def __init__(self, pid: int, read: Callable[[], str], wait_for_end: Callable[[float], bool]) -> None:
        """``read`` returns what it has printed; ``wait_for_end`` waits so many seconds, and tells whether it ended."""
        self.pid = pid
        self.read = read
        self.wait_for_end = wait_for_end

    @property
    def said(self) -> list[str]:
        """The lines it has printed so far."""
        return self.read().splitlines()

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
            assert not self.wait_for_end(0.01), f"it ended before {what!r}: {self.said}"
            assert time.monotonic() < end, f"{what!r} did not come within {PATIENCE} s: {self.said}"
        return found

    def signal(self, number: int = signal.SIGINT) -> None:
        """Send it a signal."""
        assert not self.wait_for_end(0.0)
        os.kill(self.pid, number)


class Forked(Running):
    """The training program, or ``function``, in a fork of this process, which has the slow imports behind it."""

    def __init__(self, arguments: Sequence[str], folder: Path, function: Callable[[], Any] | None = None) -> None:
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        self._process = multiprocessing.get_context("fork").Process(
            target=self._run, args=(arguments, folder, function)
        )
        self._process.start()
        assert self._process.pid is not None
        super().__init__(self._process.pid, lambda: _content(self._out), self._ends)

    def _run(self, arguments: Sequence[str], folder: Path, function: Callable[[], Any] | None) -> None:
        atexit._clear()  # what the tests' process has registered, such as the end of its OpenGL, is not for this one
        os.chdir(folder)
        os.dup2(self._out.fileno(), 1)
        os.dup2(self._err.fileno(), 2)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
        sys.argv = [str(TRAIN), *without_replay(arguments)]
        if function is None:
            run_program(program.main)
        function()

    def _ends(self, seconds: float) -> bool:
        self._process.join(seconds)
        return self._process.exitcode is not None

    def end(self) -> "subprocess.CompletedProcess[str]":
        """Wait for its end."""
        assert self._ends(PATIENCE), f"it did not end within {PATIENCE} s: {self.said}"
        return subprocess.CompletedProcess([], self._process.exitcode, _content(self._out), _content(self._err))

    def kill(self) -> None:
        """End it without asking, if it has not ended."""
        self._process.kill()
        self._process.join()


class ForkedJob:
    """What ``subprocess.Popen`` gives for a sweep's ``python -P -m dexhand.app ...``, as a fork of this process."""

    def __init__(self, command: Sequence[str], start_new_session: bool) -> None:
        self._process = Forked(command[command.index("dexhand.app") + 1 :], Path.cwd())

    def wait(self) -> int:
        """Return the exit code."""
        return self._process.end().returncode

    def poll(self) -> int | None:
        """Tell whether it has ended."""
        return 0 if self._process.wait_for_end(0.0) else None

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.signal(number)


def _content(file: Any) -> str:
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode()


def without_replay(arguments: Sequence[str]) -> list[str]:
    """The arguments, for a test without its replay, which takes half a second, unless they say something about it."""
    plays = any(re.match(r"(train\.)?test=true|config=test", word) for word in arguments)
    asks = any("replay" in word for word in arguments)
    return [*arguments, "replayDuration=0"] if plays and not asks else [*arguments]


def run(
    arguments: Sequence[str], folder: Path, meanwhile: Callable[[Running], None] | None = None, main: Main = main
) -> "subprocess.CompletedProcess[str]":
    """Run a program in ``folder`` to its end, in this process, with ``meanwhile`` in a thread beside it.

    Where ``meanwhile`` fails, the program is interrupted, and what was wrong is raised here.
    """
    out, err = io.StringIO(), io.StringIO()
    company = contextlib.nullcontext() if meanwhile is None else beside(meanwhile, out)
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), company:
        code = main(without_replay(arguments))
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def beside(work: Callable[[Running], None], out: io.StringIO) -> Iterator[None]:
    """Do ``work`` in a thread during the block, which prints to ``out``; raises what it raised."""
    errors: list[BaseException] = []
    has_ended = threading.Event()

    def do() -> None:
        try:
            work(Running(os.getpid(), out.getvalue, has_ended.wait))
        except BaseException as error:
            errors.append(error)
            if not has_ended.is_set():
                os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=do)
    thread.start()
    try:
        yield
    finally:
        has_ended.set()
        thread.join()
    if errors:
        raise errors[0]


def run_process(arguments: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the training script in ``folder`` to its end, in a process of its own."""
    return subprocess.run(
        [sys.executable, str(TRAIN), *without_replay(arguments)],
        cwd=folder,
        env={**os.environ, "PYTORCH_JIT": "1"},
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )
