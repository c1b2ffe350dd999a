"""From a command line to an exit code, in this process."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

from dexhand.app import main as app
from dexhand.config.errors import ConfigError
from dexhand.hands.spec import HandError
from dexhand.workspace.checkpoint_names import CheckpointSource


def test_an_error_of_several_lines_is_printed_as_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As libraries raise them."""

    def parse(argv: Sequence[str], saved: Any) -> NoReturn:
        raise ConfigError("hand.xml: Schema violation\nElement 'x',\n\n line 3\n")

    monkeypatch.setattr(app, "parse", parse)
    assert app.main([]) == 2
    assert capsys.readouterr().err == "error: hand.xml: Schema violation; Element 'x',; line 3\n"


def test_an_error_sends_no_control_characters_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """What a file or the command line holds is shown with escapes."""
    assert app.main(["task=a\x1b[31m\u202eb"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.rstrip("\n").isprintable()


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            OSError(errno.EIO, os.strerror(errno.EIO)),
            "error: reading or writing a file, or /dev/shm: Input/output error",
        ),
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

    monkeypatch.setattr(app, "run", fail)
    assert app.main(["sim.backend=mock"]) == 2
    assert capsys.readouterr().err == f"{line}\n"


def test_a_test_of_some_episodes_does_not_wait_for_a_run_that_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a checkpoint, it would wait forever."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs_all" / "BaseTask_train_20260101_000000" / "nn").mkdir(parents=True)
    words = ["sim.backend=mock", "test=true", "testGamesNum=2", "env.viewer=false"]
    assert app.main([*words, "checkpoint=BaseTask_train_20260101_000000"]) == 2
    assert "no training is running there. testGamesNum=0 waits for one" in capsys.readouterr().err
    assert app.main([*words, "checkpoint=runs_all"]) == 2
    assert capsys.readouterr().err.endswith(f"there is no checkpoint in {tmp_path / 'runs_all'}\n")


def test_a_checkpoint_that_cannot_be_looked_for_is_not_played_with_other_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An error of the file system is raised; it does not mean that the checkpoint has no configuration."""

    def fail(self: CheckpointSource) -> list[Path]:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(tmp_path))

    (tmp_path / "a.pth").touch()
    monkeypatch.setattr(CheckpointSource, "checkpoints", fail)
    with pytest.raises(OSError, match="Stale file handle"):
        app.Workspaces().behind(str(tmp_path / "a.pth"), "runs")
