"""What a training sets for the whole process does not stay."""

import random

import numpy as np
import torch

from dexhand.core.process_state import process_state_restored


def test_threads_determinism_and_random_numbers_are_put_back() -> None:
    """As if nothing had been drawn and set in between."""
    threads = torch.get_num_threads()
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()

    @process_state_restored()
    def train() -> None:
        torch.set_num_threads(threads + 1)
        torch.use_deterministic_algorithms(True)
        torch.manual_seed(5)
        np.random.seed(5)
        random.seed(5)

    train()
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1].tolist(), random.getstate()) == states[1:]
