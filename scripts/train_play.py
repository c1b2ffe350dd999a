#!/usr/bin/env python3
"""Train a policy, or play one while it is being trained; ``--help`` explains it."""

import sys

from dexhand.core.program import run_program


def main() -> int:
    """Run the command line of this process; returns the exit code."""
    from dexhand.app.train_play import main  # takes a while, in which signals are already handled

    return main(sys.argv[1:])


if __name__ == "__main__":
    run_program(main)
