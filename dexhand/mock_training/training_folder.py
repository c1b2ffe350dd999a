"""The folder of a mock training, used by one training at a time."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dexhand.checkpoints.folder import checkpoints_in
from dexhand.checkpoints.store import CheckpointError, CheckpointStore, load_checkpoint

SUMMARIES = "mock_summaries"
HARD_EXAMPLES = "hard_examples.jsonl"
_LOCK = ".mock_training.lock"


class SettingsError(ValueError):
    """A flag has an unusable value; the message is one line."""


@contextlib.contextmanager
def training_folder(folder: Path, resume: bool) -> Iterator[dict[str, Any] | None]:
    """Lock ``folder`` for one training and yield the state to resume from, or ``None`` without ``resume``.

    Without ``resume``, the files of an earlier mock training are deleted. Raises ``SettingsError`` if the folder cannot
    be used, is in use, or has checkpoints that are not of a mock training.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(str(folder / _LOCK))
        lock.acquire(timeout=0)
    except Timeout:
        raise SettingsError(
            f"--checkpoint_dir={folder} is in use by another mock training. Choose another folder"
        ) from None
    except OSError as error:
        raise SettingsError(
            f"--checkpoint_dir={folder}: {error.strerror or error}. Choose a folder that you may write to"
        ) from None
    try:
        state = _newest(folder)
        if resume and state is None:
            raise SettingsError(f"--resume: there is no checkpoint in {folder}. Omit --resume to start a new training")
        if resume and state is not None and "epoch" not in state:
            raise SettingsError(f"--resume: {folder} is of an earlier version. Omit --resume to start a new training")
        if not resume and state is not None:
            _clear(folder)
        yield state if resume else None
    finally:
        lock.release()


def _newest(folder: Path) -> dict[str, Any] | None:
    """Return the newest state in the folder, or ``None``."""
    path = CheckpointStore(folder).latest()
    if path is None:
        others = checkpoints_in(folder)
        if others:
            raise SettingsError(_not_ours(folder, f"there is {others[0].name}, and no latest.pth of a mock training"))
        return None
    try:
        state = load_checkpoint(path)
    except CheckpointError as error:
        raise SettingsError(_not_ours(folder, str(error))) from None
    if "mock_training" not in state:
        raise SettingsError(_not_ours(folder, f"{path.name} is of another training"))
    return state


def _not_ours(folder: Path, reason: str) -> str:
    return f"--checkpoint_dir={folder} holds something else: {reason}. Choose another folder, or empty this one"


def _clear(folder: Path) -> None:
    store = CheckpointStore(folder)
    store.remove_leftovers()
    for path in [*store.numbered(), store.latest(), store.best(), folder / HARD_EXAMPLES]:
        if path is not None:
            path.unlink(missing_ok=True)
    shutil.rmtree(folder / SUMMARIES, ignore_errors=True)
