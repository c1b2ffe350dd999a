"""A training and a play of it, as two processes."""

from pathlib import Path

from commands import SMALL, Forked

from dexhand.app.train_play import main
from dexhand.core.program import run_program

WORDS = [*SMALL, "sim.backend=mock", "task=BaseTask", "task.episodeLength=10", "experiment=mine"]


def start(folder: Path, *words: str) -> Forked:
    """Start ``scripts/train_play.py`` with these words."""
    return Forked([], folder, lambda: run_program(lambda: main([*WORDS, *words])))


def test_play_begins_before_the_training_and_follows_it(tmp_path: Path) -> None:
    """It waits for the run, plays its first checkpoint, then newer ones; both end in good order."""
    player = start(tmp_path, "mode=play", "checkpoint_reload_interval=0.1", "replayDuration=0")
    player.wait_for("Waiting for a run named mine: .* hold no runs")
    trainer = start(tmp_path, "mode=train", "checkpoint_save_freq=2", "maxIter=100000")
    name = trainer.wait_for("^Training will save to: runs/mine_train_").rpartition("/")[-1]
    player.wait_for(f"^Playing .*{name}/nn/latest.pth, iteration")
    player.wait_for(f"^Reloaded .*{name}/nn/latest.pth: iteration")
    for process in (player, trainer):
        process.signal()
        ended = process.end()
        assert ended.returncode == 0
    assert f"Play it: dexhand train-play sim.backend=mock mode=play experiment={name}\n" in ended.stdout
    assert f"Resume it: dexhand train-play resume={name}\n" in ended.stdout
    assert (tmp_path / "runs" / name / "nn" / "checkpoint_2.pth").is_file()
    assert (tmp_path / "runs" / "latest_test" / "results.json").is_file()
