"""The learner on fake data keeps the contract of ``Algorithm``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from dexhand.checkpoints.store import load_checkpoint, save_checkpoint
from dexhand.core.interfaces import Algorithm, Policy
from dexhand.hard_examples.reports import HardExampleReport
from dexhand.hard_examples.tracker import HardExampleTracker
from dexhand.mock.algorithm import LARGEST_GRAD_NORM, LEARNING_RATE, WARM_UP_STEPS, MockAlgorithm, learning_rate
from dexhand.mock.dataset import STATE_SIZE, MockDataset
from dexhand.mock.model import MockModelPolicy
from dexhand.mock_training.differences import differences
from dexhand.testing.algorithm import AlgorithmConformance
from dexhand.testing.policy import PolicyConformance


def algorithm(seed: int = 0, **more: Any) -> MockAlgorithm:
    """Small."""
    data = MockDataset(30, image_size=8, seed=seed)
    return MockAlgorithm(data, batch_size=4, seed=seed, tracker=HardExampleTracker(8), **more)


class TestLearnerContract(AlgorithmConformance):
    num_observations = STATE_SIZE
    iterations_to_learn = 150

    def make_algorithm(self, seed: int) -> Algorithm:
        return algorithm(seed)


class TestPolicyContract(PolicyConformance):
    num_observations = STATE_SIZE
    num_actions = 6

    def make_state(self, seed: int) -> dict[str, Any]:
        return algorithm(seed).state_dict()

    def make_policy(self, state: Mapping[str, Any]) -> Policy:
        return MockModelPolicy(state["model"], torch.device("cpu"))


def curve(learner: MockAlgorithm, steps: int) -> list[dict[str, float]]:
    """The metrics of some steps."""
    return [learner.iterate().metrics for _ in range(steps)]


def test_an_iteration_is_an_optimizer_step() -> None:
    """Counted in steps and samples; the return is minus the loss."""
    learner = algorithm()
    before = learner.policy().act(torch.ones(1, 26))
    first, second = learner.iterate(), learner.iterate()
    assert [first.iterations_done, second.iterations_done, learner.iterations_done] == [1, 2, 2]
    assert [first.frames_done, second.frames_done, learner.frames_done] == [4, 8, 8]
    assert first.mean_return == -first.metrics["losses/loss"]
    assert not torch.equal(learner.policy().act(torch.ones(1, 26)), before)


def test_the_same_seed_gives_the_same_bits() -> None:
    """And another seed does not."""
    assert curve(algorithm(1), 5) == curve(algorithm(1), 5) != curve(algorithm(2), 5)


def test_the_learning_rate_warms_up() -> None:
    """Step by step, as its formula says."""
    rates = [metrics["info/learning_rate"] for metrics in curve(algorithm(), WARM_UP_STEPS + 2)]
    assert rates == pytest.approx([learning_rate(step) for step in range(WARM_UP_STEPS + 2)])
    assert rates[0] == pytest.approx(LEARNING_RATE / WARM_UP_STEPS)
    assert rates[-1] == pytest.approx(LEARNING_RATE)


def test_gradients_are_clipped() -> None:
    """The first ones are larger than the limit."""
    metrics = algorithm().iterate().metrics
    assert metrics["info/grad_norm"] > LARGEST_GRAD_NORM
    assert metrics["info/clipped_grad_norm"] == pytest.approx(LARGEST_GRAD_NORM, rel=1e-5)


@pytest.mark.parametrize("steps_before", [0, 7])
def test_a_training_continues_bit_for_bit(steps_before: int, tmp_path: Path) -> None:
    """From a file, in a fresh learner; curves and final states are equal."""
    steady, resumed = algorithm(), algorithm()
    curve(steady, steps_before)
    save_checkpoint(tmp_path / "a.pth", steady.state_dict())
    resumed.load_state_dict(load_checkpoint(tmp_path / "a.pth"))
    assert curve(resumed, 8) == curve(steady, 8)
    assert list(differences(steady.state_dict(), resumed.state_dict())) == []


def test_weights_alone_begin_a_fresh_training() -> None:
    """Everything else is as at the beginning."""
    trained, fresh = algorithm(), algorithm()
    curve(trained, 5)
    fresh.load_weights(trained.state_dict())
    assert fresh.iterations_done == 0
    assert list(differences(trained.state_dict()["model"], fresh.state_dict()["model"])) == []


@pytest.mark.parametrize("name", ["model", "optimizer", "schedule", "random", "position", "epoch", "mock_training"])
def test_an_incomplete_state_is_refused(name: str) -> None:
    """Naming what is missing; nothing has changed."""
    learner = algorithm()
    state = algorithm().state_dict()
    before = learner.iterate().metrics
    del state[name]
    with pytest.raises(ValueError, match=f"no '{name}'"):
        learner.load_state_dict(state)
    assert learner.iterations_done == 1
    assert before["info/param_norm"] != learner.iterate().metrics["info/param_norm"]


def test_a_state_of_another_training_is_refused() -> None:
    """Another seed, an optimizer that knows other arrays."""
    state = algorithm(seed=3).state_dict()
    with pytest.raises(ValueError, match="seed=0, but the training had 3"):
        algorithm().load_state_dict(state)
    learner = algorithm()
    learner.iterate()
    state = learner.state_dict()
    state["optimizer"]["state"].popitem()
    with pytest.raises(ValueError, match="the optimizer knows 3 arrays; the model has 4"):
        algorithm().load_state_dict(state)


def test_hard_examples_are_reported_at_their_interval_and_at_the_end() -> None:
    """After steps 4, 8 and 9 of ten, counted from 0; what was reported is not reported again."""
    reports: list[HardExampleReport] = []
    learner = algorithm(report_interval=4, on_report=reports.append)
    metrics = curve(learner, 10)
    assert [step for step, values in enumerate(metrics) if "hard_examples/threshold" in values] == [4, 8]
    learner.close()
    learner.close()
    assert [(report.step, report.interval_samples) for report in reports] == [(4, 20), (8, 16), (9, 4)]
    assert reports[-1].entries[0].details["lang_action"] == MockDataset(30).prompt(int(reports[-1].entries[0].key))


def test_tracking_can_be_left_out() -> None:
    """Nothing is reported, and the curves are the same."""
    learner = MockAlgorithm(MockDataset(30, image_size=8), batch_size=4, report_interval=1)
    metrics = curve(learner, 3)
    assert [values["losses/loss"] for values in metrics] == [values["losses/loss"] for values in curve(algorithm(), 3)]
    assert not any(name.startswith("hard_examples") for values in metrics for name in values)
    assert learner.state_dict()["hard_examples"] == []
    learner.close()


@pytest.mark.parametrize("settings", [{"batch_size": 0}, {"report_interval": 0}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, int]) -> None:
    """Naming which."""
    with pytest.raises(ValueError, match=f"{next(iter(settings))}=0"):
        MockAlgorithm(MockDataset(30, image_size=8), **settings)
