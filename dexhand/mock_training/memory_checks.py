"""Checks for memory leaks."""

import gc
import os
import sys

import torch

from dexhand.mock_training.problems import Problems

GROWTH_ALLOWED = 24e6
"""Bytes between the two checks; allocators keep some memory."""
TENSORS_ALLOWED = 8
"""New tensors at the second check, beyond the expected ones."""


class MemoryChecks:
    """Compares memory and tensors halfway and at the end."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._before: tuple[int, int, int] | None = None

    def begin(self) -> None:
        """Exclude existing objects: half a million objects of libraries would slow down each check."""
        gc.freeze()

    def check(self, expected: int) -> None:
        """Count at the first call, compare at the second; ``expected`` tensors are kept on purpose."""
        gc.collect()
        now = (_resident_bytes(), _live_tensors(), expected)
        if self._before is None:
            self._before = now
            return
        grown, tensors, kept = (after - before for after, before in zip(now, self._before))
        self._problems.expect(
            grown <= GROWTH_ALLOWED,
            "memory",
            f"the process has grown by {grown / 1e6:.0f} MB in the second half; {GROWTH_ALLOWED / 1e6:.0f} are allowed",
        )
        self._problems.expect(
            tensors <= max(kept, 0) + TENSORS_ALLOWED,
            "memory",
            f"{tensors} more tensors are alive than halfway, {max(kept, 0)} of them as hard examples",
        )


def _resident_bytes() -> int:
    """Resident memory of the process; 0 on systems other than Linux."""
    if sys.platform != "linux":
        return 0
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _live_tensors() -> int:
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())
