"""Run folders in ``runs_all/`` and links to them in ``runs/``.

Needs no torch: a configuration is checked against the workspace before torch is imported.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from dexhand.files.atomic import symlink_atomically, write_atomically
from dexhand.files.folders import entries_below
from dexhand.workspace.links import LATEST, LOCK_FILE, Change, Limits, RunsView
from dexhand.workspace.run_name import KINDS, RunKind, RunName

if TYPE_CHECKING:
    from dexhand.core.interfaces import Clock

LOCK_TIMEOUT = 10.0
"""Seconds to wait for another process that is changing links."""
RUN_LOCK_TIMEOUT = 0.2
"""Seconds to wait for a run's lock: longer than ``is_running`` in another process holds it."""

_ADVICE = ". Choose another place with train.runsDir"
_TASK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class WorkspaceError(ValueError):
    """A problem in the workspace that the user can fix; the message says how."""


@dataclass(frozen=True)
class Run:
    """The paths of one run; only its folder has to exist."""

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
        """The id of this run at Weights & Biases."""
        return self.path / "wandb_id.txt"

    @property
    def videos(self) -> Path:
        """Folder of recordings."""
        return self.path / "videos"

    @property
    def replay_file(self) -> Path:
        """In a test run: the page that shows its beginning."""
        return self.path / "replay.html"

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
    def packages_file(self) -> Path:
        """Python and the versions of all installed packages."""
        return self.path / "packages.txt"

    @property
    def log_file(self) -> Path:
        """The log of the run."""
        return self.path / "train.log"

    @property
    def results_file(self) -> Path:
        """In a test run: its episodes and their summary."""
        return self.path / "results.json"

    @property
    def comparison_file(self) -> Path:
        """In a test run with ``train.against``: the comparison."""
        return self.path / "comparison.json"

    @property
    def ranking_file(self) -> Path:
        """In a test run with ``train.testEvery``: the ranking."""
        return self.path / "ranking.json"

    @property
    def ranking_chart(self) -> Path:
        """In a test run with ``train.testEvery``: success and return over iterations."""
        return self.path / "ranking.svg"

    @property
    def played_file(self) -> Path:
        """In a test run: the path of the checkpoint it plays, absolute or relative to the run's folder."""
        return self.path / "checkpoint.txt"


