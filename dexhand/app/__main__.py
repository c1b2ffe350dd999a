"""Make ``python -m dexhand.app ...`` equivalent to ``dexhand train ...``."""

import sys

from dexhand.core.program import run_program


def main() -> int:
    """Run the command line of this process; returns the exit code."""
    from dexhand.app.main import main  # takes a while, in which signals are already handled

    return main(sys.argv[1:])


if __name__ == "__main__":
    run_program(main)
