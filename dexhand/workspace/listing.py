"""The runs of a workspace and the facts in their files."""

import difflib
import json
import math
import os
import re
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dexhand.checkpoints.folder import preferred_checkpoint
from dexhand.checkpoints.format import read_plain_state
from dexhand.files.folders import entries_below
from dexhand.workspace.links import LATEST, RunsView, began, is_running
from dexhand.workspace.run_name import RunName
from dexhand.workspace.workspace import Run, Workspace, WorkspaceError

_SUBJECTS = (
    re.compile(r"^env:\n(?:  .*\n)*?  factory: \S+:_*+(\w++)$", re.MULTILINE),
    re.compile(r"^task:\n  name: gymnasium\n(?:  .*\n)*?  id: (?:\S+/)?(\S+)$", re.MULTILINE),
    re.compile(r"^task:\n(?:  .*\n)*?  name: (\S+)$", re.MULTILINE),
)
"""Find in a configuration the name of the user's environment, of Gymnasium's, else the task."""
_SUMMARY = '"summary": '
"""In results, what precedes the summary; no text in JSON contains it."""
MOST_READ = 100_000
"""Characters that are read of a configuration and of results, whose summary comes before the list of episodes."""


@dataclass(frozen=True)
class FoundRun:
    """A run and the places where it is shown."""

    name: str
    path: Path
    """The folder itself."""
    shown: bool
    """In ``runs/``, by a link or because it lies there."""
    pinned: tuple[str, ...]
    """Its names in ``runs/pinned/``."""

    @property
    def names(self) -> tuple[str, ...]:
        """Its own name and those of its pins."""
        return (self.name, *self.pinned)


@dataclass(frozen=True)
class Facts:
    """What is known about a run; ``None`` = its files do not say."""

    task: str | None = None
    kind: str | None = None
    """``train`` or ``test``."""
    age: float | None = None
    """Seconds since it began."""
    iterations: int | None = None
    """Of a training: iterations of its newest checkpoint."""
    best_return: float | None = None
    """Of a training: the best mean return so far."""
    games: int | None = None
    """Of a test: episodes played."""
    mean_return: float | None = None
    """Of a test: mean return of all its episodes."""
    size: int | None = None
    """Bytes on disk; a file with several names counts once."""
    running: bool = False
    """Whether a process is working in it."""
    problem: str | None = None
    """Why its newest checkpoint or results cannot be read."""


def found_runs(view: RunsView) -> list[FoundRun]:
    """Every run of the workspace, the newest first. Raises ``OSError``."""
    found: dict[str, FoundRun] = {}
    for entry in view.entries():
        run = found.setdefault(os.path.realpath(entry.path), FoundRun(entry.path.name, entry.path, False, ()))
        if entry.place == view.links:
            run = replace(run, shown=True)
        elif entry.place == view.pinned:
            run = replace(run, pinned=(*run.pinned, entry.name))
        found[os.path.realpath(entry.path)] = run
    runs = [run for run in found.values() if _is_run(run.path)]
    return sorted(runs, key=lambda run: (began(run.path), run.name), reverse=True)


def find(spec: str, runs: list[FoundRun], workspace: Workspace) -> FoundRun:
    """Return the run that ``spec`` names: latest, a name, a part of a name, or a path. Raises ``WorkspaceError``."""
    wanted = spec.strip().rstrip("/")
    path = workspace.latest(LATEST.get(wanted, "train")) if wanted in ("latest", *LATEST) else _path(wanted, workspace)
    real = None if path is None else os.path.realpath(path)
    called = [run for run in runs if wanted in run.names or real == os.path.realpath(run.path)]
    matches = called or [run for run in runs if wanted and any(wanted in name for name in run.names)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        rest = f" and {len(matches) - 3} more" if len(matches) > 3 else ""
        some = ", ".join(run.name for run in matches[:3]) + rest
        raise WorkspaceError(f"{spec!r} matches {len(matches)} runs: {some}. Give more of the name")
    names = [name for run in runs for name in run.names]
    near = difflib.get_close_matches(wanted, names) or names[:3]
    nearest = f"Nearest: {', '.join(near)}" if near else "There are none yet"
    raise WorkspaceError(f"no run is named {spec!r}. {nearest}. dexhand runs lists all")


def _path(spec: str, workspace: Workspace) -> Path | None:
    path = workspace.view.settled(Path(os.path.expanduser(spec)))
    return path if "/" in spec and path.is_dir() else None


def _is_run(path: Path) -> bool:
    run, name = Run(path), os.path.basename(os.path.realpath(path))
    return RunName.parse(name) is not None or run.checkpoints.is_dir() or run.config_file.is_file()


# --- facts from files -------------------------------------------------------------------------------------------------


def facts_of(run: FoundRun, now: float) -> Facts:
    """Read the facts in a run's files; ``now`` is in seconds since 1970. Unreadable files set ``problem``."""
    name = RunName.parse(os.path.basename(os.path.realpath(run.path)))
    facts = Facts(size=_size(run.path), running=is_running(run.path))
    if name is not None:
        facts = replace(facts, task=name.task, kind=name.kind, age=_age(name, now))
    try:
        facts = replace(facts, task=_task(run.path) or facts.task)
        return replace(facts, **_test_results(run.path), **_training_state(run.path))
    except (OSError, OverflowError, RecursionError, ValueError) as error:
        return replace(facts, problem=str(error))


def _task(path: Path) -> str | None:
    """What the configuration names as trained; the run may have been renamed."""
    # parsing the YAML would take milliseconds per run; dexhand always writes it in this form
    text = _beginning(Run(path).config_file)
    found = (subject.search(text) for subject in _SUBJECTS)
    return next((match.group(1) for match in found if match), None)


def _beginning(file: Path) -> str:
    """The beginning of a file, empty if there is no such file."""
    if not file.is_file():
        return ""
    with open(file, encoding="utf-8") as opened:
        return opened.read(MOST_READ)


def _training_state(path: Path) -> dict[str, Any]:
    checkpoint = preferred_checkpoint(Run(path).checkpoints)
    if checkpoint is None:
        return {}
    state = read_plain_state(checkpoint)
    loop = state.get("train_loop")
    best = loop.get("best_return") if isinstance(loop, dict) else None
    return {"iterations": _number(state.get("epoch"), int), "best_return": _number(best, float)}


def _test_results(path: Path) -> dict[str, Any]:
    file = Run(path).results_file
    if not file.is_file():
        return {}
    _, found, text = _beginning(file).partition(_SUMMARY)
    summary, _ = json.JSONDecoder().raw_decode(text) if found else (None, 0)
    if not isinstance(summary, dict):
        raise ValueError(f"{file} has no summary")
    return {"games": _number(summary.get("games"), int), "mean_return": _number(summary.get("mean_return"), float)}


def _number(value: Any, kind: Callable[[Any], Any]) -> Any:
    return kind(value) if type(value) in (int, kind) and math.isfinite(value) else None


def _age(name: RunName, now: float) -> float | None:
    try:
        return now - time.mktime(time.strptime(name.started, "%Y%m%d_%H%M%S"))
    except (ValueError, OverflowError):  # an impossible date, such as 31 February
        return None


def _size(folder: Path) -> int | None:
    try:
        found = [entry.stat(follow_symlinks=False) for entry in entries_below(folder)]
    except OSError:
        return None
    files = {(status.st_dev, status.st_ino): status.st_size for status in found if not stat.S_ISDIR(status.st_mode)}
    return sum(files.values())
