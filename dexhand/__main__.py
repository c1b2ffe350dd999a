"""``dexhand``, also ``python -m dexhand``.

Imports little before signals are handled, like ``dexhand.core.signals``.
"""

import sys

from dexhand.core import program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> "NoReturn":
    """Run the command line of this process and end it with the exit code."""
    program.run_program(lambda: _run(sys.argv[1:]))


def run_command(name: str) -> "NoReturn":
    """Run a command with the arguments of this process, as its script does, and end the process."""
    program.run_program(lambda: _run([name, *sys.argv[1:]]))


def _run(argv: list[str]) -> int:
    from dexhand.command import run

    return run(argv)


if __name__ == "__main__":
    main()
