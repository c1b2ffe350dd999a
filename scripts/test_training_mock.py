#!/usr/bin/env python3
"""Test the whole training machinery in seconds, on fake data, model and loss. ``--help`` lists the options."""

import functools
import sys

from dexhand.core.program import run_program


def main() -> int:
    """Read the command line before torch is imported."""
    # takes a while, in which signals are already handled
    from dexhand.mock_training.command_line import training_settings

    settings = training_settings(sys.argv[1:])
    from dexhand.mock_training.training_run import run

    return run(settings, functools.partial(print, flush=True))


if __name__ == "__main__":
    run_program(main)
