"""Episodes are told of as they were, whatever rollouts they were spread over."""

import pytest
import torch
from composed import composed
from hypothesis import given
from hypothesis import strategies as st
from scripted_env import ScriptedEnv, rows_of

from dexhand.app.build import build_env
from dexhand.core.interfaces import VecEnv
from dexhand.hard_examples.episode_recorder import EpisodeRecorder, FinishedEpisodes
from dexhand.mock.env import MockEnv
from dexhand.testing.vec_env import VecEnvConformance

OUTCOMES = [[-1, -1], [0, -1], [-1, 1], [-1, -1], [1, 1]]


class TestKeepsTheContract(VecEnvConformance):
    num_envs = 2
    max_steps = 8

    def make_env(self, num_envs: int) -> VecEnv:
        """BaseTask with short episodes on the mock."""
        return EpisodeRecorder(build_env(composed("sim.backend=mock", f"numEnvs={num_envs}", "task.episodeLength=6")))


class TestKeepsTheContractWithACritic(VecEnvConformance):
    num_envs = 2

    def make_env(self, num_envs: int) -> VecEnv:
        """Critic observations pass through."""
        return EpisodeRecorder(MockEnv(num_envs, critic=True))


def recorder(outcomes: list[list[int]]) -> EpisodeRecorder:
    """A recorder with poses, after its reset."""
    env = ScriptedEnv(outcomes)
    recorded = EpisodeRecorder(env, env.final_pose)
    recorded.reset()
    return recorded


def rollout(recorded: EpisodeRecorder, steps: int) -> FinishedEpisodes:
    """What ended in the next steps; each sample's loss is its step."""
    first = recorded.env.state_dict()["time"]
    for _ in range(steps):
        recorded.step(torch.zeros(recorded.num_envs, 1))
    return recorded.take(torch.arange(first, first + steps)[:, None].expand(-1, recorded.num_envs).float())


def rows(episodes: FinishedEpisodes, first: int = 0) -> list[tuple[int, int, int, int, float, float]]:
    """As ``rows_of``."""
    columns = (episodes.step + first, episodes.env, episodes.outcome, episodes.length, *episodes.reward_terms.t())
    return list(zip(*(column.tolist() for column in columns)))


def test_episodes_by_hand() -> None:
    """Environment 0 ends after steps 0-1 and 2-4, environment 1 after 0-2 and 3-4; two rollouts of 2 and 3 steps."""
    recorded = recorder(OUTCOMES)
    first, second = rollout(recorded, 2), rollout(recorded, 3)
    assert rows(first) == [(1, 0, 0, 2, 1.0, 0.0)]
    assert rows(second) == [(0, 1, 1, 3, 3.0, 300.0), (2, 0, 1, 3, 9.0, 0.0), (2, 1, 1, 2, 7.0, 200.0)]
    # the mean of the losses, which are the numbers of the steps
    assert first.sample_loss.tolist() == [0.5]
    assert second.sample_loss.tolist() == [1.0, 3.0, 3.5]


def test_the_pose_is_that_of_the_last_step() -> None:
    """Before the environment began anew."""
    episodes = rollout(recorder(OUTCOMES), 5)
    assert episodes.final_pose["dof_pos"].flatten().tolist() == [1.0, 2.0, 4.0, 4.0]
    assert episodes.final_pose["object_pose"][:, 0, 0].tolist() == [0.0, 1.0, 0.0, 1.0]


@given(
    outcomes=st.lists(st.lists(st.sampled_from([-1, 0, 1]), min_size=3, max_size=3), min_size=2, max_size=12),
    cut=st.integers(1, 11),
)
def test_every_episode_is_told_of_once(outcomes: list[list[int]], cut: int) -> None:
    """Cut into two rollouts anywhere, through a checkpoint between them."""
    cut = min(cut, len(outcomes) - 1)
    first = recorder(outcomes)
    told = rows(rollout(first, cut))
    second = EpisodeRecorder(ScriptedEnv(outcomes))
    second.load_state_dict(first.state_dict())
    told += rows(rollout(second, len(outcomes) - cut), first=cut)
    assert told == rows_of(outcomes)


def test_an_episode_whose_beginning_was_not_seen_is_not_told_of() -> None:
    """A checkpoint of the environment alone says nothing of what came before."""
    env = ScriptedEnv(OUTCOMES)
    env.play(1)
    recorded = EpisodeRecorder(ScriptedEnv(OUTCOMES))
    recorded.load_state_dict(env.state_dict())
    assert rows(rollout(recorded, 4), first=1) == [row for row in rows_of(OUTCOMES) if row[0] == 4]


def test_a_loss_that_is_not_a_number_stays_in_its_episode() -> None:
    """The next one of the same environment is clean."""
    recorded = recorder(OUTCOMES)
    for _ in range(5):
        recorded.step(torch.zeros(2, 1))
    losses = torch.ones(5, 2)
    losses[0, 0] = float("nan")
    assert recorded.take(losses).sample_loss.isnan().tolist() == [True, False, False, False]


def test_losses_of_other_steps_are_refused() -> None:
    """One for each step of each environment."""
    recorded = recorder(OUTCOMES)
    recorded.step(torch.zeros(2, 1))
    with pytest.raises(ValueError, match=r"shape \(2, 2\); there were 1 steps of 2 environments"):
        recorded.take(torch.zeros(2, 2))
