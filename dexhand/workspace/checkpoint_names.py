"""Finding the checkpoint that a user names. Needs no torch: a missing one is reported before torch is imported."""

import difflib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dexhand.checkpoints.folder import BEST_NAME, LATEST_NAME, checkpoints_in
from dexhand.workspace.links import LATEST, began, is_running
from dexhand.workspace.run_name import RunName
from dexhand.workspace.workspace import Run, Workspace, WorkspaceError

_LATEST = {"latest": "train", **LATEST}
_DASHED = re.compile(r"(.+)_(\d{4})-(\d\d)-(\d\d)_(\d\d)-(\d\d)-(\d\d)")
"""``Ant_2025-01-14_10-30-45``, which means ``Ant_train_20250114_103045``."""
_BEST = "best"
_ACCEPTED = "Give latest, best, a run's name or a part of it, a run folder or a .pth file"


class CheckpointNotFound(WorkspaceError):
    """No checkpoint fits the name; the message says what was looked for, what exists and what to do."""

    def __init__(self, spec: str, problem: str) -> None:
        super().__init__(f"train.checkpoint={spec!r}: {problem}")
        self.spec = spec
        self.problem = problem


@dataclass(frozen=True)
class CheckpointSource:
    """Where to look for checkpoints: a file, a folder, or the newest training run. Every call reads the disk again."""

    spec: str
    """The value of ``train.checkpoint``."""
    workspace: Workspace
    place: Path | None
    """A ``.pth`` file or a folder; ``None`` = the newest training run at the time of each call."""

    def __str__(self) -> str:
        return str(self._folder() or self.workspace.links)

    @property
    def is_experiment(self) -> bool:
        """Whether a training may still write a missing or damaged checkpoint: for folders, and files in a run."""
        if self.place in (self.workspace.links, self.workspace.archive):
            return False  # they hold runs, not checkpoints
        return self.place is None or self.place.is_dir() or self.place.parent.name == "nn"

    @property
    def is_training(self) -> bool:
        """Whether a training is running on this machine that may save the next checkpoint."""
        folder = self._folder()
        return folder is not None and any(is_running(run) for run in (folder, *folder.parents[:2]))

    @property
    def is_file(self) -> bool:
        """Whether it is one file, which need not exist yet."""
        return self.place is not None and self.place.suffix == ".pth" and not self.place.is_dir()

    @property
    def folder(self) -> Path:
        """The folder of its checkpoints, which need not exist yet. Raises ``OSError``."""
        place = self._folder() or self.workspace.links
        if self.is_file:
            return place.parent
        return place if place.name == "nn" or checkpoints_in(place) else place / "nn"

    def checkpoints(self) -> list[Path]:
        """Playable files, the preferred one first; empty while there are none. Raises ``OSError``."""
        folder = self._folder()
        if folder is None:
            return []
        if self.is_file:
            return [folder] if folder.is_file() else []
        return checkpoints_in(folder / "nn") or checkpoints_in(folder)

    def folders(self) -> list[Path]:
        """The folders to watch for changes of ``checkpoints()``."""
        found = [self.workspace.links, self.workspace.archive] if self.place is None else []
        folder = self._folder()
        if folder is not None:
            found += [folder / "nn", folder, folder.parent]
        return [path for path in found if path.is_dir()]

    def _folder(self) -> Path | None:
        return self.workspace.latest("train") if self.place is None else self.place


