"""``dexhand panel``: a page that chooses which checkpoint of a run its players play."""

import argparse
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from dexhand.config.schema import TrainConfig
from dexhand.core.stop import handle_signals
from dexhand.view.checkpoint_page import PORT, CheckpointPage
from dexhand.workspace.checkpoint_names import CheckpointNotFound, find_source
from dexhand.workspace.workspace import WorkspaceError

_ABOUT = """\
Opens a page that lists the checkpoints of a run and chooses which one plays in the tests without end of that run
(dexhand watch, dexhand test testGamesNum=0, dexhand train-play mode=play), wherever they run, as long as the run's
folder is shared or copied in both directions. For a terminal: dexhand runs panel RUN"""


def main(argv: Sequence[str]) -> int:
    """Show the page until Ctrl-C and return the exit code; wrong arguments exit with code 2."""
    arguments = _parser().parse_args(argv)
    try:
        folder = find_source(arguments.experiment, Path(arguments.runs_dir)).folder
        page = CheckpointPage(folder, port=arguments.port, bind_all=arguments.bind_all)
    except CheckpointNotFound as error:
        _fail(f"--experiment={error.spec!r}: {error.problem}")
    except WorkspaceError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"--port={arguments.port}: {error}")
    print(f"Checkpoints of {folder}: {page.url} (Ctrl-C ends)", flush=True)
    ended = threading.Event()
    with handle_signals(lambda number: ended.set()):
        while page.is_open and not ended.wait(0.2):
            pass
    page.close()
    if not ended.is_set():
        print("error: the process of the page has ended", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dexhand panel", description=_ABOUT)
    parser.add_argument(
        "--experiment", metavar="RUN", required=True, help="latest, a run's name, a part of it or a path"
    )
    parser.add_argument(
        "--runs-dir", metavar="DIR", default=TrainConfig.runsDir, help="the workspace (default: %(default)s)"
    )
    parser.add_argument(
        "--port", type=int, default=PORT, help="port of the page; if taken, the next free one (default: %(default)s)"
    )
    parser.add_argument("--bind-all", action="store_true", help="let other machines connect, with a token")
    return parser


def _fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)
