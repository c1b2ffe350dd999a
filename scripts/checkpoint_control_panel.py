"""Choose in the browser which checkpoint of a run plays. See docs/hot-reload.md."""

import sys

from dexhand.core.program import run_program


def _main() -> int:
    from dexhand.checkpoint_panel import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    run_program(_main)
