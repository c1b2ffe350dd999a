"""Starting several processes of one program on this machine. Needs no torch: the launcher itself stays small."""

import contextlib
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from types import FrameType

GRACE = 10.0
"""Seconds that the others have to end by themselves after one has ended badly."""
_POLL = 0.05


def is_launched() -> bool:
    """Whether this process is one of several, started by ``launch`` or by ``torchrun``."""
    return "WORLD_SIZE" in os.environ


def launch(command: list[str], count: int, grace: float = GRACE) -> int:
    """Run ``command`` in ``count`` processes that find each other through ``torchrun``'s environment variables.

    Returns 0 when all have ended well, else the exit code of the first one, or 1. When one dies, the others have
    ``grace`` seconds before they are killed. SIGTERM is passed on to process 0; SIGINT a terminal sends to all.
    """
    port = _free_port()
    processes: list[subprocess.Popen[bytes]] = []
    with _signals_for(processes):
        for rank in range(count):
            processes.append(_start(command, rank, count, port))
        deadline = math.inf
        codes = [process.poll() for process in processes]
        while None in codes:
            if any(codes):  # one has ended, and not with 0
                deadline = min(deadline, time.monotonic() + grace)
            if time.monotonic() > deadline:
                return _verdict(_killed(processes, codes))
            time.sleep(_POLL)
            codes = [process.poll() for process in processes]
    return _verdict([code or 0 for code in codes])


def _start(command: list[str], rank: int, count: int, port: int) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    if sys.platform == "linux":  # a machine whose own name has no address works too
        environment.setdefault("GLOO_SOCKET_IFNAME", "lo")
    # libraries that guess the number of threads would each take the whole machine
    environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    return subprocess.Popen(command, env=environment)


def _killed(processes: "list[subprocess.Popen[bytes]]", codes: list[int | None]) -> list[int]:
    """End those that still run; they count as having ended well, for it is not they that failed."""
    for process in processes:
        process.kill()
        process.wait()
    return [code or 0 for code in codes]


@contextlib.contextmanager
def _signals_for(processes: "list[subprocess.Popen[bytes]]") -> Iterator[None]:
    """SIGTERM goes on to the first; SIGINT is not for the launcher."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        if not processes:
            sys.exit(128 + number)
        processes[0].send_signal(number)

    # a function, unlike SIG_IGN, is not inherited by what is started
    handlers = {signal.SIGINT: lambda number, frame: None, signal.SIGTERM: pass_on}
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _verdict(codes: list[int]) -> int:
    """Say which process died of what, where that was not process 0 ending by its own decision."""
    killed = [rank for rank, code in enumerate(codes) if code < 0]
    failed = [rank for rank, code in enumerate(codes) if code > 0 and rank > 0]
    for rank in (killed or failed)[:1]:
        how = f"was killed by {signal.Signals(-codes[rank]).name}" if killed else f"ended with exit code {codes[rank]}"
        sys.stderr.write(f"error: process {rank} of {len(codes)} {how}; the others were ended\n")
    if codes[0] > 0:
        return codes[0]
    return 1 if any(codes) else 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
