"""The commands of ``dexhand``, one for each program of the package."""

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NamedTuple

import dexhand


class _Command(NamedTuple):
    help: str
    example: str
    module: str
    """Has ``main(argv)``, which returns the exit code."""
    words: tuple[str, ...] = ()
    """What ``argv`` begins with; a configuration is left out where another one is given."""


_APP = "dexhand.app.main"

COMMANDS = {
    "demo": _Command("watch hands grasp boxes, in the browser", "", "dexhand.demo.main"),
    "train": _Command("train a policy", "task=BlindGrasping numEnvs=256 maxIter=100", _APP),
    "test": _Command(
        "play episodes with a policy and say how they ended",
        "checkpoint=latest testGamesNum=20",
        _APP,
        ("config=test", "train.test=true"),
    ),
    "watch": _Command(
        "watch the newest policy in the browser, also while it is trained",
        "numEnvs=1",
        _APP,
        ("config=watch", "train.test=true"),
    ),
    "compare": _Command("say which of two tests went better", "Best Newest", "dexhand.compare_tests"),
    "replay": _Command("open the replay of a run", "latest_test", "dexhand.replay"),
    "runs": _Command("list runs, pin them, tidy up", "pin latest best_grasp", "dexhand.runs"),
    "panel": _Command(
        "choose in the browser which checkpoint of a run plays", "--experiment=latest", "dexhand.checkpoint_panel"
    ),
    "train-play": _Command(
        "train, and watch in a second terminal", "mode=play experiment=Ant", "dexhand.app.train_play"
    ),
    "new": _Command("write a first file of your own: task, env, train", "task TurnHand", "dexhand.new"),
    "export-config": _Command(
        "print the whole configuration, for a file of your own", "physics=fast > mine.yaml", _APP, ("--cfg", "job")
    ),
}


def run(argv: Sequence[str]) -> int:
    """Run a command line, which begins with a command's name; returns the exit code."""
    if len(argv) == 2 and argv[0] == "help":
        argv = [argv[1], "--help"]
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_help(), end="")  # noqa: T201
        return 0
    name, *arguments = argv
    if name == "--version":
        print(f"dexhand {dexhand.__version__}")  # noqa: T201
        return 0
    if name in COMMANDS:
        return _main_of(name)(arguments)
    if name in ("-sc", "--shell-completion"):
        before, _, word = os.environ.get("COMP_LINE", "").rpartition(" ")
        if before.endswith("dexhand"):
            print("\n".join(command for command in COMMANDS if command.startswith(word)))  # noqa: T201
            return 0
        return _main_of("train")(argv)
    from dexhand.config.errors import did_you_mean

    hint = did_you_mean(name, [*COMMANDS, "--help", "--version"])
    if not hint and ("=" in name or name.startswith("-")):
        hint = f" Write dexhand train {name} ..."
    sys.stderr.write(f"error: {name} is no command. Known: {', '.join(COMMANDS)}.{hint}\n")
    return 2


def _main_of(name: str) -> Callable[[Sequence[str]], int]:
    """What runs a command; the slow imports are done when it is called."""
    command = COMMANDS[name]

    def main(argv: Sequence[str]) -> int:
        words = [] if list(argv) in (["-h"], ["--help"]) else _without_second_config(command.words, argv)
        code: int = import_module(command.module).main([*words, *argv])
        return code

    return main


def _without_second_config(words: Sequence[str], argv: Sequence[str]) -> list[str]:
    has_one = any(word.startswith(("config=", "-cn", "--config-name")) for word in argv)
    return [word for word in words if not (has_one and word.startswith("config="))]


def _help() -> str:
    lines = [dexhand.__doc__ or "", "", "usage: dexhand COMMAND ...", "", "commands, each with an example:"]
    for name, command in COMMANDS.items():
        lines += [f"  {name:<15}{command.help}", f"{'':<19}dexhand {name} {command.example}".rstrip()]
    lines += [
        "",
        "dexhand COMMAND --help explains a command; dexhand train --help lists every key of the configuration.",
        'Tab completion: eval "$(dexhand -sc install=bash)", or with fish or zsh',
    ]
    return "\n".join(lines) + "\n"
