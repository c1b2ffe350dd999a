"""Hands other than the right one, from the command line."""

import shutil
import subprocess
from pathlib import Path

import pytest
from commands import SMALL, run

from dexhand.checkpoints.store import load_checkpoint, save_checkpoint

HAND = Path(__file__).parents[1] / "hands" / "four_finger"


def train(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return run([*SMALL, "maxIter=2", "numEnvs=2", f"env.hand={HAND}", *arguments], folder)


@pytest.mark.parametrize("backend", ["mock", "mujoco"])
@pytest.mark.parametrize("task", ["BaseTask", "BlindGrasping", "BoxGrasping"])
def test_a_hand_of_ones_own_is_trained(tmp_path: Path, task: str, backend: str) -> None:
    """Four fingers and 16 joints with names of their own, on every task."""
    done = train(tmp_path, f"task={task}", f"sim.backend={backend}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "latest_train" / "nn" / "latest.pth").is_file()


def test_a_policy_plays_with_the_hand_it_was_trained_with(tmp_path: Path) -> None:
    """Without naming it, if it is in the working folder; another hand is refused in one line."""
    shutil.copytree(HAND, tmp_path / "four_finger")
    own = ["env.hand=four_finger", "task=BaseTask", "task.episodeLength=10", "sim.backend=mock"]
    assert train(tmp_path, *own).returncode == 0
    play = ["test=true", "checkpoint=latest", "testGamesNum=1", "numEnvs=1", "sim.backend=mock"]
    assert run(play, tmp_path).returncode == 0
    refused = run([*play, "env.hand=dexhand021_left"], tmp_path)
    assert refused.returncode != 0
    assert "was trained with env.hand=four_finger" in refused.stderr


def test_an_mjcf_of_another_hand_is_refused(tmp_path: Path) -> None:
    """In one line that names what it lacks."""
    done = train(tmp_path, f"env.handAsset={HAND / 'hand.xml'}", "env.hand=dexhand021_right", "task=BaseTask")
    assert done.returncode != 0
    assert "lacks joints ARRx, ARRy" in done.stderr
    assert "lacks bodies r_f_link1_4" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_policy_that_names_no_hand_is_the_right_hands(tmp_path: Path) -> None:
    """Runs had only that one before hands could be chosen."""
    small = [*SMALL, "maxIter=1", "numEnvs=2", "task=BaseTask", "sim.backend=mock"]
    assert run(small, tmp_path).returncode == 0
    checkpoint = tmp_path / "runs" / "latest_train" / "nn" / "latest.pth"
    state = load_checkpoint(checkpoint)
    del state["train_loop"]["contract"]["env.hand"]
    save_checkpoint(checkpoint, state)
    goes_on = [*small, f"checkpoint={checkpoint}", "maxIter=2"]
    refused = run([*goes_on, "env.hand=dexhand021_left"], tmp_path)
    assert "was trained with env.hand=dexhand021_right" in refused.stderr
    assert run(goes_on, tmp_path).returncode == 0
