"""Processes of views, which a run can do without."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

PATIENCE = 1.0
"""Seconds that a process and each thread have to end."""


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
        start_new_session=True,  # Ctrl-C is for the run
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    theirs.close()
    return process, ours


def end_process(process: "subprocess.Popen[bytes]", threads: Iterable[threading.Thread]) -> None:
    """Kill a process, which keeps nothing, and wait briefly for it and for the threads that talk with it."""
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE)
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(PATIENCE)
