"""The worst episodes of a training."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from scripted_env import ScriptedEnv
from torch import Tensor

from dexhand.core.interfaces import Iteration, RenderingUnavailable
from dexhand.hand_env.pose_pictures import PosePictures
from dexhand.hard_examples.episode_recorder import EpisodeRecorder
from dexhand.hard_examples.reports import HardExampleReport
from dexhand.hard_examples.worst_episodes import WorstEpisodeSettings, WorstEpisodesTracker

OUTCOMES = [[-1, 1, 0], [0, 1, 0], [-1, 1, 0], [1, 1, 0]] * 3
"""Rollouts of two steps: environment 0 ends in each second step, the others in every one."""


class ScriptedLearner:
    """Plays two steps an iteration; a sample's loss is minus the number of its environment."""

    def __init__(self, env: EpisodeRecorder) -> None:
        self.env = env
        self.iterations_done = 0
        self.closed = 0
        env.reset()

    @property
    def frames_done(self) -> int:
        """Six an iteration."""
        return 6 * self.iterations_done

    @property
    def sample_losses(self) -> Tensor:
        """The same in every rollout."""
        return -torch.arange(3.0).expand(2, -1)

    def iterate(self) -> Iteration:
        """Two steps."""
        for _ in range(2):
            self.env.step(torch.zeros(3, 1))
        self.iterations_done += 1
        return Iteration(self.iterations_done, self.frames_done, None)

    def state_dict(self) -> dict[str, Any]:
        """All there is."""
        return {"env": self.env.state_dict(), "done": self.iterations_done}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue."""
        self.env.load_state_dict(state["env"])
        self.iterations_done = state["done"]

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """There are none."""

    def policy(self) -> Any:
        """There is none."""

    def close(self) -> None:
        """Counts."""
        self.closed += 1


class Reports(list[HardExampleReport]):
    def hard_examples(self, report: HardExampleReport) -> None:
        """Keep it."""
        self.append(report)


class Pencil:
    """A ``Simulator`` that draws where its joint is, and counts."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        self.drawn: list[float] = []
        self.closed = False

    def reset(self, mask: Tensor, dof_pos: Tensor, object_pose: Tensor) -> None:
        """Take the pose."""
        assert mask.tolist() == [True]
        assert object_pose.shape == (1, 1, 7)
        self.joint = float(dof_pos)

    def render(self, env_id: int, camera: str = "default", width: int = 640, height: int = 480) -> np.ndarray:
        """The joint's position as a colour."""
        self.drawn.append(self.joint)
        return np.full((height, width, 3), int(self.joint), np.uint8)

    def close(self) -> None:
        """Say so."""
        self.closed = True


def training(reports: Reports, *, keep: int = 2, interval: int = 2, forget: bool = False, make: Any = None) -> Any:
    """Hard episodes of a scripted learner; ``make`` makes the simulator that draws."""
    env = ScriptedEnv(OUTCOMES)
    recorder = EpisodeRecorder(env, env.final_pose)
    pictures = None if make is None else PosePictures(make, width=4, height=2)
    settings = WorstEpisodeSettings(keep, interval, forget)
    return WorstEpisodesTracker(ScriptedLearner(recorder), recorder, settings, [reports], pictures)


def iterate(algorithm: WorstEpisodesTracker, times: int) -> None:
    """Several iterations."""
    for _ in range(times):
        algorithm.iterate()


def test_the_worst_of_each_ranking_are_kept() -> None:
    """By return: environment 0's two episodes, 1 and 2 + 3 in all. By loss: the same, whose samples cost 0 each."""
    reports = Reports()
    iterate(training(reports), 2)
    by_return, by_loss = reports
    assert (by_return.ranking, by_loss.ranking) == ("return", "sample_loss")
    assert [(entry.key, entry.loss) for entry in by_return.entries] == [("1-0-1", -1.0), ("2-0-1", -5.0)]
    assert [(entry.key, entry.loss) for entry in by_loss.entries] == [("1-0-1", 0.0), ("2-0-1", 0.0)]
    assert by_return.interval_samples == by_loss.interval_samples == 10


