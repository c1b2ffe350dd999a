"""Errors that reach the entry point."""

import errno
import os
from pathlib import Path

import pytest

from dexhand.app import main as program
from dexhand.hands.spec import HandError
from dexhand.workspace.checkpoint_names import CheckpointSource


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.EIO, os.strerror(errno.EIO)), "error: reading or writing a file: Input/output error"),
        (OSError(errno.EIO, os.strerror(errno.EIO), "a/config.yaml"), "error: a/config.yaml: Input/output error"),
        (HandError("a/spec.yaml cannot be read"), "error: a/spec.yaml cannot be read"),
    ],
)
def test_what_the_file_system_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, line: str
) -> None:
    """With the file, where the system names it."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(program, "run", fail)
    assert program.main(["sim.backend=mock"]) == 2
    assert capsys.readouterr().err == f"{line}\n"


def test_a_checkpoint_that_cannot_be_looked_for_is_not_played_with_other_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An error of the file system is raised; it does not mean that the checkpoint has no configuration."""

    def fail(self: CheckpointSource) -> list[Path]:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(tmp_path))

    (tmp_path / "a.pth").touch()
    monkeypatch.setattr(CheckpointSource, "checkpoints", fail)
    with pytest.raises(OSError, match="Stale file handle"):
        program.Workspaces().behind(str(tmp_path / "a.pth"), "runs")
