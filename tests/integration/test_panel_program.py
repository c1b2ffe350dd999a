"""``python -m dexhand.checkpoint_panel``, the panel as a program of its own."""

import contextlib
import io
from pathlib import Path

import pytest
from commands import Running, beside

from dexhand import checkpoint_panel
from dexhand.view.checkpoint_page import CheckpointPage


def test_the_program_prints_its_address_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    """Also before the first checkpoint."""
    (tmp_path / "runs_all" / "Reach_train_20260101_000000").mkdir(parents=True)
    out = io.StringIO()

    def interrupt(program: Running) -> None:
        program.wait_for(r"^Checkpoints of .*Reach_train_20260101_000000/nn: http://127\.0\.0\.1:\d+/ ")
        program.signal()

    with contextlib.redirect_stdout(out), beside(interrupt, out):
        assert checkpoint_panel.main(["--experiment=Reach", f"--runs-dir={tmp_path / 'runs'}"]) == 0


def test_a_page_that_is_killed_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line."""
    (tmp_path / "runs_all" / "Reach_train_20260101_000000").mkdir(parents=True)
    monkeypatch.setattr(CheckpointPage, "is_open", False)
    assert checkpoint_panel.main(["--experiment=Reach", f"--runs-dir={tmp_path / 'runs'}"]) == 1
    assert capsys.readouterr().err == "error: the process of the page has ended\n"


def test_an_experiment_that_does_not_exist_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which names the option and what there is."""
    with pytest.raises(SystemExit) as end:
        checkpoint_panel.main(["--experiment=Nobody", f"--runs-dir={tmp_path / 'runs'}"])
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: --experiment='Nobody': no file, folder or run has this name")
