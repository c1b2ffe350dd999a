"""Launching several processes of one program on this machine with ``torch.multiprocessing``."""

import os
import signal
import sys
from collections.abc import Callable
from multiprocessing import resource_tracker
from typing import Any

from torch.distributed.elastic.utils.distributed import get_free_port
from torch.multiprocessing.spawn import ProcessContext, ProcessExitedException, start_processes

from dexhand.core.signals import exit_on_signals
from dexhand.core.stop import handle_signals
from dexhand.files.output import write_patiently

GRACE = 10.0
"""Seconds that the other processes have to exit after one has failed."""
_POLL = 0.05


def is_launched() -> bool:
    """Whether ``launch`` or ``torchrun`` started this process."""
    return "WORLD_SIZE" in os.environ


def launch(function: Callable[..., int], arguments: tuple[Any, ...], count: int, grace: float = GRACE) -> int:
    """Call ``function(*arguments)``, which returns an exit code, in ``count`` processes.

    They connect through the environment variables of ``torchrun``. Returns 0 if all processes do, else the exit code of
    process 0, or 1. When one fails, the others are killed after ``grace`` seconds. SIGTERM is forwarded to process 0; a
    terminal sends SIGINT to all. Processes whose launcher is killed receive SIGINT.
    """
    signals: list[int] = []
    with handle_signals(signals.append):
        # blocked in the new processes until they can handle signals; starting the tracker would unblock them
        resource_tracker.ensure_running()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        processes: ProcessContext = start_processes(
            _run_process, (function, arguments, count, get_free_port()), count, join=False
        )
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        leader = processes.processes[0]
        try:
            while not processes.join(timeout=_POLL, grace_period=grace):
                if signal.SIGTERM in signals:
                    leader.terminate()
                signals.clear()
        except ProcessExitedException as error:
            _report(error, count)
            return max(int(leader.exitcode), 1)
    return 0


def _report(error: ProcessExitedException, count: int) -> None:
    """Print which process failed and how, unless process 0 exited by itself and has explained why."""
    if error.signal_name is None and error.error_index == 0:
        return
    how = f"was killed by {error.signal_name}" if error.signal_name else f"ended with exit code {error.exit_code}"
    sys.stderr.write(f"error: process {error.error_index} of {count} {how}; the others were ended\n")


def _run_process(rank: int, function: Callable[..., int], arguments: tuple[Any, ...], count: int, port: int) -> None:
    exit_on_signals()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
    write_patiently()
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(count))
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    if sys.platform == "linux":  # also works where the host name has no address
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    try:
        code = function(*arguments)
    except KeyboardInterrupt:  # torch would treat it as success
        code = 128 + signal.SIGINT
    sys.exit(code)
