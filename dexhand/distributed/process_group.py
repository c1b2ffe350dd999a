"""Process groups, and the algorithm through which process 0 leads the others.

Process 0 runs the training loop. Collective work (an iteration, gathering the state) goes through its
``DistributedAlgorithm``, which the others follow in ``run_worker``. Only process 0 decides when to save and to stop, so
a signal or a full disk in one process cannot make the others wait forever.
"""

from __future__ import annotations

import contextlib
import datetime
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import Store  # type: ignore[attr-defined]

from dexhand.core.finite import Diverged
from dexhand.core.interfaces import Algorithm, Iteration, Policy
from dexhand.core.stop import handle_signals
from dexhand.distributed.meeting import NobodyCame, meet
from dexhand.distributed.place import CannotJoin, Place, place_of_process

TIMEOUT = 60.0
"""Seconds that a process waits for the others before giving up."""
_POLL = 0.02

T = TypeVar("T")


class LostProcess(RuntimeError):
    """Another process has exited or does not respond, so training cannot continue."""


class NoSuchDevice(CannotJoin):
    """The requested device does not exist. The message is one line for the user."""


class ProcessGroup:
    """The processes of a training, as seen from one of them. In a group of one, communication is a no-op.

    Objects are sent pickled: all processes run the same program, on machines that trust each other.
    """

    def __init__(self, device: torch.device, rank: int = 0, size: int = 1, control: Any | None = None) -> None:
        """``control`` is the torch process group for sending objects; see ``join_process_group``."""
        self.device = device
        self.rank = rank
        self.size = size
        self._control = control

    @property
    def is_leader(self) -> bool:
        """Whether this is process 0."""
        return self.rank == 0

    def wait_for_all(self) -> None:
        """Wait until all processes call this. Signals are handled meanwhile, unlike in the other methods."""
        if self.size == 1:
            return
        work = dist.barrier(group=self._control, async_op=True)
        while not work.is_completed():
            time.sleep(_POLL)
        work.wait()

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes, by rank, in process 0 and an empty list in the others."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.gather_object(value, values if self.is_leader else None, group=self._control)
        return values if self.is_leader else []

    def broadcast(self, value: T) -> T:
        """Return process 0's value in all processes."""
        values = [value]
        if self.size > 1:
            dist.broadcast_object_list(values, group=self._control)
        return values[0]

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor in place by its mean over the processes."""
        for tensor in tensors if self.size > 1 else ():
            dist.all_reduce(tensor)
            tensor /= self.size

    def broadcast_tensors(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor in place by that of process 0."""
        for tensor in tensors if self.size > 1 else ():
            dist.broadcast(tensor, 0)

    def largest(self, tensor: Tensor) -> Tensor:
        """Compute the element-wise maximum over the processes in place."""
        if self.size > 1:
            dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
        return tensor


_KEPT: list[dist.ProcessGroup | None] = []
"""Keeps groups alive until the process exits: the destructor of a gloo group holds the GIL while it waits for its
thread, which may need the GIL to free a tensor, an occasional deadlock."""


@contextlib.contextmanager
def join_process_group(
    device: str = "cpu", timeout: float = TIMEOUT, settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[ProcessGroup]:
    """Join the process group that ``torchrun``'s environment variables describe; without these, a group of one.

    On GPUs, each process of a machine uses its own. Raises ``LostProcess``, also from within the block, if another
    process has exited or not responded for ``timeout`` seconds, and ``CannotJoin`` if the variables are wrong or the
    ``settings`` of the processes differ.
    """
    place = place_of_process()
    own = _device(device, place)
    if place.size == 1:
        yield ProcessGroup(own)
        return
    rank, size, limit = place.rank, place.size, datetime.timedelta(seconds=timeout)

    def connect(store: Store) -> Any:
        backend = "nccl" if own.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=limit, store=store, rank=rank, world_size=size)
        return dist.new_group(backend="gloo", timeout=limit)  # objects are sent through the CPU

    try:
        control = meet(place, settings, timeout, connect)
        _KEPT.extend((dist.group.WORLD, control))
        yield ProcessGroup(own, rank, size, control)
        dist.barrier(group=control)
    except NobodyCame as error:
        raise LostProcess(str(error)) from None
    except RuntimeError as error:
        if not _is_about_communication(error):
            raise
        raise LostProcess(
            f"process {rank} of {size} lost another one, which has exited or not responded for {timeout:g} s "
            f"({_reason(error)})"
        ) from error
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _is_about_communication(error: RuntimeError) -> bool:
    # gloo raises plain RuntimeErrors, whose message contains the source file
    return isinstance(error, dist.DistError) or "gloo" in str(error)


