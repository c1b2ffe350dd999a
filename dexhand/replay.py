"""``dexhand replay``: open the replay of a run, or play the run again to make it."""

from dexhand.core.signals import exit_on_signals

if __name__ == "__main__":
    exit_on_signals()  # also during the imports, which take a while

import argparse
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from dexhand.app.main import Workspaces, exit_code_of
from dexhand.config.cli import Invocation, parse
from dexhand.config.errors import ConfigError
from dexhand.config.schema import EnvConfig, TrainConfig
from dexhand.core.program import run_program
from dexhand.workspace.checkpoint_names import find_source
from dexhand.workspace.links import is_running
from dexhand.workspace.listing import find, found_runs
from dexhand.workspace.workspace import Run, Workspace, WorkspaceError

_ABOUT = """\
Opens the replay of a run, its replay.html, in the browser. A run that has none, such as a training, is played until
there is one; so is a run for which settings are given, whose replay is then replaced."""

_EXAMPLES = """\
RUN is latest_test, latest_train, a run's name, a part of it that fits one run only, or a path.

examples:
  dexhand replay                                    the newest test
  dexhand replay latest_train --no-browser          the newest training's last checkpoint
  dexhand replay best_grasp replayDuration=30 numEnvs=1 seed=7
"""


def main(argv: Sequence[str]) -> int:
    """Run the command line and return the exit code: 0; 1 if the replay could not be written; 2 for a wrong one."""
    parser = argparse.ArgumentParser(
        prog="dexhand replay",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", nargs="?", help="default: latest_test, if it has ended")
    parser.add_argument("settings", metavar="KEY=VALUE", nargs="*", help="as for dexhand train: play again with these")
    parser.add_argument("--runs-dir", metavar="DIR", default=TrainConfig.runsDir, help="default: %(default)s")
    parser.add_argument("--no-browser", action="store_true", help="only print where the replay is")
    arguments = parser.parse_args(argv)
    return exit_code_of(lambda: _open(arguments))


def _open(arguments: argparse.Namespace) -> int:
    workspace = Workspace(Path(arguments.runs_dir))
    spec = "latest_test" if arguments.run is None else arguments.run
    run = Run(find(spec, found_runs(workspace.view), workspace).path)
    if arguments.run is None:
        _say_which(run)
    has_one = run.replay_file.is_file()
    if has_one and arguments.settings:
        print(f"With other settings a new replay will replace {run.replay_file}")
    if (not has_one or arguments.settings) and not _play(run, arguments.settings, workspace):
        return 1
    print(run.replay_file)
    if not arguments.no_browser:
        webbrowser.open(run.replay_file.resolve().as_uri())
    return 0


def _say_which(run: Run) -> None:
    if is_running(run.path):
        raise WorkspaceError(
            f"the newest test, {run.name}, is still running and writes its replay at the end. Wait for it, name "
            "another run, or name this one to play its checkpoint now: dexhand replay latest_test"
        )
    print(f"The newest test is {run.name}")


def _play(run: Run, settings: Sequence[str], workspace: Workspace) -> bool:
    """Play a run's checkpoint, with its settings and these, until its replay is written; returns whether it is."""
    is_test = run.played_file.is_file()
    words = [f"config={run.config_file}"] if is_test else []
    words += ["train.test=true", f"train.checkpoint={run.path}", f"train.runsDir={workspace.links}", "reloadInterval=0"]
    invocation = parse([*words, *settings], Workspaces())
    if not isinstance(invocation, Invocation):
        raise ConfigError("a replay is of one run: give values, without flags and lists of values")
    config = invocation.config
    if config.env.replayDuration == 0:
        if any(word.partition("=")[0].endswith("replayDuration") for word in settings):
            raise ConfigError("env.replayDuration=0: a replay needs a length. Give seconds above 0, or leave it out")
        config.env.replayDuration = EnvConfig.replayDuration
    from rich.console import Console

    from dexhand.app.evaluate import write_replay
    from dexhand.app.logs import logging_to_console

    with logging_to_console(Console(highlight=False), config.train.logLevel):
        return write_replay(invocation, find_source(str(run.path), workspace.links), run.replay_file)


if __name__ == "__main__":
    run_program(lambda: main(sys.argv[1:]))
