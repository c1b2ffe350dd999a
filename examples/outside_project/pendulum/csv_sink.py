"""Metrics as a text file: one line for each value."""

import csv
from collections.abc import Mapping
from pathlib import Path


class CsvSink:
    """Writes ``step, name, value``."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", newline="")
        self._writer = csv.writer(self._file)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write one line per value."""
        self._writer.writerows((step, name, value) for name, value in values.items())

    def close(self) -> None:
        """Write out what is pending."""
        self._file.close()