class Workspace:
    """Run folders in ``<runs_dir>_all``, and in ``runs_dir`` links to the newest and the pinned ones.

    Folders are created when needed. If ``runs_dir`` is a symbolic link, both are next to its target.
    """

    def __init__(self, runs_dir: Path, limits: Limits | None = Limits()) -> None:
        """``limits``: how many runs are shown; ``None`` = new runs lie in ``runs_dir`` itself, none is hidden."""
        self.links = Path(os.path.realpath(runs_dir))
        if not self.links.name:
            raise WorkspaceError(f"train.runsDir={str(runs_dir)!r} needs a name, for example {runs_dir / 'runs'}")
        if self.links.is_file():
            raise WorkspaceError(f"train.runsDir={str(runs_dir)!r} is a file. Give a folder, which is made if need be")
        self.archive = self.links.with_name(f"{self.links.name}_all")
        self.view = RunsView(self.links, self.archive)
        self._limits = limits

    def create_run(self, task: str, kind: RunKind, clock: Clock) -> Run:
        """Create the folder of a new run; runs that start in the same second get different folders."""
        if not _TASK.fullmatch(task):
            raise WorkspaceError(f"{task!r} cannot start a run's name: letters, digits, _ and - are allowed")
        started = time.strftime("%Y%m%d_%H%M%S", time.localtime(clock.now()))
        home, elsewhere = (self.archive, self.links) if self._limits is not None else (self.links, self.archive)
        with explained(home):
            home.mkdir(parents=True, exist_ok=True)
            attempt = 0
            while True:
                attempt += 1
                path = home / str(RunName(task, kind, started, attempt))
                if os.path.lexists(elsewhere / path.name):  # both layouts are in use
                    continue
                with suppress(FileExistsError):
                    path.mkdir()
                    return Run(path)

    def publish(self, run: Run, kind: RunKind | None = None) -> None:
        """Show ``run`` in ``runs/``, make it ``latest_train`` or ``latest_test``, and bring the view up to date.

        Call it when the run starts or resumes; ``kind`` is needed for a renamed run. Raises ``WorkspaceError`` if a
        file or folder is in a link's place, and ``PublishError`` if links cannot be created; the run is found anyway.
        """
        name = RunName.parse(run.name)
        if kind is None and name is not None:
            kind = name.kind
        if kind is None:
            raise WorkspaceError(f"{run.path} is not named <Task>_<train|test>_<YYYYMMDD_HHMMSS>")
        latest, target = self.links / f"latest_{kind}", self.view.target(run.path)
        try:
            with self._locked():
                self._refuse_obstacles(run, latest)
                if not os.path.lexists(self.view.pinned):
                    self.view.pinned.mkdir()
                symlink_atomically(target, latest)
                self._unlinked(kind).unlink(missing_ok=True)
                self._apply(self._changes(run))
        except (OSError, NotImplementedError, Timeout) as error:
            unlinked = self._unlinked(kind)
            with explained(unlinked.parent):
                write_atomically(unlinked, lambda file: file.write(os.fsencode(f"{target}\n")))
            raise PublishError(run, self.links, error) from error

    def latest(self, kind: str) -> Path | None:
        """The run of that kind that was started or resumed last; if that is not recorded, the one with the newest name.

        Raises ``OSError``.
        """
        if self._unlinked(kind).is_file():
            return self._latest_unlinked(kind) or self.view.newest(kind)
        link = self.links / f"latest_{kind}"
        return Path(os.path.realpath(link)) if link.is_dir() else self.view.newest(kind)

    def tidy(self, dry_run: bool = False) -> list[Change]:
        """Bring the view up to date; returns the changes. Raises ``WorkspaceError``."""
        with explained(self.links, "cannot be changed", ""), self._locked():
            changes = [*self.view.changes(self._limits), *self._postponed()]
            if not dry_run:
                self._apply(changes)
        return changes

    def pin(self, run: Path, name: str) -> None:
        """Show ``run`` permanently in ``runs/pinned/`` as ``name``. Raises ``WorkspaceError``."""
        with explained(self.links, "cannot be changed", ""), self._locked():
            self.view.pinned.mkdir(parents=True, exist_ok=True)
            os.symlink(os.path.relpath(run, os.path.realpath(self.view.pinned)), self.view.pinned / name)
            own = self.links / run.name
            if self.view.is_own(own):
                own.unlink()

    def unpin(self, name: str, run: Path) -> None:
        """Undo ``pin``. Raises ``WorkspaceError``."""
        link = self.view.pinned / name
        if not link.is_symlink():
            raise WorkspaceError(f"{link} is not a link but the run itself. Move it: mv {link} {self.links}/")
        with explained(self.links, "cannot be changed", ""), self._locked():
            link.unlink()
            if not os.path.lexists(self.links / run.name):
                symlink_atomically(self.view.target(run), self.links / run.name)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock that lets one process at a time change links."""
        self.links.mkdir(parents=True, exist_ok=True)
        home = self.archive if self.archive.is_dir() else self.links
        with FileLock(str(home / ".lock"), timeout=LOCK_TIMEOUT):
            yield

    def _changes(self, run: Run) -> list[Change]:
        """The further changes when ``run`` starts."""
        if self.view.is_archived(run.path):
            return [*self.view.changes(self._limits, new_run=run.name), *self._postponed()]
        changes = [*self.view.changes(self._limits), *self._postponed()]
        is_here = os.path.realpath(run.path.parent) in map(os.path.realpath, (self.links, self.view.pinned))
        is_taken = is_here or os.path.lexists(self.links / run.name)
        if is_taken:
            return changes
        return [Change(self.links / run.name, self.view.target(run.path), "was started"), *changes]

    def _postponed(self) -> list[Change]:
        """Links to the latest runs that could not be created when those started."""
        changes = []
        for name, kind in LATEST.items():
            run, link = self._latest_unlinked(kind), self.links / name
            if run is not None and (link.is_symlink() or not link.exists()):
                changes.append(Change(link, self.view.target(run), "could not be created before"))
        return changes

    def _apply(self, changes: list[Change]) -> None:
        for change in changes:
            change.apply()
        for kind in KINDS:
            self._unlinked(kind).unlink(missing_ok=True)

    def _refuse_obstacles(self, run: Run, latest: Path) -> None:
        for link in (self.links / run.name, latest):
            is_run = link != latest and link.is_dir() and os.path.samefile(link, run.path)
            if os.path.lexists(link) and not link.is_symlink() and not is_run:
                raise WorkspaceError(f"{link} is in the way: a link to the run belongs there. Move it elsewhere")

    def _unlinked(self, kind: str) -> Path:
        """The file that names the latest run where links cannot be created."""
        home = self.archive if self.archive.is_dir() else self.links
        return home / f".latest_{kind}"

    def _latest_unlinked(self, kind: str) -> Path | None:
        file = self._unlinked(kind)
        if not file.is_file():
            return None
        run = Path(os.path.normpath(self.links / os.fsdecode(file.read_bytes()).strip()))
        return run if run.is_dir() else None


class PublishError(WorkspaceError):
    """Links cannot be created; the message says where the run is and how to find it."""

    def __init__(self, run: Run, links: Path, error: Exception) -> None:
        super().__init__(
            f"{links} cannot show the run: {_problem(error)}. Nothing is lost: it is in {run.path}, and "
            "checkpoint=latest finds it there"
        )


@contextmanager
def lock_run(run: Run) -> Iterator[None]:
    """Keep other processes from training in ``run``; the operating system releases the lock if the process dies.

    Raises ``WorkspaceError`` if another process holds it.
    """
    lock = FileLock(str(run.path / LOCK_FILE), timeout=RUN_LOCK_TIMEOUT)
    try:
        with explained(run.path):
            lock.acquire()
    except WorkspaceError as error:
        if isinstance(error.__cause__, Timeout):
            raise WorkspaceError(f"{run.path} is being trained by another process. Stop that one first") from None
        raise
    try:
        yield
    finally:
        lock.release()


def refuse_traps(run: Run, *, is_trusted: bool) -> None:
    """Raise ``WorkspaceError`` if something in a run's folder is neither a file nor a folder: a pipe blocks its reader.

    Unless the run is trusted, also for a link that leads out of the folder, where a training would write then.
    """
    home = os.path.realpath(run.path)
    with explained(run.path):
        for entry in entries_below(home):
            target = os.path.realpath(entry.path) if entry.is_symlink() and not is_trusted else home
            if os.path.commonpath([home, target]) != home:
                raise WorkspaceError(
                    f"{entry.path} is a link to {target}: resuming would write there. Put what it leads to in its "
                    "place, or, if you trust the run, give train.trustCheckpoint=true"
                )
            if not (entry.is_file() or entry.is_dir()) and os.path.exists(entry.path):
                raise WorkspaceError(f"{entry.path} is neither a file nor a folder. Remove it to resume the run")


@contextmanager
def explained(folder: Path, what: str = "cannot be used for runs", advice: str = _ADVICE) -> Iterator[None]:
    """Turn failures to read, write or lock something in ``folder`` into a ``WorkspaceError`` of one line."""
    try:
        yield
    except (OSError, NotImplementedError, Timeout) as error:
        raise WorkspaceError(f"{folder} {what}: {_problem(error)}{advice}") from error


def _problem(error: Exception) -> str:
    """Describe the error in a few words."""
    if isinstance(error, Timeout):
        return f"{error.lock_file} has been held by another process for over {LOCK_TIMEOUT:g} s"
    if isinstance(error, OSError):
        return f"{error.strerror} ({error.filename2 or error.filename})"
    return str(error)
