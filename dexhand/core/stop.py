"""Stopping a loop from outside, in good order."""

import logging
import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

log = logging.getLogger(__name__)


class StopRequest:
    """While entered, the first SIGINT or SIGTERM asks the loop to stop after the step it is in; a second one ends the
    process at once with exit code 128 + signal number.

    Enter it in the main thread; Python delivers signals only there.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            os._exit(128 + number)
        self.requested = True
        # in a thread of its own: the signal may have come in the middle of a line that is being printed
        message = "%s: stopping in good order; once more to stop at once"
        threading.Thread(target=log.warning, args=(message, signal.Signals(number).name)).start()
