"""``dexhand new``: first files of one's own, which work as they are."""

import argparse
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from dexhand.app.main import exit_code_of
from dexhand.config.errors import ConfigError
from dexhand.tasks import TASK_CONFIGS

_PACKAGE = Path(__file__).parents[1]
_TEMPLATES = _PACKAGE / "new" / "templates"
_KINDS: dict[str, tuple[dict[str, Path], str]] = {
    "task": (
        {"{name}.py": _TEMPLATES / "new_task.py", "conf/task/{Name}.yaml": _TEMPLATES / "NewTask.yaml"},
        "dexhand train --config-dir conf task={Name} maxIter=20",
    ),
    "env": ({"{name}.py": _TEMPLATES / "new_env.py"}, "dexhand train env.factory={name}.py:{Name} maxIter=20"),
    "train": (
        {"conf/train/{Name}.yaml": _PACKAGE / "tasks/base_task/cfg/train/BaseTaskPPO.yaml"},
        "dexhand train --config-dir conf train={Name}",
    ),
    "hand": ({"{name}": _PACKAGE / "hands/dexhand021_right"}, "dexhand train env.hand={name}"),
}
"""For each kind, the files to write, what each is a copy of, and a command that uses them."""

_ABOUT = """\
Writes files of your own to start from, which work as they are, and prints the command that uses them:

  dexhand new task TurnHand     a task: one Python class and its settings (docs/new-task.md)
  dexhand new env Line          an environment without a hand (docs/plugins.md)
  dexhand new train MyPPO       learner settings (docs/configuration.md)
  dexhand new hand my_hand      a copy of the right hand (docs/hands.md)
"""


def main(argv: Sequence[str]) -> int:
    """Run the command line and return the exit code; wrong arguments exit with code 2."""
    parser = argparse.ArgumentParser(
        prog="dexhand new", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=_KINDS, metavar="KIND", help=", ".join(_KINDS))
    parser.add_argument("name", metavar="NAME", help="letters, digits and _, beginning with a letter")
    arguments = parser.parse_args(argv)
    return exit_code_of(lambda: _write(arguments.kind, arguments.name))


def _write(kind: str, given: str) -> int:
    if not re.fullmatch(r"[A-Za-z]\w*", given, re.ASCII):
        raise ConfigError(f"{given!r} cannot be a name: letters, digits and _, beginning with a letter")
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", given).lower()
    camel = "".join(part[:1].upper() + part[1:] for part in given.split("_"))
    name = {"name": snake, "Name": camel}
    if camel in TASK_CONFIGS:
        raise ConfigError(f"{given!r} is the name of a built-in task. Give another name")
    sources, command = _KINDS[kind]
    files = {Path(target.format(**name)): source for target, source in sources.items()}
    for file in files:
        if file.exists():
            raise ConfigError(f"{file} is there already. Give another name, or move it away")
    for file, source in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, file)
        else:
            text = source.read_text()
            file.write_text(text.replace("New" + kind.title(), camel).replace(f"new_{kind}", snake))
        print(f"Wrote {file}")  # noqa: T201
    print(f"Try it: {command.format(**name)}")  # noqa: T201
    return 0
