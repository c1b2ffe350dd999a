"""The other process of ``test_process_group.py``."""

import os
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any

import torch

from dexhand.core.interfaces import Iteration, Policy
from dexhand.distributed.process_group import (
    DistributedAlgorithm,
    LostProcess,
    ProcessGroup,
    join_process_group,
    run_worker,
)


class Counting:
    """``Algorithm`` that writes down what it is asked to do, and adds up what all processes know."""

    def __init__(self, processes: ProcessGroup, calls: list[str] | None = None) -> None:
        self.processes = processes
        self.calls: list[str] = [] if calls is None else calls
        self.iterations_done = 0
        self.frames_done = 0

    def iterate(self) -> Iteration:
        """The sum of the ranks plus one, from all."""
        self.calls.append("iterate")
        self.iterations_done += 1
        ranks = self.processes.gather(self.processes.rank + 1)
        return Iteration(self.iterations_done, self.frames_done, float(sum(ranks)))

    def state_dict(self) -> dict[str, Any]:
        """How often, everywhere."""
        self.calls.append("state_dict")
        return {"iterations": self.processes.gather(self.iterations_done)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Refuses a negative number."""
        self.calls.append("load_state_dict")
        if state["iterations"] < 0:
            raise ValueError("negative")
        self.iterations_done = state["iterations"]

    def load_weights(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Takes nothing."""
        self.calls.append("load_weights")

    def policy(self) -> Policy:
        """Has none."""
        self.calls.append("policy")
        return None  # type: ignore[return-value]

    def close(self) -> None:
        """Tells what it was asked."""
        self.calls.append("close")
        self.processes.gather(self.calls)


def talk(processes: ProcessGroup) -> list[Any]:
    """Each way of telling each other something, once."""
    mean = torch.tensor([1.0, 10.0]) * (processes.rank + 1)
    processes.average([mean])
    largest = processes.largest(torch.tensor([3.0 * processes.rank, -1.0]))
    return [
        processes.gather({"rank": processes.rank}),
        processes.broadcast(f"from {processes.rank}"),
        mean.tolist(),
        largest.tolist(),
        processes.is_leader,
    ]


def lead(processes: ProcessGroup) -> Counting:
    """What process 0 does while the other follows."""
    algorithm = Counting(processes)
    led = DistributedAlgorithm(algorithm, processes)
    led.iterate()
    led.load_state_dict({"iterations": 7})
    led.state_dict()
    led.close()
    return algorithm


def main(role: str, rank: str) -> None:
    """Join as this rank, talk, follow, lead, die or hang, and leave."""
    os.environ["RANK"] = rank
    try:
        with join_process_group(timeout=10.0) as processes:
            if role == "talk":
                talk(processes)
            elif role == "follow":
                run_worker(Counting(processes), processes)
            elif role == "lead":
                lead(processes)
            elif role == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            elif role == "hang":
                time.sleep(60.0)
    except LostProcess as error:
        sys.exit(f"error: {error}")
