#!/usr/bin/env python3
"""Train a policy, or play one with test=true. ``--help`` tells the rest."""

import sys
from pathlib import Path

from dexhand.config.cli import parse


def main() -> int:
    """Read the command line first: what is wrong there is said before torch or a simulator is imported."""
    invocation = parse(sys.argv[1:], _saved_config)
    try:
        from dexhand.experiment import run

        return run(invocation)
    except KeyboardInterrupt:  # before training listens to signals: nothing has been begun that could be lost
        return 130


def _saved_config(resume: str, runs_dir: str) -> Path:
    from dexhand.experiment import saved_config

    return saved_config(resume, runs_dir)


if __name__ == "__main__":
    sys.exit(main())
