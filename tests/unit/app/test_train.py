"""What a training says at its end."""

from pathlib import Path

import pytest
from composed import composed

from dexhand.app.main import main
from dexhand.app.train import _advice


@pytest.mark.parametrize(
    ("cause", "words", "changes"),
    [
        ("losses/actor", "smaller learning rate", ["train.ppo.learning_rate=3e-05"]),
        ("model.a2c_network.mu.weight", "smaller learning rate", ["train.ppo.learning_rate=3e-05"]),
        ("losses/critic", "smaller rewards", ["train.ppo.reward_scale=0.1"]),
        ("model.value_mean_std.running_mean", "smaller rewards", ["train.ppo.reward_scale=0.1"]),
        ("model.running_mean_std.running_var", "observations", []),
        ("rewards/total", "Correct the environment", []),
        ("an observation", "Correct the environment", []),
    ],
)
def test_the_advice_fits_what_was_not_finite_first(cause: str, words: str, changes: list[str]) -> None:
    """With the keys to change, a tenth of what they were."""
    advice, found = _advice(f"{cause} is not finite", composed("train.ppo.learning_rate=3e-4"))
    assert words in advice
    assert found == changes


def test_the_keys_of_another_learner_are_not_known() -> None:
    """So none is named."""
    assert _advice("losses/actor is not finite", composed("train.algorithm=mock"))[1] == []


def test_it_ends_with_what_to_expect_and_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As far as the task knows."""
    small = [
        "sim.backend=mock",
        "numEnvs=2",
        "maxIter=1",
        "train.ppo.horizon_length=4",
        f"train.runsDir={tmp_path}/runs",
    ]
    assert main(["task=BlindGrasping", *small]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith("Play it: ")
    assert lines[-1].startswith("What to expect: no success is normal")
    assert main(["task=BaseTask", *small]) == 0
    assert "What to expect" not in capsys.readouterr().out
