"""The signals that end a program. Imports little: until they are handled, Ctrl-C prints a traceback."""

import os
import signal


def ending_signals() -> list[int]:
    """SIGINT, SIGTERM, and SIGHUP unless ``nohup`` makes this process ignore it."""
    hangup = [number for number in (signal.SIGHUP,) if signal.getsignal(number) != signal.SIG_IGN]
    return [signal.SIGINT, signal.SIGTERM, *hangup]


def exit_on_signals() -> None:
    """Make each of these signals end this process at once with exit code 128 + its number, unless a block handles it.

    Python's own ``KeyboardInterrupt`` is lost where it is raised in a callback, such as those of every import.
    """
    for number in ending_signals():
        signal.signal(number, lambda number, frame: os._exit(128 + number))
