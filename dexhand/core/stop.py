"""Handling the signals that end a program, in particular to stop a loop cleanly."""

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import TracebackType

from dexhand.core.signals import ending_signals

log = logging.getLogger(__name__)


@contextlib.contextmanager
def handle_signals(handle: Callable[[int], None]) -> Iterator[None]:
    """Call ``handle`` with the number of each SIGINT, SIGTERM and SIGHUP that arrives during the block.

    The previous handlers are restored afterwards. Enter it in the main thread, where Python delivers signals.
    """
    previous = {number: signal.signal(number, lambda number, frame: handle(number)) for number in ending_signals()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class StopRequest:
    """Turns SIGINT, SIGTERM and SIGHUP into a request to stop while the context is entered.

    The first signal sets ``requested``, so that the loop stops after its current step; the second one ends the process
    immediately with exit code 128 + signal number, even if the main thread is in a call that does not return.
    """

    def __init__(self) -> None:
        self.requested = False
        self._signals: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        self._pipe = (-1, -1)
        self._previous = -1
        # also because a signal may interrupt a write to the console, which is not reentrant
        self._listener = threading.Thread(target=self._listen, name="stop request", daemon=True)

    def __enter__(self) -> "StopRequest":
        self._pipe = os.pipe()
        os.set_blocking(self._pipe[1], False)
        self._listener.start()
        self._previous = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        self._signals = handle_signals(self._handle)
        self._signals.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._signals.__exit__(None, None, None)
        signal.set_wakeup_fd(self._previous)
        os.close(self._pipe[1])
        self._listener.join(timeout=1.0)

    def _handle(self, number: int) -> None:
        if self.requested:
            os._exit(128 + number)
        self.requested = True

    def _listen(self) -> None:
        """Learn of signals as they arrive; Python calls ``_handle`` only between two steps of the main thread."""
        has_said = False
        with open(self._pipe[0], "rb", buffering=0) as arrived:
            while number := int.from_bytes(arrived.read(1)):
                if number in ending_signals():
                    if has_said:
                        os._exit(128 + number)
                    has_said = True
                    name = signal.Signals(number).name
                    log.warning("%s: stopping after the current step; repeat it to exit immediately", name)
