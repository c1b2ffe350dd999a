#!/usr/bin/env python3
"""Train a policy, or play one with test=true. ``--help`` tells the rest."""

import sys

from dexhand.config.cli import parse


def main() -> int:
    """Read the command line first: what is wrong there is said before torch or a simulator is imported."""
    invocation = parse(sys.argv[1:])
    try:
        from dexhand.experiment import run

        return run(invocation)
    except KeyboardInterrupt:  # before training listens to signals: nothing has been begun that could be lost
        return 130


if __name__ == "__main__":
    sys.exit(main())
