"""Processes of views, which a run can do without."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

PATIENCE = 1.0
"""Seconds that a process and each thread have to end."""
LONGEST_DELAY = 0.5
"""Seconds for which ``Patience`` lets others work instead."""
WORK_TIME = 5.0
"""Seconds for which it then takes part."""
LONGEST_LEAVE = 3.0
"""Seconds that a process has for what it does last."""


def start_process(module: str, *files: int) -> tuple["subprocess.Popen[bytes]", Connection]:
    """Start ``module`` in a process of its own; returns it and the pipe to it.

    Its arguments are its end of the pipe and ``files``, which it inherits; all are file descriptors.
    """
    ours, theirs = Pipe()
    package = str(Path(__file__).resolve().parents[2])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    inherited = (theirs.fileno(), *files)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", module, *map(str, inherited)],
        pass_fds=inherited,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,  # where viser prints its own addresses
        process_group=0,  # Ctrl-C is for the run
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    theirs.close()
    return process, ours


def yield_processors() -> None:
    """Leave the processors to other processes wherever these have work for them."""
    if sys.platform == "linux":
        _set_policy(os.SCHED_IDLE)
    else:
        os.nice(19)


def claim_processors() -> None:
    """Take part in the work again, where that is possible."""
    if sys.platform == "linux":
        _set_policy(os.SCHED_OTHER)


class Patience:
    """Leaves the processors to other processes, but not for ever where these are many."""

    def __init__(self) -> None:
        self._works_until = 0.0
        yield_processors()

    def waited(self, late: float) -> None:
        """Tell how much later than planned this process goes on, seconds."""
        now = time.monotonic()
        if late > LONGEST_DELAY:
            self._works_until = now + WORK_TIME
            claim_processors()
        elif 0.0 < self._works_until < now:
            self._works_until = 0.0
            yield_processors()


def _set_policy(policy: int) -> None:
    """Set the scheduling policy of all threads, which on Linux have one each."""
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):
            os.sched_setscheduler(int(thread), policy, os.sched_param(0))


def end_process(
    process: "subprocess.Popen[bytes]", threads: Iterable[threading.Thread], *, is_told: bool = False
) -> None:
    """Kill a process, which keeps nothing, and wait briefly for it and for the threads that talk with it.

    One that ``is_told`` of the end may do something last; see ``LONGEST_LEAVE``.
    """
    if is_told:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LONGEST_LEAVE)
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE)
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(PATIENCE)
