"""Running a function as a program: signals, output and the end of the process.

Imports little before signals are handled, like ``dexhand.core.signals``.
"""

import atexit
import os
import sys

from dexhand.core.signals import exit_on_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

PATIENCE = 1.0
"""Seconds that threads have to finish their work when the program ends."""


def run_program(main: "Callable[[], int]") -> "NoReturn":
    """Run ``main`` and end the process with the exit code that it returns.

    Until ``main`` handles signals, they end the process at once. Import what is slow inside ``main``. A thread that
    never ends, for example in a call to a file system that does not answer, does not keep the process. If the working
    folder has been deleted, ``main`` is not run: libraries would end the process in ways of their own.
    """
    exit_on_signals()
    import logging

    from dexhand.files.output import write_patiently

    write_patiently()
    logging.raiseExceptions = False  # nor does a message that cannot be formatted print a traceback
    try:
        os.getcwd()
    except OSError as error:
        sys.stderr.write(f"error: the working folder cannot be used: {error.strerror}. Change to one that exists\n")
        _end(2)
    try:
        code = main()
    except Exception:
        sys.excepthook(*sys.exc_info())
        code = 1
    _end(code)


def _end(code: int) -> "NoReturn":
    """End without finalizing Python, which would wait for threads and search all of torch's objects for cycles."""
    import threading
    import time

    end = time.monotonic() + PATIENCE
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.main_thread():
            thread.join(max(0.0, end - time.monotonic()))
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(code)
