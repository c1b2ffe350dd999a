"""Names of runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

RunKind = Literal["train", "test"]
KINDS: tuple[RunKind, ...] = ("train", "test")

_PATTERN = re.compile(r"(?P<task>[^/]+)_(?P<kind>train|test)_(?P<started>\d{8}_\d{6})(?:_(?P<attempt>[1-9]\d*))?")


@dataclass(frozen=True)
class RunName:
    """The parts of a run's name, ``<Task>_<kind>_<YYYYMMDD_HHMMSS>[_<attempt>]``."""

    task: str
    kind: RunKind
    started: str
    """Local time, ``YYYYMMDD_HHMMSS``."""
    attempt: int = 1
    """Counts the runs that would otherwise have the same name."""

    def __str__(self) -> str:
        suffix = "" if self.attempt == 1 else f"_{self.attempt}"
        return f"{self.task}_{self.kind}_{self.started}{suffix}"

    @property
    def order(self) -> tuple[str, int]:
        """Sort key by start."""
        return self.started, self.attempt

    @classmethod
    def parse(cls, name: str) -> RunName | None:
        """Split ``name`` into its parts; ``None`` if it is not the name of a run."""
        match = _PATTERN.fullmatch(name)
        if match is None:
            return None
        kind: RunKind = "train" if match["kind"] == "train" else "test"
        return cls(match["task"], kind, match["started"], int(match["attempt"] or 1))
