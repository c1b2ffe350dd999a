#!/usr/bin/env python3
"""Choose in the browser which checkpoint of a run plays: the same as ``dexhand panel``."""

from dexhand.__main__ import run_command

if __name__ == "__main__":
    run_command("panel")