def _reason(error: RuntimeError) -> str:
    """Return the library's message without source location and advice."""
    return re.sub(r"^\[[^]]*\] ", "", str(error).splitlines()[0]).split(". ")[0]


def _device(name: str, place: Place) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        raise NoSuchDevice(f"{name!r} is not a device. Give cpu, cuda or cuda:<number>") from None
    if device.type == "cpu":
        return device
    if device.type != "cuda":
        raise NoSuchDevice(f"{name!r} is not a supported device. Give cpu, cuda or cuda:<number>")
    number = place.local_rank if place.size > 1 else device.index or 0
    if number >= torch.cuda.device_count():
        raise NoSuchDevice(f"there is no GPU {number} for {name!r}: torch sees {torch.cuda.device_count()}. Give cpu")
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


class DistributedAlgorithm:
    """``Algorithm`` for process 0 that calls each method in all processes; the others call ``run_worker``."""

    def __init__(self, algorithm: Algorithm, processes: ProcessGroup) -> None:
        self._algorithm = algorithm
        self._processes = processes
        self._closed = False
        processes.wait_for_all()  # in ``run_worker``, which no signal ends

    @property
    def iterations_done(self) -> int:
        """See ``Algorithm``."""
        return self._algorithm.iterations_done

    @property
    def frames_done(self) -> int:
        """See ``Algorithm``."""
        return self._algorithm.frames_done

    def iterate(self) -> Iteration:
        """See ``Algorithm.iterate``."""
        iteration: Iteration = self._call_everywhere("iterate")
        return iteration

    def state_dict(self) -> dict[str, Any]:
        """See ``Algorithm.state_dict``."""
        state: dict[str, Any] = self._call_everywhere("state_dict")
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Algorithm.load_state_dict``."""
        self._call_everywhere("load_state_dict", state)

    def load_weights(self, state: Mapping[str, Any]) -> None:
        """See ``Algorithm.load_weights``."""
        self._call_everywhere("load_weights", state)

    def policy(self) -> Policy:
        """See ``Algorithm.policy``."""
        policy: Policy = self._call_everywhere("policy")
        return policy

    def close(self) -> None:
        """See ``Algorithm.close``; ends ``run_worker`` in the other processes."""
        if not self._closed:
            self._closed = True
            self._call_everywhere("close")

    def _call_everywhere(self, method: str, *arguments: Any) -> Any:
        self._processes.broadcast((method, arguments))
        try:
            return getattr(self._algorithm, method)(*arguments)
        except (ValueError, Diverged):
            raise  # as all processes do
        except Exception:
            self._closed = True  # the others are in the middle of it, and would not hear of the end
            raise


def run_worker(algorithm: Algorithm, processes: ProcessGroup) -> None:
    """Execute the calls of process 0 until it closes its ``DistributedAlgorithm``.

    Signals are ignored: if a worker exited by itself, process 0 could not save the last checkpoint.
    """
    with handle_signals(lambda number: None):
        processes.wait_for_all()
        method = ""
        while method != "close":
            method, arguments = processes.broadcast(("", ()))
            # all processes refuse a state that does not fit and observations of any of them; process 0 reports it
            with contextlib.suppress(ValueError, Diverged):
                getattr(algorithm, method)(*arguments)
