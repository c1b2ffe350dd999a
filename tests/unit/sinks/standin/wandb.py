"""A stand-in of wandb that writes what it is given into the run's folder. Signatures and errors are those of 0.31."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np


class Error(Exception):
    """As wandb's."""


class CommError(Error):
    """The server cannot be reached."""


class UsageError(Error):
    """It is asked for something it will not do."""


errors = SimpleNamespace(Error=Error, CommError=CommError, UsageError=UsageError)
failures: list[Exception] = []
"""What the next calls of ``init`` raise."""


class Settings:
    def __init__(self, *, console: str) -> None:
        assert console in ("auto", "off", "redirect", "wrap")


class Image:
    def __init__(self, data_or_path: np.ndarray) -> None:
        assert data_or_path.dtype == np.uint8
        assert data_or_path.shape[2] == 3
        self.shape = list(data_or_path.shape)


class Video:
    def __init__(self, data_or_path: str, format: str) -> None:
        assert Path(data_or_path).suffix == f".{format}"
        self.path = data_or_path


class Html:
    def __init__(self, data: str, inject: bool) -> None:
        self.html, self.inject = data, inject


class Table:
    def __init__(self, columns: list[str], data: list[list[Any]]) -> None:
        assert all(len(row) == len(columns) for row in data)
        assert len(set(columns)) == len(columns)
        self.columns, self.data = columns, data


class Run:
    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        self.write("init", settings)

    def write(self, kind: str, value: Any) -> None:
        with open(self.folder / "log.jsonl", "a") as file:
            file.write(json.dumps([kind, value], default=lambda thing: vars(thing)) + "\n")

    def define_metric(self, name: str, step_metric: str | None = None, hidden: bool | None = None) -> None:
        self.write("define_metric", [name, step_metric])

    def log(self, data: dict[str, Any]) -> None:
        assert all(isinstance(value, (int, float, Html, Image, Table, Video)) for value in data.values())
        self.write("log", data)

    def finish(self) -> None:
        self.write("finish", None)


def init(
    *, entity: str | None, project: str, dir: str, id: str, name: str, config: dict[str, Any], resume: str,
    settings: Settings, mode: str | None = None,
) -> Run:  # fmt: skip
    """Begin or continue a run."""
    if failures and mode != "offline":
        raise failures.pop(0)
    assert Path(dir).is_dir()
    assert resume in ("allow", "never", "must", "auto")
    folder = Path(dir) / "wandb" / id
    folder.mkdir(parents=True, exist_ok=True)
    return Run(folder, {"entity": entity, "project": project, "name": name, "config": config, "mode": mode})
