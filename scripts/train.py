#!/usr/bin/env python3
"""Train a policy, or play one with ``test=true``; ``--help`` explains the rest."""

from dexhand.app.__main__ import main
from dexhand.core.program import run_program

if __name__ == "__main__":
    run_program(main)
