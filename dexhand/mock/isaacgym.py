"""Run a script with the stand-in in place of Isaac Gym: ``python -m dexhand.mock.isaacgym scripts/train.py ...``."""

import runpy
import sys
from pathlib import Path

from dexhand.isaacgym_worker import standin
from dexhand.sim.gl import choose_gl_backend


def install() -> None:
    """Make ``import isaacgym`` import the stand-in in this process, with rendering if the machine supports it."""
    choose_gl_backend()
    standin.install()


def main() -> None:
    """Run the script named by the first argument with the remaining arguments."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print("usage: python -m dexhand.mock.isaacgym SCRIPT [ARGUMENTS ...]")  # noqa: T201
        print("Runs a Python script that imports isaacgym with dexhand's stand-in for it.")  # noqa: T201
        sys.exit(0 if len(sys.argv) > 1 else 2)
    install()
    sys.argv = sys.argv[1:]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)  # as Python itself does for a script
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