def test_an_entry_says_what_happened() -> None:
    """When, where, how long, how it ended, what was rewarded."""
    reports = Reports()
    iterate(training(reports), 2)
    assert reports[0].entries[1].step == 12
    assert reports[0].entries[1].details == {
        "iteration": 2,
        "env": 0,
        "outcome": "timeout",
        "length": 2,
        "return": 5.0,
        "sample_loss": 0.0,
        "rewards/time": 5.0,
        "rewards/place": 0.0,
    }


def test_reports_come_at_their_interval_and_at_the_end() -> None:
    """At the frames of iterations 2, 4 and 5, once for each ranking; closing again adds nothing."""
    reports = Reports()
    algorithm = training(reports)
    iterate(algorithm, 5)
    algorithm.close()
    algorithm.close()
    assert [report.step for report in reports] == [12, 12, 24, 24, 30, 30]


@pytest.mark.parametrize(("forget", "expected"), [(False, ["1-0-1", "2-0-1"]), (True, ["3-0-1", "4-0-1"])])
def test_the_worst_of_all_or_since_the_last_report(forget: bool, expected: list[str]) -> None:
    """Returns grow with time here, so that of all episodes the first stay the worst."""
    reports = Reports()
    iterate(training(reports, forget=forget), 4)
    assert [entry.key for entry in reports[2].entries] == expected


def test_a_picture_shows_the_last_step_and_is_drawn_once() -> None:
    """When a report is due, only of what it shows; the simulator is freed at the end."""
    reports, pencil = Reports(), Pencil()
    algorithm = training(reports, make=lambda: pencil)
    iterate(algorithm, 1)
    assert pencil.drawn == []
    iterate(algorithm, 3)
    assert pencil.drawn == [1.0, 3.0]
    for report in reports:
        assert [int(entry.image[0, 0, 0]) for entry in report.entries if entry.image is not None] == [1, 3]
    algorithm.close()
    assert pencil.closed


def test_where_nothing_can_draw_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """The reports come without pictures."""

    def make() -> Pencil:
        raise RenderingUnavailable("no OpenGL")

    reports = Reports()
    with caplog.at_level(logging.WARNING):
        iterate(training(reports, make=make), 4)
    assert [record.getMessage() for record in caplog.records] == ["Hard examples have no pictures: no OpenGL"]
    assert all(entry.image is None for report in reports for entry in report.entries)


def test_a_training_that_goes_on_tells_the_same() -> None:
    """Reports, poses and counts, as if it had never stopped."""
    whole, halves = Reports(), Reports()
    iterate(training(whole, make=Pencil), 4)
    first = training(halves, make=Pencil)
    iterate(first, 3)
    second = training(halves, make=Pencil)
    second.load_state_dict(first.state_dict())
    iterate(second, 1)
    assert [report.to_json() for report in halves] == [report.to_json() for report in whole]


def test_poses_saved_by_an_earlier_version_are_kept() -> None:
    """It wrote them one by one."""
    first, second = training(Reports(), make=Pencil), training(Reports(), make=Pencil)
    iterate(first, 3)
    state = first.state_dict()
    poses = {key: dict(pose) for key, pose in first._poses.items()}
    assert poses
    state["hard_episodes"] = {**state["hard_episodes"], "poses": poses}
    second.load_state_dict(state)
    assert repr(second.state_dict()) == repr(first.state_dict())


def test_a_training_without_them_can_be_continued() -> None:
    """What is kept begins then, with episodes that are seen from their beginning."""
    env = ScriptedEnv(OUTCOMES)
    env.play(1)
    reports = Reports()
    algorithm = training(reports, keep=9, interval=1)
    algorithm.load_state_dict({"env": env.state_dict(), "done": 1})
    algorithm.iterate()
    assert [entry.key for entry in reports[0].entries] == ["2-1-1", "2-2-1"]
