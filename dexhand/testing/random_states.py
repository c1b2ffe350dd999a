"""The global random states of a process: read, change and restore them."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def random_states() -> dict[str, Any]:
    """The global random states of torch (on the CPU), numpy and Python, by name."""
    return {"torch": torch.get_rng_state(), "numpy": list(np.random.get_state()), "Python": random.getstate()}


def reseed(seed: int) -> None:
    """Seed the global random states, as any other code might."""
    torch.manual_seed(1000 + seed)
    np.random.seed(1000 + seed)
    random.seed(1000 + seed)


@contextmanager
def random_states_put_back() -> Iterator[None]:
    """Restore the global random states at the end of the block."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
