"""The folder that holds the stand-in of the ``isaacgym`` package: on ``sys.path`` it makes ``import isaacgym`` work."""

import sys
from pathlib import Path


def install() -> None:
    """Make ``import isaacgym`` find the stand-in in this process, unless the real package is installed."""
    folder = str(Path(__file__).parent)
    if folder not in sys.path:
        sys.path.append(folder)
