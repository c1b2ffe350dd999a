"""A sink whose failures do not end a training."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from dexhand.core.interfaces import MetricSink
from dexhand.hard_examples.reports import HardExampleReport, HardExampleSink

log = logging.getLogger(__name__)


class GuardedSink:
    """Passes everything on to a user-defined sink until it raises; the error is logged once, with its traceback."""

    def __init__(self, name: str, sink: MetricSink) -> None:
        """``name`` is what the configuration calls the sink."""
        self._name = name
        self._sink = sink
        self._failed = False
        if isinstance(sink, HardExampleSink):
            accept = sink.hard_examples
            self.hard_examples: Callable[[HardExampleReport], None] = lambda report: self._call(accept, report)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See ``MetricSink.scalars``."""
        self._call(self._sink.scalars, step, values)

    def close(self) -> None:
        """See ``MetricSink.close``."""
        self._call(self._sink.close)

    def _call(self, method: Callable[..., None], *arguments: Any) -> None:
        if self._failed:
            return
        try:
            method(*arguments)
        except Exception:  # whatever user code raises must not cost the training
            self._failed = True
            log.exception("train.sinks=%s failed and receives nothing more", self._name)
