"""Metrics as TensorBoard event files."""

import functools
import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch.utils.tensorboard import SummaryWriter

from dexhand.core.clock import SystemClock
from dexhand.core.interfaces import Clock
from dexhand.files.output import printable
from dexhand.hard_examples.reports import HardExampleReport

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

RETRY_INTERVAL = 10.0
"""Seconds between attempts to write to a folder after a failure."""


class TensorBoardSink:
    """``MetricSink`` and ``HardExampleSink`` that writes event files into a folder.

    What cannot be written (disk full, folder deleted) is lost; the first failure is logged as an error. For a resumed
    run, ``first_step`` makes TensorBoard drop earlier data from that step on, so that curves have one value per step.
    """

    def __init__(
        self,
        folder: Path,
        flush_seconds: int = 10,
        clock: Clock | None = None,
        first_step: int | None = None,
    ) -> None:
        _ignore_writer_threads()
        self._clock = clock or SystemClock()
        self._folder = folder
        self._flush_seconds = flush_seconds
        self._writer: SummaryWriter | None = None
        self._is_failing = False
        self._next_try = 0.0
        self._first_step = first_step
        self._write(lambda writer: None)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See ``MetricSink.scalars``."""

        def write(writer: SummaryWriter) -> None:
            for name, value in values.items():
                writer.add_scalar(name.replace(":", "_"), value, step)

        self._write(write)

    def images(self, step: int, images: "Mapping[str, np.ndarray]") -> None:
        """Record pictures, uint8 (H, W, 3)."""

        def write(writer: SummaryWriter) -> None:
            for name, image in images.items():
                writer.add_image(name, image, step, dataformats="HWC")

        self._write(write)

    def hard_examples(self, report: HardExampleReport) -> None:
        """See ``HardExampleSink``: the report's scalars and pictures."""
        self.scalars(report.step, report.scalars())
        self.images(report.step, report.images())

    def close(self) -> None:
        """See ``MetricSink.close``."""
        if self._writer is not None:
            self._write(lambda writer: writer.close())
            self._writer = None

    def _write(self, write: Callable[[SummaryWriter], None]) -> None:
        if self._is_failing and self._clock.monotonic() < self._next_try:
            return
        try:
            if self._writer is not None and not self._folder.is_dir():
                self._writer = None  # its files were deleted
            if self._writer is None:
                self._writer = SummaryWriter(
                    str(self._folder), purge_step=self._first_step, flush_secs=self._flush_seconds
                )
                self._first_step = None
            write(self._writer)
        except (OSError, UnicodeError) as error:  # UnicodeError: a folder whose name is no valid text
            # a writer does not recover from a failure; the next one starts another file in the folder
            self._writer = None
            if not self._is_failing:
                folder = printable(str(self._folder))
                log.error("Metrics cannot be written to %s: %s. They are lost until they can", folder, error)
            self._is_failing = True
            self._next_try = self._clock.monotonic() + RETRY_INTERVAL
            return
        if self._is_failing and self._writer is not None:
            log.info("Metrics are written to %s again", printable(str(self._folder)))
            self._is_failing = False


@functools.cache
def _ignore_writer_threads() -> None:
    """Print no traceback of a thread of TensorBoard's that cannot write: its writer raises the same error here."""
    report = threading.excepthook

    def report_others(failure: threading.ExceptHookArgs) -> None:
        is_writer = type(failure.thread).__module__.startswith("tensorboard.")
        if not (is_writer and isinstance(failure.exc_value, OSError)):
            report(failure)

    threading.excepthook = report_others
