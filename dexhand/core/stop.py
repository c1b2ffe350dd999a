"""Handling SIGINT and SIGTERM: stopping a loop in good order, and whatever else a block makes of the two signals."""

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

    The handlers from before are restored afterwards. Enter it in the main thread; Python delivers signals only there.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, lambda number, frame: handle(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class StopRequest:
    """While entered, the first SIGINT or SIGTERM asks the loop to stop after its current step; a second one ends the
    process at once with exit code 128 + signal number.
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
        # in a thread of its own: the signal may have come in the middle of a line that is being printed
        message = "%s: stopping in good order; once more to stop at once"
        threading.Thread(target=log.warning, args=(message, signal.Signals(number).name)).start()
