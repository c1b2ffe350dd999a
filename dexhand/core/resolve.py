"""Which checkpoint file a user means. Needs no torch: a missing checkpoint is reported before torch is imported."""

import difflib
import os
import time
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

from dexhand.core.checkpoint_folder import preferred_checkpoint
from dexhand.core.workspace import Run, RunName, Workspace, WorkspaceError

_LATEST = {"latest": "train", "latest_train": "train", "latest_test": "test"}
_ACCEPTED = "Give latest, a run's name or a part of it, a run folder or a .pth file"


class CheckpointNotFound(WorkspaceError):
    """Nothing fits what the user asked for; the message says what was looked for, what exists and what to do."""

    def __init__(self, spec: str, problem: str) -> None:
        super().__init__(f"train.checkpoint={spec!r}: {problem}")


def resolve_checkpoint(spec: str, runs_dir: Path) -> Path:
    """The file that ``spec`` means, in the workspace ``runs_dir``. Raises ``CheckpointNotFound``.

    ``spec`` is, in this order: ``latest``, ``latest_train``, ``latest_test``; a file; an ``nn/`` or run folder; a run's
    name; ``RUN/checkpoint.pth`` or ``RUN.pth``, which older documents use for what is now ``RUN``; part of a run's
    name, meaning the newest that holds checkpoints. A test run stands for the checkpoint it played.
    """
    workspace = Workspace(runs_dir)
    name = _name_in(workspace, spec)
    try:
        if name in _LATEST:
            return _latest(spec, _LATEST[name], workspace)
        places = list(_places(spec, name, workspace))
        for place in places:
            found = _checkpoint_at(spec, place)
            if found:
                return found
        _explain_dead_links(spec, places)
        return _by_part(spec, name, places, workspace)
    except OSError as error:
        raise CheckpointNotFound(spec, f"cannot be looked for: {error.strerror}. {_ACCEPTED}") from error


def _name_in(workspace: Workspace, spec: str) -> str:
    """``spec`` without the ``runs/`` or ``runs_all/`` before it."""
    first, _, rest = spec.strip().rstrip("/").partition("/")
    return rest if rest and first in (workspace.links.name, workspace.archive.name) else spec.strip().rstrip("/")


def _places(spec: str, name: str, workspace: Workspace) -> Iterator[Path]:
    if spec.strip():
        yield Path(os.path.expanduser(spec.strip()))
    if name and not os.path.isabs(name):
        yield workspace.links / name
        yield workspace.archive / name


def _checkpoint_at(spec: str, path: Path) -> Optional[Path]:
    if path.is_file():
        return path
    if path.is_dir():
        return _in_folder(spec, path)
    if path.suffix != ".pth":
        return None
    if (path.parent / "nn" / path.name).is_file():
        return path.parent / "nn" / path.name
    if path.name == "checkpoint.pth" and (path.parent / "nn").is_dir():
        return _in_folder(spec, path.parent)
    return _in_folder(spec, path.with_suffix(""))


def _in_folder(spec: str, folder: Path) -> Optional[Path]:
    """The preferred checkpoint of a run folder or of a folder of checkpoints, or the one that a test run played."""
    return preferred_checkpoint(folder / "nn") or preferred_checkpoint(folder) or _played(spec, folder)


def _played(spec: str, folder: Path) -> Optional[Path]:
    pointer = Run(folder).played_file
    if not pointer.is_file():
        return None
    path = Path(os.path.normpath(os.path.join(os.path.realpath(folder), pointer.read_text(encoding="utf-8").strip())))
    if not path.is_file():
        raise CheckpointNotFound(spec, f"this test run played {path}, which is not there any more")
    return path


def _latest(spec: str, kind: str, workspace: Workspace) -> Path:
    link = workspace.links / f"latest_{kind}"
    _explain_dead_links(spec, [link])
    runs = [path for path in _runs(workspace) if _kind(path) == kind]
    newest = link if link.is_dir() else next(iter(runs), None)
    if newest is None:
        raise CheckpointNotFound(
            spec, f"there is no {kind}ing run in {workspace.links} or {workspace.archive} yet. {_ACCEPTED}"
        )
    newest = Path(os.path.realpath(newest))
    found = _in_folder(spec, newest)
    if found is None:
        reason = (
            "has not saved a checkpoint yet"
            if kind == "train"
            else "holds no checkpoint and names none in checkpoint.txt"
        )
        raise CheckpointNotFound(spec, f"{newest} {reason}. {_ACCEPTED}")
    return found


def _by_part(spec: str, name: str, places: List[Path], workspace: Workspace) -> Path:
    """The newest run with ``name`` in its name: one that holds checkpoints, or else a test run that played one."""
    runs = _runs(workspace)
    matches = [path for path in runs if name and name in path.name]
    for match in matches:
        found = preferred_checkpoint(match / "nn") or preferred_checkpoint(match)
        if found:
            return found
    for match in matches:
        found = _played(spec, match)
        if found:
            return found
    empty = [str(path) for path in (*places, *matches) if path.is_dir()]
    if empty:
        raise CheckpointNotFound(spec, f"there is no checkpoint in {' or '.join(empty[:3])}. {_ACCEPTED}")
    where = f"{workspace.links} and {workspace.archive}"
    exists = f"{where} hold no runs" if not runs else f"Nearest in {where}: {', '.join(_nearest(name, runs))}"
    raise CheckpointNotFound(spec, f"no file, folder or run is called so. {exists}. {_ACCEPTED}")


def _explain_dead_links(spec: str, places: List[Path]) -> None:
    for place in places:
        run = [place.with_suffix("")] if place.suffix == ".pth" else []
        for path in (place, *run, *place.parents):
            if path.is_symlink() and not path.exists():
                raise CheckpointNotFound(
                    spec,
                    f"the link {path} points to {os.readlink(path)}, which is not there. If the runs were copied from "
                    "another machine, copy the folder that holds them too; if they were moved, name where they are now",
                )


def _runs(workspace: Workspace) -> List[Path]:
    """Every run that the workspace shows or holds, newest first."""
    found: Dict[str, Path] = {}
    for root in (workspace.archive, workspace.links):
        for path in root.iterdir() if root.is_dir() else ():
            if path.is_dir() and not path.name.startswith(".") and path.name not in _LATEST:
                found.setdefault(path.name, path)
    return sorted(found.values(), key=_age, reverse=True)


def _age(path: Path) -> Tuple[str, int]:
    name = RunName.parse(path.name)
    if name:
        return name.order
    return time.strftime("%Y%m%d_%H%M%S", time.localtime(path.stat().st_mtime)), 0


def _kind(path: Path) -> Optional[str]:
    name = RunName.parse(path.name)
    return name.kind if name else None


def _nearest(name: str, runs: List[Path]) -> List[str]:
    """Up to three names of runs that begin like ``name``; where none does, the newest."""
    heads = {path.name: path.name[: len(name)] for path in runs}
    near = difflib.get_close_matches(name, set(heads.values()))
    return ([run for head in near for run in heads if heads[run] == head] or list(heads))[:3]
