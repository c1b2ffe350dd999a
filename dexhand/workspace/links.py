"""``runs/`` as a view of ``runs_all/``: which links it should hold, and the changes that lead there.

Managed links are those in ``runs/`` that have the name of a run in ``runs_all/`` and point to it. They are created and
removed as needed. ``latest_train`` and ``latest_test`` are replaced if they are links, and a run's link that was moved
and broke is repaired. Everything else in ``runs/`` belongs to the user and is never touched.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from dexhand.files.atomic import symlink_atomically
from dexhand.files.locks import is_locked
from dexhand.workspace.run_name import KINDS, RunName

LATEST = {f"latest_{kind}": kind for kind in KINDS}
"""Names of the links to the newest run of each kind."""
PINNED = "pinned"
LOCK_FILE = ".lock"
"""File in a run's folder, locked by the process that is working there."""


@dataclass(frozen=True)
class Limits:
    """How many of the newest runs are shown. Pinned and running ones are shown in addition."""

    train: int = 10
    test: int = 10
    together: int | None = None
    """Of both kinds together; ``None`` = no limit besides the other two."""


@dataclass(frozen=True)
class Change:
    """A link to create or replace, or to remove if ``target`` is ``None``."""

    link: Path
    target: str | None
    reason: str

    def apply(self) -> None:
        """Apply the change. Raises ``OSError``, and ``NotImplementedError`` on systems without links."""
        if self.target is not None:
            symlink_atomically(self.target, self.link)
        elif self.link.is_symlink():
            self.link.unlink(missing_ok=True)


@dataclass(frozen=True)
class Entry:
    """A folder that may be a run, or a link to one."""

    place: Path
    """``runs_all/``, ``runs/`` or ``runs/pinned/``."""
    name: str
    """Its name there."""
    path: Path
    """The folder; for a managed link or a pin, the run itself, whose path does not change with the links."""


