"""Reports of hard examples as a file of JSON lines."""

import json
import logging
from pathlib import Path

from dexhand.hard_examples.reports import HardExampleReport

log = logging.getLogger(__name__)


class HardExampleFile:
    """``HardExampleSink`` that appends a line for each report to ``path``.

    A report that cannot be written (disk full, folder gone) is lost, with one warning; the training goes on.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_failing = False

    def hard_examples(self, report: HardExampleReport) -> None:
        """See ``HardExampleSink``."""
        line = json.dumps(report.to_json(), allow_nan=False)
        try:
            with open(self.path, "a") as file:
                file.write(line + "\n")
        except OSError as error:
            if not self._is_failing:
                log.error("Hard examples cannot be written to %s: %s. They are lost until they can", self.path, error)
            self._is_failing = True
            return
        self._is_failing = False
