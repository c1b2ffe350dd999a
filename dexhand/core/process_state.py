"""Process-wide settings, restored after a training run or test that changes them."""

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch


@contextlib.contextmanager
def process_state_restored() -> Iterator[None]:
    """Restore torch's thread count and deterministic mode and the CPU's global random generators after the block.

    Also works as a decorator, for functions that a larger program may call.
    """
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(mode)
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
