"""Several runs one after the other, each in a process of its own, from ``--multirun`` to an exit code."""

import logging
import shlex
import subprocess
import sys
from collections.abc import Sequence

from rich.console import Console

from dexhand.app.logs import logging_to_console
from dexhand.config.cli import Sweep
from dexhand.core.stop import handle_signals

log = logging.getLogger(__name__)


def run_jobs(sweep: Sweep) -> int:
    """Run the jobs. One that fails does not keep the others from running.

    SIGINT and SIGTERM are passed on to the job that runs, which ends in good order; no further one is started. Returns
    0 where all that were started succeeded, else the exit code of the first that did not.
    """
    failed: dict[str, int] = {}
    done = 0
    current = _Job()
    with logging_to_console(Console(highlight=False), sweep.jobs[0].config.train.logLevel):
        with handle_signals(current.signal):
            for number, job in enumerate(sweep.jobs, 1):
                words = shlex.join(job.argv)
                log.info("Job %d of %d: %s", number, len(sweep.jobs), words)
                code = current.run([sys.executable, "-m", "dexhand.app", *job.argv])
                done += 1
                if code != 0:
                    failed[words] = code
                if current.is_stopping:
                    break
        for words, code in failed.items():
            log.error("Exit code %d: %s", code, words)
        log.info("%d of %d jobs run, %d of them failed", done, len(sweep.jobs), len(failed))
    return next(iter(failed.values()), 0)


class _Job:
    """The job that runs; signals are passed on to it."""

    def __init__(self) -> None:
        self.is_stopping = False
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, command: Sequence[str]) -> int:
        """Run a command to its end; returns its exit code."""
        # in a session of its own, so that a Ctrl-C reaches it once, from here
        self._process = subprocess.Popen(command, start_new_session=True)
        return self._process.wait()

    def signal(self, number: int) -> None:
        """Pass on a signal."""
        self.is_stopping = True
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
