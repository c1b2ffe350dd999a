"""``dexhand demo``: hands that a script moves, in the browser. Needs no torch until the command line is checked."""

import argparse
from collections.abc import Sequence

from dexhand.app.main import exit_code_of
from dexhand.config.compose import compose
from dexhand.config.errors import ConfigError
from dexhand.config.overrides import read_overrides

_ABOUT = """\
Shows hands that grasp and lift boxes, on a page in the browser, until Ctrl-C. A script moves them, which knows where
the boxes are; nothing has to be trained. It fails where a box starts too far away to be reached in time."""

_SETTINGS = {"task": "BlindGrasping", "env.numEnvs": "4", "env.videoStream": "true", "env.videoStreamSpeed": "1"}


def main(argv: Sequence[str]) -> int:
    """Show the demonstration until Ctrl-C, or for ``--seconds``; returns the exit code."""
    parser = argparse.ArgumentParser(prog="dexhand demo", description=_ABOUT)
    parser.add_argument("--seconds", type=float, metavar="N", help="end after so many seconds")
    parser.add_argument(
        "settings", nargs="*", metavar="KEY=VALUE", help="as for dexhand train, such as env.hand=dexhand021_left"
    )
    arguments = parser.parse_intermixed_args(argv)
    return exit_code_of(lambda: _run(arguments.settings, arguments.seconds))


def _run(words: Sequence[str], seconds: float | None) -> int:
    given = read_overrides(words)
    config = compose([*(f"{key}={value}" for key, value in _SETTINGS.items() if key not in given), *words])
    if config.task.name != "BlindGrasping" or config.env.factory is not None:
        raise ConfigError("the script of the demonstration solves task=BlindGrasping alone. Leave the other task out")
    from dexhand.demo.show import show

    return show(config, seconds)
