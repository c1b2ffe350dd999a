"""The random states that everything in a process shares: read, disturbed, and put back."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def random_states() -> dict[str, Any]:
    """Those of torch (on the CPU), numpy and Python."""
    return {"torch": torch.get_rng_state(), "numpy": list(np.random.get_state()), "Python": random.getstate()}


def reseed(seed: int) -> None:
    """Do what anybody may do with them: another seed, other states."""
    torch.manual_seed(1000 + seed)
    np.random.seed(1000 + seed)
    random.seed(1000 + seed)


@contextmanager
def random_states_put_back() -> Iterator[None]:
    """Whatever is done within, afterwards they are as before."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
