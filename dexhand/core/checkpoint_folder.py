"""What the checkpoints of a run are called, and which of them is meant. Needs no torch: used before it is imported."""

import re
from pathlib import Path
from typing import List, Optional

LATEST_NAME = "latest.pth"
BEST_NAME = "checkpoint_best.pth"
_NUMBERED = re.compile(r"checkpoint_(\d+)\.pth")


def numbered_name(iteration: int) -> str:
    """File name of the checkpoint kept for ``iteration``."""
    return f"checkpoint_{iteration}.pth"


def iteration_of(path: Path) -> Optional[int]:
    """The iteration in the name of a numbered checkpoint; ``None`` for any other file."""
    match = _NUMBERED.fullmatch(path.name)
    return int(match.group(1)) if match else None


def numbered_checkpoints(folder: Path) -> List[Path]:
    """The numbered checkpoints in ``folder``, lowest iteration first; empty where there is no such folder."""
    found = [(iteration_of(path), path) for path in folder.glob("checkpoint_*.pth") if path.is_file()]
    return [path for _, path in sorted((number, path) for number, path in found if number is not None)]


def preferred_checkpoint(folder: Path) -> Optional[Path]:
    """The checkpoint meant by naming ``folder``: latest, else best, else highest number, else newest ``.pth``."""
    for path in (folder / LATEST_NAME, folder / BEST_NAME, *reversed(numbered_checkpoints(folder))):
        if path.is_file():
            return path
    others = [path for path in folder.glob("*.pth") if path.is_file()]
    return max(others, key=lambda path: (path.stat().st_mtime, path.name), default=None)
