"""Reports of hard examples as a file of JSON lines."""

import contextlib
import json
import logging
import os
from pathlib import Path

from dexhand.hard_examples.reports import HardExampleReport

log = logging.getLogger(__name__)


class HardExampleFile:
    """``HardExampleSink`` that appends each report to ``path`` as one line.

    A report that cannot be written (disk full, folder deleted) is lost; the first one is logged as an error.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_failing = False

    def hard_examples(self, report: HardExampleReport) -> None:
        """See ``HardExampleSink``."""
        line = json.dumps(report.to_json(), allow_nan=False)
        end = None
        try:
            with open(self.path, "ab") as file:
                end = file.tell()
                file.write(f"{line}\n".encode())
        except OSError as error:
            if end is not None:
                with contextlib.suppress(OSError):
                    os.truncate(self.path, end)  # remove the incomplete line
            if not self._is_failing:
                log.error("Hard examples cannot be written to %s: %s. They are lost until they can", self.path, error)
            self._is_failing = True
            return
        if self._is_failing:
            log.info("Hard examples are written to %s again", self.path)
        self._is_failing = False
