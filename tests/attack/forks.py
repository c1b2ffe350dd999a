"""The training program in forks of this process, which need no imports, and what became of them."""

import atexit
import contextlib
import gc
import importlib
import io
import os
import resource
import runpy
import select
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from failing_calls import FailingCalls

from dexhand.app.main import main

TRAIN = Path(__file__).parents[2] / "scripts" / "train.py"
PATIENCE = 30.0
"""Seconds until a process hangs."""
GIVEN_UP = 20.0
"""Seconds until a program that waits for something is told to stop."""
TINY = [
    *("sim.backend=mock", "numEnvs=2", "train.algorithm=mock", "train.network.units=[4]"),
    *("train.ppo.horizon_length=4", "task.episodeLength=6", "train.saveFrequency=1"),
]
"""A training of the mock learner on the mock simulator that takes a tenth of a second."""


def tiny(*words: str) -> list[str]:
    """``TINY`` with other values, or more keys."""
    given = {word.partition("=")[0] for word in words}
    return [*(word for word in TINY if word.partition("=")[0] not in given), *words]


@dataclass(frozen=True)
class End:
    """How a process ended."""

    code: int
    """Exit code; minus the signal that ended it."""
    out: str
    err: str
    seconds: float
    """Wall-clock time."""
    cpu: float
    """Seconds of processor time."""
    peak: int
    """Bytes of memory that it had at most."""

    @property
    def was_killed(self) -> bool:
        return self.code == -signal.SIGKILL

    @property
    def problem(self) -> str | None:
        """Why this is no proper end of the program, which is 0, or 1 or 2 and a line; ``None`` if it is one."""
        errors = [line for line in (self.out + self.err).splitlines() if line.startswith("error: ")]
        if "Traceback" in self.out + self.err or "Logging error" in self.err:
            return f"traceback: {self.tail}"
        if self.code not in (0, 1, 2):
            return f"exit code {self.code}: {self.tail}"
        if self.code and not errors:
            return f"exit code {self.code} without an error: {self.tail}"
        if self.code == 2 and len(self.err.splitlines()) != 1:
            return f"an error of {len(self.err.splitlines())} lines: {self.tail}"
        return None

    @property
    def tail(self) -> str:
        """The last of what it said; of a traceback, where and what."""
        if "Traceback" in self.err:
            lines = [line.strip() for line in self.err.splitlines()]
            return " ".join([*[line for line in lines if line.startswith("File ")][-2:], lines[-1]])[-600:]
        return (self.out[-300:] + " | " + self.err[-600:]).strip()


def warm_up(folder: Path) -> None:
    """Import here what a training and a test import."""
    for module in ("dexhand.app.__main__", "dexhand.__main__", "dexhand.command"):
        importlib.import_module(module)
    with contextlib.chdir(folder):
        for learner in ("mock", "rl_games"):
            assert main([*TINY, f"train.algorithm={learner}", "maxIter=1"]) == 0
        assert main(["test=true", "checkpoint=latest", "testGamesNum=1"]) == 0
    gc.collect()  # a fork that frees what MuJoCo left here would join its threads, which the fork has not
    assert threading.active_count() == 1, "a fork has one thread only"


def program(*argv: str) -> Callable[[], None]:
    """What ``scripts/train.py`` does with these arguments."""

    def work() -> None:
        sys.argv = [str(TRAIN), *argv]
        runpy.run_path(str(TRAIN), run_name="__main__")

    return work


class Fork:
    """A fork that runs ``work`` in ``folder``."""

    def __init__(self, work: Callable[[], None], folder: Path) -> None:
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - until the end
        self._start = time.monotonic()
        # not only in _live: a signal between the fork and there would be lost
        before = signal.signal(signal.SIGINT, signal.SIG_DFL)
        self._process = os.fork()
        if self._process == 0:
            _live(work, folder, self._out.fileno(), self._err.fileno())
        signal.signal(signal.SIGINT, before)

    def end(self, signals: Sequence[tuple[float, int]] = (), patience: float = PATIENCE) -> End:
        """Wait for its end; ``signals`` are sent to it after so many seconds each.

        One that takes longer than ``patience`` is killed, with exit code -9.
        """
        descriptor = os.pidfd_open(self._process)
        try:
            for seconds, number in [*signals, (patience, signal.SIGKILL)]:
                rest = self._start + seconds - time.monotonic()
                if select.select([descriptor], [], [], max(rest, 0.0))[0]:
                    break
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)
            _, status, usage = os.wait4(self._process, 0)
        seconds = time.monotonic() - self._start
        cpu = usage.ru_utime + usage.ru_stime
        texts = _text(self._out), _text(self._err)
        return End(os.waitstatus_to_exitcode(status), *texts, seconds, cpu, usage.ru_maxrss * 1024)


def run(
    work: Callable[[], None], folder: Path, signals: Sequence[tuple[float, int]] = (), patience: float = PATIENCE
) -> End:
    """Run ``work`` in a fork, in ``folder``; see ``Fork.end``."""
    return Fork(work, folder).end(signals, patience)


def _text(file: IO[bytes]) -> str:
    with file:
        file.seek(0)
        return file.read().decode(errors="replace")


def run_failing(work: Callable[[], None], number: int, mode: str, folder: Path) -> tuple[End, str]:
    """Run ``work`` in a fork in which call ``number`` fails; also which one that was, empty if there are fewer.

    See ``FailingCalls``. A test that waits for a checkpoint is told to stop.
    """
    reading, writing = os.pipe()

    def fail() -> None:
        FailingCalls(number, mode, writing).install()
        work()

    end = run(fail, folder, [(GIVEN_UP, signal.SIGINT)])
    os.close(writing)
    with open(reading, "rb") as pipe:
        return end, pipe.read().decode(errors="replace")


def _live(work: Callable[[], None], folder: Path, out: int, err: int) -> NoReturn:
    """The life of a child: as Python runs a program, but without what it would do to this one's memory at exit."""
    code = 1
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout, sys.stderr = (io.TextIOWrapper(io.FileIO(number, "w", closefd=False)) for number in (1, 2))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.chdir(folder)
        atexit._clear()
        try:
            work()
            code = 0
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else 1
        except BaseException:
            traceback.print_exc()
        threading._shutdown()  # type: ignore[attr-defined]
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
