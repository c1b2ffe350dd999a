"""``dexhand runs``: list runs, pin them, tidy up, choose what plays."""

from dexhand.core.signals import exit_on_signals

if __name__ == "__main__":
    exit_on_signals()  # also during the imports, which take a while

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from dexhand.checkpoints.panel import CheckpointPanel
from dexhand.config.errors import ConfigError
from dexhand.config.schema import TrainConfig
from dexhand.core.clock import SystemClock
from dexhand.core.program import run_program
from dexhand.files.output import output_code
from dexhand.workspace.checkpoint_names import CheckpointNotFound, find_source
from dexhand.workspace.links import LATEST, PINNED, Change, Limits
from dexhand.workspace.listing import FoundRun, facts_of, find, found_runs
from dexhand.workspace.table import print_differences, print_table
from dexhand.workspace.workspace import Run, Workspace, WorkspaceError

_ABOUT = """\
Lists the runs of the workspace, the newest first, and keeps it tidy. No command here deletes a run: only links in
runs/ come and go, the runs stay in runs_all/ until you delete them."""

_EXAMPLES = """\
RUN is latest, a run's name, a part of it that fits one run only, or a path.

examples:
  dexhand runs                              what there is
  dexhand runs pin latest best_grasp        keep the newest training in runs/pinned/, under a name of yours
  dexhand test checkpoint=best_grasp
  dexhand runs unpin best_grasp
  dexhand runs diff latest best_grasp       which keys differ between them
  dexhand runs prune --dry-run              which links the next training would remove
  dexhand runs panel latest                 choose what the tests of the newest training play
  dexhand runs list --json | jq '.[0].best_return'
"""


_LIMITS = {
    "--max-train-runs": "maxTrainRuns",
    "--max-test-runs": "maxTestRuns",
    "--max-recent-runs": "maxRecentRuns",
}
"""Options of prune, and the key of ``train`` that each stands for."""


class _Parser(argparse.ArgumentParser):
    """Argument parser that reports errors in one line."""

    def error(self, message: str) -> NoReturn:
        _fail(f"{message}. dexhand runs --help lists what can be given")


def main(argv: Sequence[str]) -> int:
    """Run the command line and return the exit code; wrong arguments exit with code 2."""
    shown = {key: getattr(TrainConfig, key) for key in _LIMITS.values()}
    defaults = argparse.Namespace(runs_dir=TrainConfig.runsDir, json=False, action=_list, **shown)
    arguments = _parser().parse_args(argv, defaults)
    try:
        limits = Limits(arguments.maxTrainRuns, arguments.maxTestRuns, arguments.maxRecentRuns)
        workspace = Workspace(Path(arguments.runs_dir), limits)
        if not workspace.links.is_dir() and not workspace.archive.is_dir():
            raise WorkspaceError(
                f"there is neither {workspace.links} nor {workspace.archive}. A training makes them; --runs-dir names "
                "another place"
            )
        arguments.action(arguments, workspace)
    except WorkspaceError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or 'reading or writing a file'}: {error.strerror}")
    return output_code()


def _parser() -> argparse.ArgumentParser:
    common = _Parser(add_help=False)
    # a default here would undo what was given before the command
    common.add_argument(
        "--runs-dir", metavar="DIR", default=argparse.SUPPRESS, help="the workspace, train.runsDir (default: runs)"
    )
    as_json = _Parser(add_help=False)
    as_json.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    parser = _Parser(
        prog="dexhand runs",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common, as_json],
    )
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")

    listing = commands.add_parser(
        "list", parents=[common, as_json], help="show all runs (what happens without COMMAND)"
    )
    listing.set_defaults(action=_list)

    pin = commands.add_parser("pin", parents=[common], help="show a run in runs/pinned/ for good")
    pin.add_argument("run", metavar="RUN")
    pin.add_argument("name", metavar="NAME", nargs="?", help="what to call it there (default: the run's name)")
    pin.set_defaults(action=_pin)

    unpin = commands.add_parser("unpin", parents=[common], help="show a pinned run among the others again")
    unpin.add_argument("run", metavar="NAME", help="its name in runs/pinned/, or RUN")
    unpin.set_defaults(action=_unpin)

    prune = commands.add_parser(
        "prune", parents=[common, as_json], help="bring the links in runs/ up to date, as every training does"
    )
    prune.add_argument("--dry-run", action="store_true", help="only tell what would be done")
    for flag, limit in _LIMITS.items():
        default = getattr(TrainConfig, limit)
        shown = "no limit" if default is None else default
        text = f"train.{limit} of your trainings (default: {shown})"
        prune.add_argument(flag, metavar="N", type=_count, default=argparse.SUPPRESS, dest=limit, help=text)
    prune.set_defaults(action=_prune)

    diff = commands.add_parser(
        "diff", parents=[common], help="show the keys in which the configurations of runs differ"
    )
    diff.add_argument("runs", metavar="RUN", nargs="+", help="two or more")
    diff.set_defaults(action=_diff)

    panel = commands.add_parser(
        "panel", parents=[common], help="choose which checkpoint of a run plays in its tests without end"
    )
    panel.add_argument("run", metavar="RUN", help="as above; of several matches the newest")
    panel.set_defaults(action=_panel)
    return parser


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of runs, such as 10")
    return int(text)


