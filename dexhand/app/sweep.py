"""Sequential runs for ``--multirun``, each in its own process."""

import logging
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence

from rich.console import Console

from dexhand.app.logs import logging_to_console
from dexhand.config.cli import Sweep
from dexhand.core.stop import handle_signals

log = logging.getLogger(__name__)


def run_jobs(sweep: Sweep) -> int:
    """Run all jobs, even after one has failed.

    Signals are forwarded to the current job, which stops cleanly; no further job is started. Returns 0 if
    all started jobs succeeded, else the exit code of the first that failed.
    """
    failed: dict[str, int] = {}
    done = 0
    current = _Job()
    with logging_to_console(Console(highlight=False), sweep.jobs[0].config.train.logLevel):
        with handle_signals(current.signal):
            for number, job in enumerate(sweep.jobs, 1):
                words = shlex.join(job.argv)
                log.info("Job %d of %d: %s", number, len(sweep.jobs), words)
                # -P: like the command dexhand, do not search the working folder for libraries
                code = current.run([sys.executable, "-P", "-m", "dexhand.app", *job.argv])
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
    """The current job, to which signals are forwarded."""

    def __init__(self) -> None:
        self._signal: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, command: Sequence[str]) -> int:
        """Run a command and return its exit code."""
        # in a new session, so that Ctrl-C reaches it only once, through ``signal``
        self._process = subprocess.Popen(command, start_new_session=True)
        if self._signal is not None:  # it came while the process was being started
            self._process.send_signal(self._signal)
        code = self._process.wait()
        return code if code >= 0 else 128 - code

    @property
    def is_stopping(self) -> bool:
        """Whether a signal has arrived: no further job is to be started."""
        return self._signal is not None

    def signal(self, number: int) -> None:
        """Forward a signal and start no further job."""
        # for the job the same, but Python prints no traceback for it while it starts
        self._signal = signal.SIGTERM if number == signal.SIGINT else number
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(self._signal)
