#!/usr/bin/env python3
"""Train a policy, or play one with ``test=true``: the same as ``dexhand train``."""

from dexhand.__main__ import run_command

if __name__ == "__main__":
    run_command("train")
