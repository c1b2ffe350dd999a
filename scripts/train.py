#!/usr/bin/env python3
"""Train a policy, or play one with test=true. ``--help`` tells the rest."""

import atexit
import gc
import sys

from dexhand.app.experiment import Workspaces, run
from dexhand.app.sweep import run_jobs
from dexhand.config.cli import Sweep, parse


def main() -> int:
    """What is wrong with the command line is said before torch or a simulator is imported."""
    asked = parse(sys.argv[1:], Workspaces())
    try:
        return run_jobs(asked, sys.argv[0]) if isinstance(asked, Sweep) else run(asked)
    except KeyboardInterrupt:  # before training listens to signals: nothing has been begun that could be lost
        return 130


if __name__ == "__main__":
    atexit.register(gc.freeze)  # Python would look for cycles among all of torch's objects, for most of a second
    sys.exit(main())
