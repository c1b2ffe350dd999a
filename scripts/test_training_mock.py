#!/usr/bin/env python3
"""Test the whole training machinery in seconds, on fake data, model and loss. ``--help`` lists the options."""

import atexit
import functools
import gc
import sys

from dexhand.files.output import write_patiently
from dexhand.mock_training.command_line import training_settings


def main() -> int:
    """Read the command line before torch is imported."""
    settings = training_settings(sys.argv[1:])
    try:
        from dexhand.mock_training.training_run import run

        return run(settings, functools.partial(print, flush=True))
    except KeyboardInterrupt:  # before anything listens to signals
        return 130


if __name__ == "__main__":
    write_patiently()
    atexit.register(gc.freeze)  # Python would look for cycles among all of torch's objects, for most of a second
    sys.exit(main())
