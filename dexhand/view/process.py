"""Processes of views, which a run can do without."""

import os
import subprocess
import sys
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path


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
