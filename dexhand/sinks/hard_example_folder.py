"""Reports and pictures of hard examples as a folder of files."""

import logging
from pathlib import Path
from typing import BinaryIO

from PIL import Image
from torch import Tensor

from dexhand.files.atomic import write_atomically
from dexhand.hard_examples.reports import HardExampleReport
from dexhand.sinks.hard_example_file import HardExampleFile

log = logging.getLogger(__name__)


class HardExampleFolder:
    """``HardExampleSink`` that writes ``<ranking>.jsonl``, a line for each report, and ``<ranking>/<key>.png``.

    Only the pictures of the newest report are kept. Files that cannot be written (disk full, folder deleted) are lost;
    the first failure is logged as an error.
    """

    def __init__(self, folder: Path) -> None:
        """The folder is created with the first report."""
        self._folder = folder
        self._files: dict[str, HardExampleFile] = {}
        self._written: frozenset[Path] = frozenset()
        self._is_failing = False

    def hard_examples(self, report: HardExampleReport) -> None:
        """See ``HardExampleSink``."""
        try:
            self._folder.mkdir(exist_ok=True)
            self._write_pictures(report)
        except OSError as error:
            if not self._is_failing:
                log.error("Pictures of hard examples cannot be written to %s: %s", self._folder, error)
            self._is_failing = True
        else:
            self._is_failing = False
        path = self._folder / f"{report.ranking or 'hard_examples'}.jsonl"
        self._files.setdefault(report.ranking, HardExampleFile(path)).hard_examples(report)

    def _write_pictures(self, report: HardExampleReport) -> None:
        pictures = self._folder / (report.ranking or "pictures")
        images = {pictures / f"{entry.key}.png": entry.image for entry in report.entries if entry.image is not None}
        if not images and not pictures.exists():
            return
        pictures.mkdir(exist_ok=True)
        for path in pictures.iterdir():
            if path not in images:
                path.unlink()
        for path, image in images.items():
            # a file of an earlier process may show another episode: a training may resume from an older checkpoint
            if path not in self._written or not path.exists():
                _write_png(path, image)
        self._written = frozenset({*self._written, *images})


def _write_png(path: Path, image: Tensor) -> None:
    def write(file: BinaryIO) -> None:
        Image.fromarray(image.numpy()).save(file, "PNG")

    write_atomically(path, write)