def find_source(spec: str, runs_dir: Path, *, waits: bool = True) -> CheckpointSource:
    """Find what ``spec`` names in the workspace ``runs_dir``; it need not hold checkpoints yet.

    ``spec`` is, in this order: ``latest``, ``latest_train`` or ``latest_test``; a file, ``best.pth`` for that with the
    best mean return; a run folder or its ``nn/``; the name of a run or pin; ``best`` for that of the newest training;
    ``RUN/checkpoint.pth`` or ``RUN.pth``, older spellings of ``RUN``; a training's name as other programs spell it,
    ``Ant_2025-01-14_10-30-45``; a part of a name, which selects the newest matching run that has checkpoints or, if the
    caller ``waits`` for them, is being trained. A test run stands for the checkpoint it played. Raises
    ``CheckpointNotFound``.
    """
    workspace = Workspace(runs_dir)
    name = _name_in(workspace, spec)
    try:
        if name in _LATEST:
            return CheckpointSource(spec, workspace, _latest(spec, _LATEST[name], workspace))
        places = list(_places(spec, name, workspace))
        place = next((found for place in places for found in [_place_at(spec, place)] if found), None)
        if place is None and name == _BEST:
            place = _best(spec, workspace)
        if place is None:
            _explain_dead_links(spec, places, workspace)
            place = _by_part(spec, _DASHED.sub(r"\1_train_\2\3\4_\5\6\7", name), places, workspace, waits)
    except OSError as error:
        raise CheckpointNotFound(spec, f"cannot be looked for: {error.strerror}. {_ACCEPTED}") from error
    return CheckpointSource(spec, workspace, Path(os.path.abspath(place)))


def resolve_checkpoint(spec: str, runs_dir: Path) -> Path:
    """Return the checkpoint that ``spec`` names now. Raises ``CheckpointNotFound``, also if there is none yet."""
    source = find_source(spec, runs_dir, waits=False)
    found = source.checkpoints()
    if found:
        return Path(os.path.realpath(found[0])) if source.place is None else found[0]
    if source.place is None:
        raise CheckpointNotFound(spec, f"{source} has not saved a checkpoint yet. {_ACCEPTED}")
    raise CheckpointNotFound(spec, f"there is no checkpoint in {source}. {_ACCEPTED}")


def find_run(spec: str, runs_dir: Path) -> tuple[Run, Path]:
    """Return the training run that ``spec`` names and the checkpoint to resume from. Raises ``CheckpointNotFound``.

    ``spec`` is as for ``resolve_checkpoint``; a file in a run's ``nn/`` selects that run and that file.
    """
    checkpoint = resolve_checkpoint(spec, runs_dir)
    run = Run(Path(os.path.realpath(checkpoint.parent.parent)))
    if checkpoint.parent.name != "nn" or not run.config_file.is_file():
        raise CheckpointNotFound(
            spec, f"{checkpoint} belongs to no run: there is no {run.config_file}. checkpoint= starts a new run from it"
        )
    return run, checkpoint


def _name_in(workspace: Workspace, spec: str) -> str:
    """``spec`` without a leading ``runs/`` or ``runs_all/``."""
    first, _, rest = spec.strip().rstrip("/").partition("/")
    return rest if rest and first in (workspace.links.name, workspace.archive.name) else spec.strip().rstrip("/")


def _places(spec: str, name: str, workspace: Workspace) -> Iterator[Path]:
    if spec.strip():
        yield workspace.view.settled(Path(os.path.expanduser(spec.strip())))
    if name and not os.path.isabs(name):
        for folder in (workspace.links, workspace.archive, workspace.view.pinned):
            yield workspace.view.settled(folder / name)


def _place_at(spec: str, path: Path) -> Path | None:
    """The file or folder that ``path`` leads to, if any."""
    if path.name == f"{_BEST}.pth" and not path.is_file():
        path = path.with_name(BEST_NAME)
    if path.is_file():
        return path
    if path.is_dir():
        return _played(spec, path) or path
    if path.suffix != ".pth":
        return None
    if path.name == LATEST_NAME and path.parent.name == "nn" and path.parent.parent.is_dir():
        return path  # a run that has saved nothing yet
    if (path.parent / "nn" / path.name).is_file():
        return path.parent / "nn" / path.name
    if path.name == "checkpoint.pth" and _is_run(path.parent):
        return _place_at(spec, path.parent)
    return _place_at(spec, path.with_suffix("")) if path.with_suffix("").is_dir() else None


def _is_run(folder: Path) -> bool:
    name = os.path.basename(os.path.realpath(folder))
    return (folder / "nn").is_dir() or (folder.is_dir() and RunName.parse(name) is not None)


