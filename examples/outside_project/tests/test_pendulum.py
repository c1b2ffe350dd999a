"""Environment and metric sink keep dexhand's contracts."""

import csv
from collections import defaultdict
from pathlib import Path

import pytest
import torch
from pendulum.csv_sink import CsvSink
from pendulum.env import PendulumEnv

from dexhand.checkpoints.store import CheckpointError, load_checkpoint
from dexhand.testing.metric_sink import MetricSinkConformance
from dexhand.testing.vec_env import VecEnvConformance


class TestPendulumEnv(VecEnvConformance):
    optional = ("state_dict", "load_state_dict", "render")

    def make_env(self, num_envs):
        return PendulumEnv(num_envs)


class TestCsvSink(MetricSinkConformance):
    def make_sink(self, folder):
        return CsvSink(folder / "metrics.csv")

    def recorded(self, sink, folder):
        series = defaultdict(list)
        with (folder / "metrics.csv").open(newline="") as file:
            for step, name, value in csv.reader(file):
                series[name].append((int(step), float(value)))
        return series


def test_a_damaged_checkpoint_is_refused(trained_checkpoint: Path, corrupt) -> None:
    """The plugin's fixtures: a real checkpoint of a tiny training, and ways to damage it."""
    assert load_checkpoint(trained_checkpoint)["epoch"] == 2
    corrupt.flip_bit(trained_checkpoint)
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(trained_checkpoint)


def test_standing_still_is_not_the_best_that_can_be_done(mock_env) -> None:
    """The plugin's environment, whose best possible return is known."""
    mock_env.reset(seed=0)
    rewards = mock_env.step(torch.zeros(8, 2))[1]
    assert float(rewards.max()) < 0.0 < mock_env.optimal_return()
