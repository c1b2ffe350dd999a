"""The place of this process among those of one training, from the variables of ``torchrun``; needs no torch."""

import os
from collections.abc import Mapping
from dataclasses import dataclass


class CannotJoin(ValueError):
    """The processes cannot train together as they were started. The message is one line for the user."""


@dataclass(frozen=True)
class Place:
    """Rank of a process, number of processes, and where to meet."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """Rank among the processes on this machine."""
    host: str = ""
    port: int = 0

    @property
    def is_leader(self) -> bool:
        """Whether this is process 0."""
        return self.rank == 0


def place_of_process(variables: Mapping[str, str] = os.environ) -> Place:
    """Read the place of this process; without the variables, it is alone. Raises ``CannotJoin``."""
    size = _number(variables, "WORLD_SIZE", 1, _LARGEST, default=1)
    rank = _number(variables, "RANK", 0, size - 1, default=0 if size == 1 else None)
    if size == 1:
        return Place()
    return Place(
        rank=rank,
        size=size,
        local_rank=_number(variables, "LOCAL_RANK", 0, size - 1, default=0),
        host=_text(variables, "MASTER_ADDR"),
        port=_number(variables, "MASTER_PORT", 1, 2**16 - 1),
    )


def _number(variables: Mapping[str, str], name: str, least: int, most: int, default: int | None = None) -> int:
    if default is not None and name not in variables:
        return default
    text = _text(variables, name)
    number = int(text) if text.isdecimal() and len(text) < 10 else -1
    if not least <= number <= most:
        size = variables.get("WORLD_SIZE", "not set")
        raise CannotJoin(
            f"the environment variable {name}={text!r} must be {least} to {most}: WORLD_SIZE is {size}. {_ADVICE}"
        )
    return number


def _text(variables: Mapping[str, str], name: str) -> str:
    if not variables.get(name):
        size = variables.get("WORLD_SIZE", "not set")
        raise CannotJoin(f"the environment variable {name} is missing: WORLD_SIZE is {size}. {_ADVICE}")
    return variables[name]


_LARGEST = 2**20
_ADVICE = "torchrun sets these variables; unset WORLD_SIZE and RANK to train in one process"
