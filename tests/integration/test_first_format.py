"""Run folders and checkpoints that the first version wrote, before hands were data and terms declared in tasks."""

import shutil
from pathlib import Path

import torch
from commands import run

from dexhand.checkpoints.store import load_checkpoint

NAME = "BlindGrasping_train_20261121_162141"
WRITTEN = Path(__file__).parent / "first_format" / NAME


def test_a_run_of_the_first_version_is_continued_and_played(tmp_path: Path) -> None:
    """Its configuration composes, every key of its state is taken over, and its policy acts as before."""
    folder = tmp_path / "runs_all" / NAME
    shutil.copytree(WRITTEN, folder)
    before = load_checkpoint(folder / "nn" / "latest.pth")
    continued = run([f"resume={folder}", "maxIter=3"], tmp_path)
    assert continued.returncode == 0, continued.stderr
    assert "Episodes start over" not in continued.stdout
    after = load_checkpoint(folder / "nn" / "latest.pth")
    assert (before["epoch"], after["epoch"]) == (2, 3)
    steps = "dexhand", "env", "task", "steps"
    assert torch.equal(_at(after, *steps), _at(before, *steps) + 4)  # the same episodes, a rollout of 4 steps later
    played = run(["test=true", f"checkpoint={WRITTEN / 'nn' / 'latest.pth'}", "testGamesNum=1"], tmp_path)
    assert "1 episode:" in played.stdout, played.stderr


def _at(state: object, *keys: str) -> torch.Tensor:
    for key in keys:
        assert isinstance(state, dict)
        state = state[key]
    assert isinstance(state, torch.Tensor)
    return state
