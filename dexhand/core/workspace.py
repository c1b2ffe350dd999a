"""Where runs live: the runs themselves in ``runs_all/``, links to them in ``runs/``.

Needs no torch: a configuration is checked against the workspace before torch is imported.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Iterator, Literal, Optional, Sequence, Tuple

from filelock import FileLock, Timeout

from dexhand.core.files import symlink_atomically, write_atomically

if TYPE_CHECKING:
    from dexhand.core.interfaces import Clock

RunKind = Literal["train", "test"]
LOCK_TIMEOUT = 10.0
"""Seconds to wait for another process that is publishing a run."""
GIT_TIMEOUT = 5.0
"""Seconds that one question to git may take."""

_TASK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_RUN_NAME = re.compile(r"(?P<task>.+)_(?P<kind>train|test)_(?P<started>\d{8}_\d{6})(?:_(?P<attempt>[1-9]\d*))?")


class WorkspaceError(ValueError):
    """Something about the workspace that the user can put right; the message says what and how."""


@dataclass(frozen=True)
class RunName:
    """The parts of a run's name, ``<Task>_<kind>_<YYYYMMDD_HHMMSS>[_<attempt>]``."""

    task: str
    kind: str
    """``train`` or ``test``."""
    started: str
    """Local time, ``YYYYMMDD_HHMMSS``."""
    attempt: int = 1
    """Counts the runs of one name that began in one second."""

    def __str__(self) -> str:
        suffix = "" if self.attempt == 1 else f"_{self.attempt}"
        return f"{self.task}_{self.kind}_{self.started}{suffix}"

    @property
    def order(self) -> Tuple[str, int]:
        """Sorts names by time."""
        return self.started, self.attempt

    @classmethod
    def parse(cls, name: str) -> Optional[RunName]:
        """The parts of ``name``; ``None`` if no run is called so."""
        match = _RUN_NAME.fullmatch(name)
        if match is None:
            return None
        return cls(match["task"], match["kind"], match["started"], int(match["attempt"] or 1))


@dataclass(frozen=True)
class Run:
    """The folder of one run and what lies where in it; nothing but the folder itself need exist."""

    path: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "nn"

    @property
    def summaries(self) -> Path:
        """Folder of TensorBoard's event files."""
        return self.path / "summaries"

    @property
    def hard_examples(self) -> Path:
        """Folder of the worst episodes."""
        return self.path / "hard_examples"

    @property
    def wandb_id_file(self) -> Path:
        """Which Weights & Biases run this one is."""
        return self.path / "wandb_id.txt"

    @property
    def videos(self) -> Path:
        """Folder of recordings."""
        return self.path / "videos"

    @property
    def config_file(self) -> Path:
        """The complete configuration."""
        return self.path / "config.yaml"

    @property
    def command_file(self) -> Path:
        """The command that started the run."""
        return self.path / "command.txt"

    @property
    def git_file(self) -> Path:
        """Commit and uncommitted changes of the repository that the run was started in."""
        return self.path / "git.txt"

    @property
    def log_file(self) -> Path:
        """What the run said."""
        return self.path / "train.log"

    @property
    def results_file(self) -> Path:
        """In a test run: its games and their summary."""
        return self.path / "results.json"

    @property
    def played_file(self) -> Path:
        """In a test run: the path of the checkpoint that it plays, absolute or relative to the run's folder."""
        return self.path / "checkpoint.txt"


