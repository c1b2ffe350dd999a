#!/usr/bin/env python3
"""Train a policy, or play one while it is being trained: the same as ``dexhand train-play``."""

from dexhand.__main__ import run_command

if __name__ == "__main__":
    run_command("train-play")