class RunsView:
    """The links of one workspace. All methods only read."""

    def __init__(self, links: Path, archive: Path) -> None:
        self.links = links
        self.archive = archive
        self.pinned = links / PINNED

    # --- reading ------------------------------------------------------------------------------------------------------

    def entries(self) -> Iterator[Entry]:
        """Yield all folders that may be runs: those in the archive first, pins last. Raises ``OSError``."""
        for place in (self.archive, self.links, self.pinned):
            for path in _listed(place):
                settled = self.settled(path)
                if settled.is_dir() and not path.name.startswith(".") and path.name not in (*LATEST, PINNED):
                    yield Entry(place, path.name, settled)

    def settled(self, path: Path) -> Path:
        """Replace managed links and pins in ``path`` by the runs they point to, so that it survives changes of links.

        A run's link that was moved and broke is resolved as well.
        """
        for part in (path, *path.parents):
            name = self._made_for(part)
            if name is None:
                continue
            if part.exists():
                is_temporary = part.name == name or part.parent.name == PINNED
                return Path(os.path.realpath(part)) / path.relative_to(part) if is_temporary else path
            folder = Path(os.path.realpath(part.parent))
            if self.links in (folder, *folder.parents) and (self.archive / name).is_dir():
                return self.archive / name / path.relative_to(part)
        return path

    def is_deleted(self, link: Path) -> bool:
        """Whether a managed link is broken because its run was deleted.

        If ``runs_all/`` has no run as old as that, ``runs/`` may have been copied without it; the run is elsewhere.
        """
        if link.exists() or not link.is_symlink():
            return False
        target = RunName.parse(os.readlink(link))  # beside the link itself: runs/ is without runs_all/
        name = RunName.parse(self._made_for(link) or "")
        return target is not None or (name is not None and any(run.order <= name.order for run in self._archived()))

    def newest(self, kind: str) -> Path | None:
        """The run of that kind with the newest start in its name. Raises ``OSError``."""
        runs = [(name, entry.path) for entry in self.entries() for name in [RunName.parse(entry.path.name)] if name]
        ours = [(name.order, str(name), path) for name, path in runs if name.kind == kind]
        return max(ours)[-1] if ours else None

    def is_own(self, link: Path) -> bool:
        """Whether the link is a managed one."""
        return link.parent == self.links and self._made_for(link) == link.name

    def target(self, run: Path) -> str:
        """The target of a link in ``runs/`` to ``run``."""
        return f"../{self.archive.name}/{run.name}" if self.is_archived(run) else os.path.relpath(run, self.links)

    def is_archived(self, run: Path) -> bool:
        """Whether ``run`` lies in ``runs_all/``."""
        return os.path.realpath(run.parent) == os.path.realpath(self.archive)

    def _archived(self) -> list[RunName]:
        names = [(RunName.parse(path.name), path) for path in _listed(self.archive)]
        return [name for name, path in names if name is not None and path.is_dir()]

    def _made_for(self, link: Path) -> str | None:
        """The run in ``runs_all/`` that a link was created for, even if it is broken now."""
        try:
            parts = PurePath(os.readlink(link)).parts
        except OSError:  # no link
            return None
        leads_up_to_archive = parts[-2:-1] == (self.archive.name,) and set(parts[:-2]) == {".."}
        return parts[-1] if leads_up_to_archive and RunName.parse(parts[-1]) else None

    # --- planning changes ---------------------------------------------------------------------------------------------

    def changes(self, limits: Limits | None, new_run: str | None = None) -> list[Change]:
        """Return the changes that bring the view up to date, in the order to apply them. Raises ``OSError``.

        ``limits`` is ``None`` if ``runs/`` itself holds the runs. ``new_run``, a run in ``runs_all/``, is always shown.
        """
        shown = [] if limits is None else list(self._shown(limits, new_run))
        additions = [change for change in shown if change.target is not None]
        removals = [change for change in shown if change.target is None]
        return [*additions, *self._repairs(), *self._latest(), *removals]

    def _shown(self, limits: Limits, new_run: str | None) -> Iterator[Change]:
        archived = {str(name): name for name in self._archived()}
        own = {path.name: path for path in _listed(self.links) if self.is_own(path)}
        elsewhere = self._linked_elsewhere(archived)
        lost = {name for name, link in own.items() if name not in archived and not self.is_deleted(link)}
        candidates = [RunName.parse(name) for name in {*archived} - {*elsewhere} | lost]
        wanted = self._wanted([name for name in candidates if name], limits, new_run)
        for name in sorted(wanted - lost):
            link = self.links / name
            if not os.path.lexists(link) or (name in own and not link.exists()):
                yield Change(link, self.target(self.archive / name), "among the newest, or running")
        for name in sorted({*own} - wanted):
            reason = "its run was deleted" if name not in archived else "beyond the newest"
            yield Change(own[name], None, f"shown as {elsewhere[name]}" if name in elsewhere else reason)

    def _linked_elsewhere(self, archived: dict[str, RunName]) -> dict[str, str]:
        """Runs that the user has linked under another name or in another place, with that place."""
        runs = {_identity(self.archive / name): name for name in archived}
        links = [path for path in (*_listed(self.links), *_listed(self.pinned)) if path.is_symlink()]
        others = [path for path in links if not self.is_own(path) and path.name not in LATEST]
        found = {runs.get(_identity(self.settled(path))): path for path in others}
        return {name: os.path.relpath(path, self.links.parent) for name, path in found.items() if name is not None}

    def _wanted(self, candidates: list[RunName], limits: Limits, new_run: str | None) -> set[str]:
        newest_first = sorted(candidates, key=lambda name: (name.order, str(name)), reverse=True)
        counts = {"train": limits.train, "test": limits.test}
        newest = [run for kind in KINDS for run in [n for n in newest_first if n.kind == kind][: counts[kind]]]
        if limits.together is not None:
            newest = sorted(newest, key=newest_first.index)[: limits.together]
        shown = {str(name) for name in newest}
        rest = {str(name) for name in candidates} - shown
        return shown | {name for name in rest if name == new_run or is_running(self.archive / name)}

    def _repairs(self) -> Iterator[Change]:
        """Links that were moved, into ``pinned/`` or out of it, and broke."""
        for link in (*_listed(self.links), *_listed(self.pinned)):
            name = self._made_for(link)
            if name is None or link.exists() or self.is_own(link) or not (self.archive / name).is_dir():
                continue
            target = os.path.relpath(self.archive / name, os.path.realpath(link.parent))
            yield Change(link, target, "was moved")

    def _latest(self) -> Iterator[Change]:
        """The ``latest_`` links that are missing or whose run was deleted."""
        for latest, kind in LATEST.items():
            link = self.links / latest
            if os.path.lexists(link) and not self.is_deleted(link):
                continue
            newest = self.newest(kind)
            if newest is not None:
                yield Change(link, self.target(newest), "is the newest")
            elif link.is_symlink():
                yield Change(link, None, "its run was deleted")


def began(folder: Path) -> tuple[str, int]:
    """Sort key of folders by start: from the run's name, or by age on disk for other names."""
    name = RunName.parse(os.path.basename(os.path.realpath(folder)))
    if name is not None:
        return name.order
    return time.strftime("%Y%m%d_%H%M%S", time.localtime(folder.stat().st_mtime)), 0


def is_running(run: Path) -> bool:
    """Whether a process is working in the run."""
    try:
        return is_locked(run / LOCK_FILE)
    except OSError:  # never locked, or just deleted
        return False


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
