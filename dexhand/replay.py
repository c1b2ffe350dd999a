"""``python -m dexhand.replay``: open the replay of a run, or play the run again to make it."""

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
from dexhand.workspace.listing import find, found_runs
from dexhand.workspace.workspace import Run, Workspace

_ABOUT = """\
Opens the replay of a run, its replay.html, in the browser. A run that has none, such as a training, is played until
there is one; so is a run for which settings are given."""

_EXAMPLES = """\
RUN is latest_test, latest_train, a run's name, a part of it that fits one run only, or a path.

examples:
  python -m dexhand.replay                                    the newest test
  python -m dexhand.replay latest_train --no-browser          the newest training's last checkpoint
  python -m dexhand.replay best_grasp replayDuration=30 numEnvs=1 seed=7
"""


def main(argv: Sequence[str]) -> int:
    """Run the command line and return the exit code: 0; 1 if the replay could not be written; 2 for a wrong one."""
    parser = argparse.ArgumentParser(
        prog="python -m dexhand.replay",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", nargs="?", default="latest_test", help="default: latest_test")
    parser.add_argument(
        "settings", metavar="KEY=VALUE", nargs="*", help="as for scripts/train.py: play again with these"
    )
    parser.add_argument("--runs-dir", metavar="DIR", default=TrainConfig.runsDir, help="default: %(default)s")
    parser.add_argument("--no-browser", action="store_true", help="only print where the replay is")
    arguments = parser.parse_args(argv)
    return exit_code_of(lambda: _open(arguments))


def _open(arguments: argparse.Namespace) -> int:
    workspace = Workspace(Path(arguments.runs_dir))
    run = Run(find(arguments.run, found_runs(workspace.view), workspace).path)
    has_one = run.replay_file.is_file() and not arguments.settings
    if not has_one and not _play(run, arguments.settings, workspace):
        return 1
    print(run.replay_file)
    if not arguments.no_browser:
        webbrowser.open(run.replay_file.resolve().as_uri())
    return 0


def _play(run: Run, settings: Sequence[str], workspace: Workspace) -> bool:
    """Play a run's checkpoint, with its settings and these, until its replay is written; returns whether it is."""
    is_test = run.played_file.is_file()
    words = [f"config={run.config_file}"] if is_test else []
    words += ["train.test=true", f"train.checkpoint={run.path}", f"train.runsDir={workspace.links}", "reloadInterval=0"]
    invocation = parse([*words, *settings], Workspaces())
    if not isinstance(invocation, Invocation):
        raise ConfigError("a replay is of one run: give values, without flags and lists of values")
    config = invocation.config
    config.env.replayDuration = config.env.replayDuration or EnvConfig.replayDuration
    from rich.console import Console

    from dexhand.app.evaluate import write_replay
    from dexhand.app.logs import logging_to_console

    with logging_to_console(Console(highlight=False), config.train.logLevel):
        return write_replay(invocation, find_source(str(run.path), workspace.links), run.replay_file)


if __name__ == "__main__":
    run_program(lambda: main(sys.argv[1:]))
