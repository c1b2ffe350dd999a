"""Run a script with the stand-in in place of Isaac Gym."""

import runpy
import sys
from pathlib import Path

from dexhand.mock.isaacgym import install


def main() -> None:
    """``python -m dexhand.mock.isaacgym scripts/train.py sim.backend=isaacgym ...``."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print("usage: python -m dexhand.mock.isaacgym SCRIPT [ARGUMENTS ...]")  # noqa: T201
        print("Runs a Python script that imports isaacgym with dexhand's stand-in for it.")  # noqa: T201
        sys.exit(0 if len(sys.argv) > 1 else 2)
    install()
    sys.argv = sys.argv[1:]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)  # as for a script that Python runs itself
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
