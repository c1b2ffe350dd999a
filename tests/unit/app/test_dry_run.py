"""A dry run refuses what the run itself refuses."""

from pathlib import Path

import pytest
import torch

from dexhand.app.main import main


@pytest.fixture(autouse=True)
def _plain_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither GPU nor display; a file that is no MJCF, and one of no hand."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (tmp_path / "text.xml").write_text("no XML")
    (tmp_path / "empty.xml").write_text("<mujoco/>")


@pytest.mark.parametrize("dry", [["--dry-run"], []], ids=["dry", "real"])
@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("env.device=cuda:0", "torch finds 0 NVIDIA GPUs here"),
        ("task=Ant env.device=cuda:0", "torch finds 0 NVIDIA GPUs here"),
        ("env.viewer=true", "there is no display here"),
        ("env.handAsset=text.xml", "text.xml is not a usable MJCF"),
        ("env.handAsset=empty.xml", "empty.xml does not match env.hand=dexhand021_right"),
        ("env.handAsset=empty.xml sim.backend=mock", "empty.xml does not match env.hand=dexhand021_right"),
        ("task=gymnasium:Nope-v1", "Environment `Nope` doesn't exist"),
        ("task=gymnasium:CartPole-v1", "its actions are Discrete(2)"),
    ],
)
def test_what_this_machine_cannot_do(
    words: str, problem: str, dry: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """In the same line."""
    assert main([*words.split(), "numEnvs=1", *dry]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert problem in error


def test_code_of_ones_own_is_not_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor is what only it could tell checked."""
    (tmp_path / "mine.py").write_text("raise RuntimeError('imported')")
    assert main(["env.factory=mine.py:Env", "--dry-run"]) == 0
    assert main(["sim.backend=mine.py:Simulator", "--dry-run"]) == 0