def _played(spec: str, folder: Path) -> Path | None:
    """The checkpoint that the test run in ``folder`` played; ``None`` if ``folder`` is not a test run."""
    pointer = Run(folder).played_file
    if checkpoints_in(folder / "nn") or not pointer.is_file():
        return None
    path = Path(os.path.normpath(os.path.join(os.path.realpath(folder), os.fsdecode(pointer.read_bytes()).strip())))
    if not path.is_file():
        raise CheckpointNotFound(spec, f"this test run played {path}, which no longer exists")
    return path


def _latest(spec: str, kind: str, workspace: Workspace) -> Path | None:
    """``None`` for the newest training run; for the newest test run, the checkpoint it played."""
    link = workspace.links / f"latest_{kind}"
    if not workspace.view.is_deleted(link):
        _explain_dead_links(spec, [link], workspace)
    newest = workspace.latest(kind)
    if newest is None:
        raise CheckpointNotFound(
            spec, f"there is no {kind}ing run in {workspace.links} or {workspace.archive} yet. {_ACCEPTED}"
        )
    if kind == "train":
        return None
    played = _played(spec, newest)
    if played is None:
        raise CheckpointNotFound(spec, f"{newest} holds no checkpoint and names none in checkpoint.txt. {_ACCEPTED}")
    return played


def _best(spec: str, workspace: Workspace) -> Path:
    _latest(spec, "train", workspace)  # raises if there is no training
    best = (workspace.latest("train") or workspace.links) / "nn" / BEST_NAME
    if not best.is_file():
        raise CheckpointNotFound(
            spec, f"{best.parent.parent} has no best checkpoint: no episode has ended yet. latest is its newest one"
        )
    return best


def _by_part(spec: str, name: str, places: list[Path], workspace: Workspace, waits: bool) -> Path:
    """The newest run with ``name`` in its name: one with checkpoints to come or there, else a test that played one."""
    runs = _runs(workspace)
    matches = [path for called, path in runs.items() if name and name in called]
    for match in matches:
        if checkpoints_in(match / "nn") or checkpoints_in(match) or (waits and _is_being_trained(match)):
            return match
    for match in matches:
        played = _played(spec, match)
        if played:
            return played
    if matches:
        return matches[0]
    for place in places:
        files = checkpoints_in(place.parent)
        if place.suffix == ".pth" and files:
            near = difflib.get_close_matches(place.name, [file.name for file in files]) or [files[0].name]
            raise CheckpointNotFound(spec, f"there is no such file; {place.parent} holds {', '.join(near)}")
    where = f"{workspace.links} and {workspace.archive}"
    exists = (
        f"{where} hold no runs" if not runs else f"Nearest in {where}: {', '.join(_nearest(name, [*runs, *_LATEST]))}"
    )
    raise CheckpointNotFound(spec, f"no file, folder or run has this name. {exists}. {_ACCEPTED}")


def _is_being_trained(folder: Path) -> bool:
    name = RunName.parse(folder.name)
    return name is not None and name.kind == "train" and is_running(folder)


def _explain_dead_links(spec: str, places: list[Path], workspace: Workspace) -> None:
    links, archive = workspace.links.name, workspace.archive.name
    for place in places:
        run = [place.with_suffix("")] if place.suffix == ".pth" else []
        for path in (place, *run, *place.parents):
            if path.is_symlink() and not path.exists():
                raise CheckpointNotFound(
                    spec,
                    f"the link {path} points to {os.readlink(path)}, which is not there. If the runs were copied from "
                    "another machine, copy the folder that holds them too: "
                    f"rsync -av SERVER:PATH/{links} SERVER:PATH/{archive} {workspace.links.parent}. "
                    "If they were moved, name where they are now",
                )


def _runs(workspace: Workspace) -> dict[str, Path]:
    """All runs of the workspace by each of their names, newest first."""
    found: dict[str, Path] = {}
    for entry in workspace.view.entries():
        found.setdefault(entry.name, entry.path)
    return dict(sorted(found.items(), key=lambda item: began(item[1]), reverse=True))


def _nearest(name: str, runs: list[str]) -> list[str]:
    """Up to three names that start like ``name``; if there are none, the first three."""
    heads = {run: run[: len(name)] for run in runs}
    near = difflib.get_close_matches(name, set(heads.values()))
    return ([run for head in near for run in runs if heads[run] == head] or runs)[:3]