class Workspace:
    """All runs of one place: folders in ``<runs_dir>_all``, links in ``runs_dir``. Nothing is made until it is needed.

    Where ``runs_dir`` is itself a symbolic link, both are beside what it points to.
    """

    def __init__(self, runs_dir: Path) -> None:
        self.links = Path(os.path.realpath(runs_dir))
        if not self.links.name:
            raise WorkspaceError(f"train.runsDir={str(runs_dir)!r} needs a name, for example {runs_dir / 'runs'}")
        self.archive = self.links.with_name(f"{self.links.name}_all")

    def create_run(self, task: str, kind: RunKind, clock: Clock) -> Run:
        """Make the folder of a new run. Of runs that begin in one second every one gets a folder of its own."""
        if not _TASK.fullmatch(task):
            raise WorkspaceError(f"{task!r} cannot begin a run's name: letters, digits, _ and - are allowed")
        started = time.strftime("%Y%m%d_%H%M%S", time.localtime(clock.now()))
        with _explained(self.archive):
            self.archive.mkdir(parents=True, exist_ok=True)
            attempt = 1
            while True:
                path = self.archive / str(RunName(task, kind, started, attempt))
                try:
                    path.mkdir()
                except FileExistsError:
                    attempt += 1
                else:
                    return Run(path)

    def publish(self, run: Run) -> None:
        """Show ``run`` in ``runs/`` and make it ``latest_train`` or ``latest_test``. Call it once the run has begun.

        Links are replaced, each in one step; a file or folder in a link's place raises ``WorkspaceError`` and stays.
        """
        name = RunName.parse(run.name)
        if name is None:
            raise WorkspaceError(f"{run.path} is not called <Task>_<train|test>_<YYYYMMDD_HHMMSS>")
        with _explained(self.links):
            self.links.mkdir(parents=True, exist_ok=True)
            with FileLock(str(self.archive / ".lock"), timeout=LOCK_TIMEOUT):
                links = (self.links / run.name, self.links / f"latest_{name.kind}")
                for link in links:
                    _refuse_to_replace(link)
                for link in links:
                    symlink_atomically(os.path.relpath(run.path, self.links), link)


def _refuse_to_replace(link: Path) -> None:
    if os.path.lexists(link) and not link.is_symlink():
        raise WorkspaceError(f"{link} is in the way: a link to the run belongs there. Move it elsewhere")


@contextmanager
def hold(run: Run) -> Iterator[None]:
    """Keep other processes from training in ``run``; the hold ends with the process, however it ends.

    Raises ``WorkspaceError`` where another process trains in it.
    """
    lock = FileLock(str(run.path / ".lock"), timeout=0)
    try:
        with _explained(run.path):
            lock.acquire()
    except WorkspaceError as error:
        if isinstance(error.__cause__, Timeout):
            raise WorkspaceError(f"{run.path} is being trained by another process. Stop that one first") from None
        raise
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except Timeout as error:
        raise WorkspaceError(f"{error.lock_file} is held by another process for over {LOCK_TIMEOUT:g} s") from error
    except NotImplementedError as error:
        raise WorkspaceError(f"{folder} cannot hold links: {error}. Choose another place with train.runsDir") from error
    except OSError as error:
        raise WorkspaceError(
            f"{folder} cannot be used for runs: {error.strerror} ({error.filename2 or error.filename}). Runs need a "
            "writable file system with symbolic links; choose another place with train.runsDir"
        ) from error


def record(run: Run, config_yaml: str, argv: Sequence[str], played: Optional[Path] = None) -> None:
    """Write down how the run came about: configuration, command, state of the code and the checkpoint it plays.

    Of a run that goes on, the configuration is the newest; commands and states of the code are all there, in order.
    """
    run.config_file.write_text(config_yaml, encoding="utf-8")
    for path, text in ((run.command_file, shlex.join(argv) + "\n"), (run.git_file, _git_state())):
        with open(path, "a", encoding="utf-8") as file:
            file.write(text)
    if played is not None:
        record_played(run, played)


def record_played(run: Run, checkpoint: Path) -> None:
    """Write down what a test run plays now: ``latest_test`` and the name of the run lead to it. Raises ``OSError``."""
    content = f"{_path_from(run.path, checkpoint)}\n".encode()
    write_atomically(run.played_file, lambda file: file.write(content))


def _path_from(run: Path, checkpoint: Path) -> str:
    """Relative if the checkpoint belongs to a run beside this one, so that the whole workspace can move."""
    folder, target = os.path.realpath(run), os.path.realpath(checkpoint)
    beside = os.path.commonpath([folder, target]) == os.path.dirname(folder)
    return os.path.relpath(target, folder) if beside else target


def _git_state() -> str:
    """Commit and uncommitted changes of the working directory's repository, or why there are none."""
    try:
        commit = _git("rev-parse", "HEAD")
        changes = _git("diff", "--no-ext-diff", "HEAD")
    except FileNotFoundError:
        return "git is not installed\n"
    except subprocess.TimeoutExpired:
        return f"git did not answer within {GIT_TIMEOUT:g} s\n"
    except subprocess.CalledProcessError as error:
        complaint: bytes = error.stderr
        return complaint.decode(errors="replace")
    return f"commit {commit}\n{changes}"


def _git(*arguments: str) -> str:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    answer = subprocess.run(["git", *arguments], check=True, capture_output=True, timeout=GIT_TIMEOUT, env=environment)
    return answer.stdout.decode(errors="replace")
