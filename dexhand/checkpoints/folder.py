"""Names of checkpoint files, and which one a folder stands for. Needs no torch."""

import re
from pathlib import Path

LATEST_NAME = "latest.pth"
BEST_NAME = "checkpoint_best.pth"
_NUMBERED = re.compile(r"checkpoint_(\d+)\.pth")
_NUMBERED_BY_RL_GAMES = re.compile(r".+_ep_(\d+)(?:_rew_(.*))?\.pth")


def numbered_name(iteration: int) -> str:
    """File name of the checkpoint kept for ``iteration``."""
    return f"checkpoint_{iteration}.pth"


def iteration_of(path: Path) -> int | None:
    """The iteration in the name of a numbered checkpoint, rl_games's own too; ``None`` for any other file."""
    match = _NUMBERED.fullmatch(path.name) or _NUMBERED_BY_RL_GAMES.fullmatch(path.name)
    return int(match.group(1)) if match else None


def return_of(path: Path) -> float | None:
    """The mean return in the name of one of rl_games's checkpoints; ``None`` for any other file."""
    match = _NUMBERED_BY_RL_GAMES.fullmatch(path.name)
    text = match.group(2) if match else None
    try:
        return float(text.strip("_")) if text else None
    except ValueError:
        return None


def numbered_checkpoints(folder: Path) -> list[Path]:
    """The numbered checkpoints of a store in ``folder``, lowest iteration first; empty if there is no folder."""
    found = [path for path in _files(folder) if _NUMBERED.fullmatch(path.name)]
    return sorted(found, key=lambda path: iteration_of(path) or 0)


def checkpoints_in(folder: Path) -> list[Path]:
    """Every ``.pth`` file in ``folder``, the one that the folder stands for first.

    The order is: latest, numbered (highest first), others (newest first), best. Hidden files, which are temporary, are
    omitted. Empty if there is no such folder.
    """
    return sorted(_files(folder), key=_preference, reverse=True)


def preferred_checkpoint(folder: Path) -> Path | None:
    """The first of ``checkpoints_in(folder)``."""
    return next(iter(checkpoints_in(folder)), None)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.pth") if not path.name.startswith(".") and path.is_file()]


def _preference(path: Path) -> tuple[int, float, str]:
    if path.name == LATEST_NAME:
        return 3, 0.0, path.name
    if path.name == BEST_NAME:
        return 0, 0.0, path.name
    number = iteration_of(path)
    if number is not None:
        return 2, number, path.name
    try:
        return 1, path.stat().st_mtime, path.name
    except FileNotFoundError:  # deleted since it was listed
        return -1, 0.0, path.name
