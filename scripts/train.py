#!/usr/bin/env python3
"""Train a policy, or play one with ``test=true``; ``--help`` explains the rest."""

from dexhand.app.main import run_as_program

if __name__ == "__main__":
    run_as_program()
