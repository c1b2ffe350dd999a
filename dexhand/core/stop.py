"""Handling SIGINT and SIGTERM, in particular to stop a loop cleanly."""

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import TracebackType

log = logging.getLogger(__name__)


@contextlib.contextmanager
def handle_signals(handle: Callable[[int], None]) -> Iterator[None]:
    """Call ``handle`` with the number of each SIGINT and SIGTERM that arrives during the block.

    The previous handlers are restored afterwards. Enter it in the main thread, where Python delivers signals.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, lambda number, frame: handle(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class StopRequest:
    """Turns SIGINT and SIGTERM into a request to stop while the context is entered.

    The first signal sets ``requested``, so that the loop stops after its current step; the second one ends the process
    immediately with exit code 128 + signal number.
    """

    def __init__(self) -> None:
        self.requested = False
        self._signals: contextlib.AbstractContextManager[None] = contextlib.nullcontext()

    def __enter__(self) -> "StopRequest":
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

    def _handle(self, number: int) -> None:
        if self.requested:
            os._exit(128 + number)
        self.requested = True
        # in a separate thread: the signal may have interrupted a write to the console, which is not reentrant
        message = "%s: stopping after the current step; repeat it to exit immediately"
        threading.Thread(target=log.warning, args=(message, signal.Signals(number).name)).start()