def _list(arguments: argparse.Namespace, workspace: Workspace) -> None:
    runs, now = found_runs(workspace.view), SystemClock().now()
    facts = [facts_of(run, now) for run in runs]
    if arguments.json:
        both = [{**asdict(run), **asdict(fact), "path": str(run.path)} for run, fact in zip(runs, facts)]
        print(json.dumps(both, indent=2))
    elif runs:
        print_table(runs, facts)
    else:
        print(f"There are no runs in {workspace.links} and {workspace.archive} yet")


def _pin(arguments: argparse.Namespace, workspace: Workspace) -> None:
    runs = found_runs(workspace.view)
    run = find(arguments.run, runs, workspace)
    name = arguments.name or run.name
    if run.pinned and arguments.name in (None, *run.pinned):
        print(f"{run.name} is pinned already, as {run.pinned[0]}")
        return
    _check_name(name, run, runs, workspace)
    workspace.pin(run.path, name)
    print(f"{_shown(workspace.view.pinned / name, workspace)} leads to {_shown(run.path, workspace)} now")


def _check_name(name: str, run: FoundRun, runs: list[FoundRun], workspace: Workspace) -> None:
    place = workspace.view.pinned
    if run.pinned:
        old = place / run.pinned[0]
        raise WorkspaceError(f"{run.name} is pinned already. Rename the pin: mv {old} {place / name}")
    if "/" in name or name.startswith(".") or name in ("latest", *LATEST, PINNED):
        raise WorkspaceError(
            f"{name!r} cannot be the name of a pin: give one without /, that does not begin with a dot"
        )
    if any(name in other.names for other in runs if other is not run):
        raise WorkspaceError(f"{name!r} is the name of another run. Give another name")
    if os.path.lexists(place / name):
        raise WorkspaceError(f"{place / name} is there already. Give another name")


def _unpin(arguments: argparse.Namespace, workspace: Workspace) -> None:
    pinned = [run for run in found_runs(workspace.view) if run.pinned]
    run = find(arguments.run, pinned, workspace)
    names = [name for name in run.pinned if name == arguments.run] or run.pinned
    for name in names:
        workspace.unpin(name, run.path)
        print(f"{_shown(workspace.view.pinned / name, workspace)} is removed; the run is {_shown(run.path, workspace)}")


def _prune(arguments: argparse.Namespace, workspace: Workspace) -> None:
    changes = workspace.tidy(dry_run=arguments.dry_run)
    if arguments.json:
        print(json.dumps([{**asdict(change), "link": str(change.link)} for change in changes], indent=2))
        return
    for change in changes:
        print(_in_words(change, workspace, arguments.dry_run))
    removed = sum(change.target is None for change in changes)
    done = "to be removed" if arguments.dry_run else "removed"
    print(f"links {done}: {removed}; no run is ever deleted")


def _diff(arguments: argparse.Namespace, workspace: Workspace) -> None:
    from dexhand.config.sources import leaves, read_run_file, shown  # Hydra takes a while to import

    found = found_runs(workspace.view)
    runs = [find(spec, found, workspace) for spec in arguments.runs]
    if len(runs) < 2:
        raise WorkspaceError(f"{runs[0].name} can only differ from another run. Give two or more")
    try:
        files = [read_run_file(Run(run.path).config_file) for run in runs]
    except ConfigError as error:
        raise WorkspaceError(str(error)) from None
    values = [{key: shown(value) for key, value in leaves(file)} for file in files]
    keys = [key for key in dict.fromkeys(key for run in values for key in run) if len({*_column(key, values)}) > 1]
    if keys:
        print_differences([run.name for run in runs], {key: _column(key, values) for key in keys})
    else:
        print("Their configurations are the same")


def _column(key: str, values: list[dict[str, str]]) -> tuple[str, ...]:
    return tuple(run.get(key, "-") for run in values)


def _panel(arguments: argparse.Namespace, workspace: Workspace) -> None:
    from dexhand.checkpoints.terminal import show_in_terminal  # not on Windows

    try:
        folder = find_source(arguments.run, Path(arguments.runs_dir)).folder
    except CheckpointNotFound as error:
        raise WorkspaceError(f"{error.spec!r}: {error.problem}") from None
    panel = CheckpointPanel(folder, SystemClock())
    show_in_terminal(panel, Console(highlight=False))
    panel.close()


def _in_words(change: Change, workspace: Workspace, dry_run: bool) -> str:
    verb = "remove" if change.target is None else "link"
    said = f"would {verb}" if dry_run else verb
    arrow = "" if change.target is None else f" -> {change.target}"
    return f"{said} {_shown(change.link, workspace)}{arrow} ({change.reason})"


def _shown(path: Path, workspace: Workspace) -> str:
    """The path relative to the workspace's folder."""
    return os.path.relpath(path, workspace.links.parent)


def _fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    run_program(lambda: main(sys.argv[1:]))
