"""Games are counted exactly and shared out evenly."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dexhand.checkpoints.reload import LoadedPolicy
from dexhand.core.episodes import Episode
from dexhand.core.eval_loop import EvalLoop
from dexhand.core.play_control import PlayControl
from dexhand.core.stop import StopRequest
from dexhand.mock.clock import FakeClock


class ScriptedEnv:
    """Environment i plays episodes of i + 1 steps, earns 1 a step and succeeds if i is even."""

    outcome_names = ("success:even", "failure:odd")
    device = torch.device("cpu")

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.seeds: list[int | None] = []
        self.actions: list[Tensor] = []

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Begin."""
        self.seeds.append(seed)
        self.steps = torch.zeros(self.num_envs, dtype=torch.int64)
        return self.steps[:, None].float(), {}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Tensor]]:
        """One step of all."""
        self.actions.append(actions)
        ids = torch.arange(self.num_envs)
        self.steps += 1
        done = self.steps == ids + 1
        self.steps[done] = 0
        outcome = torch.where(done, ids % 2, torch.full_like(ids, -1))
        never = torch.zeros(self.num_envs, dtype=torch.bool)
        return self.steps[:, None].float(), torch.ones(self.num_envs), done, never, {"outcome": outcome}


class Constant:
    """A policy that always does the same."""

    def __init__(self, action: float) -> None:
        self.action = action

    def act(self, observations: Tensor) -> Tensor:
        """One number for each environment."""
        return torch.full((len(observations), 1), self.action)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing to load."""


def loaded(iteration: int) -> LoadedPolicy:
    """A policy that acts with its iteration."""
    return LoadedPolicy(Constant(iteration), Path(f"checkpoint_{iteration}.pth"), iteration, age=0.0, load_seconds=0.0)


class Told:
    """An ``EvalListener`` that remembers, and asks to stop after some games or steps if told."""

    def __init__(self, stop_after_games: float = math.inf, stop_after_frames: float = math.inf) -> None:
        self.stop = StopRequest()
        self.games: list[Episode] = []
        self.reloads: list[LoadedPolicy] = []
        self.frames: list[int] = []
        self._limits = stop_after_games, stop_after_frames

    def on_step(self, frames_done: int) -> None:
        """Count."""
        self.frames.append(frames_done)
        self.stop.requested |= frames_done >= self._limits[1]

    def on_episode(self, episode: Episode) -> None:
        """Count."""
        self.games.append(episode)
        self.stop.requested |= len(self.games) >= self._limits[0]

    def on_reload(self, loaded: LoadedPolicy) -> None:
        """Remember."""
        self.reloads.append(loaded)


def play(num_envs: int, games: int, told: Told | None = None) -> list[Episode]:
    """Play one policy."""
    told = told or Told()
    EvalLoop(ScriptedEnv(num_envs), loaded(1), episodes=games, listeners=[told]).run(told.stop, seed=3)  # type: ignore[arg-type]
    return told.games


@pytest.mark.parametrize(("num_envs", "games"), [(3, 7), (4, 4), (4, 2), (1, 3), (2, 5)])
def test_exactly_the_games_asked_for_are_played(num_envs: int, games: int) -> None:
    """Whether they divide evenly or not, numbered from 1."""
    assert [game.number for game in play(num_envs, games)] == list(range(1, games + 1))


def test_short_episodes_are_not_favoured() -> None:
    """Environment 0 finishes a game in every step and still plays only its share."""
    shares = [game.env_id for game in play(num_envs=3, games=7)]
    assert [shares.count(env_id) for env_id in range(3)] == [3, 2, 2]


def test_each_game_tells_its_return_length_and_end() -> None:
    """Environment 1 plays two steps and fails."""
    game = next(game for game in play(num_envs=2, games=4) if game.env_id == 1)
    assert (game.episode_return, game.length, game.outcome) == (2.0, 2, "failure:odd")


def test_a_stop_request_ends_play_with_what_is_finished() -> None:
    """The games so far are returned."""
    assert len(play(1, games=100, told=Told(stop_after_games=5))) == 5


def test_no_number_of_games_plays_until_stopped() -> None:
    """0 games is a test without end; every finished game is counted, whoever plays it."""
    games = play(3, games=0, told=Told(stop_after_frames=36))
    assert [sum(game.env_id == env_id for game in games) for env_id in range(3)] == [12, 6, 4]


def test_the_seed_reaches_the_environment() -> None:
    """So that a test can be repeated."""
    env, told = ScriptedEnv(1), Told()
    EvalLoop(env, loaded(1), episodes=1, listeners=[told]).run(told.stop, seed=11)  # type: ignore[arg-type]
    assert env.seeds == [11]


class TestNewerPolicies:
    """Environments 0, 1, 2 play episodes of 1, 2, 3 steps; policy 7 takes over before the fourth step."""

    @pytest.fixture
    def env(self) -> ScriptedEnv:
        return ScriptedEnv(3)

    @pytest.fixture
    def told(self, env: ScriptedEnv) -> Told:
        """What was told of six steps."""
        answers = iter([None, None, None, loaded(7)])
        told = Told(stop_after_frames=18)
        loop = EvalLoop(env, loaded(1), episodes=0, listeners=[told], newer_policy=lambda: next(answers, None))  # type: ignore[arg-type]
        loop.run(told.stop)
        return told

    def test_it_acts_from_the_next_step_on(self, env: ScriptedEnv, told: Told) -> None:
        """Three steps of the old one, then the new one."""
        assert [actions.tolist() for actions in env.actions] == [[[1.0]] * 3] * 3 + [[[7.0]] * 3] * 3
        assert [reload.iteration for reload in told.reloads] == [7]

    def test_no_step_is_lost_repeated_or_reset(self, env: ScriptedEnv, told: Told) -> None:
        """The environments were reset once, at the beginning, and stepped six times."""
        assert told.frames == [3, 6, 9, 12, 15, 18]
        assert len(env.seeds) == 1
        assert all(game.length == game.env_id + 1 for game in told.games)

    def test_a_game_counts_for_the_policy_it_finishes_under(self, told: Told) -> None:
        """Environment 1 was in the middle of its second game; environments 0 and 2 had just finished theirs."""
        by_env = {env_id: [game for game in told.games if game.env_id == env_id] for env_id in range(3)}
        assert [game.iteration for game in by_env[0]] == [1, 1, 1, 7, 7, 7]
        assert [game.iteration for game in by_env[1]] == [1, 7, 7]
        assert [game.iteration for game in by_env[2]] == [1, 7]

    def test_a_game_that_saw_both_is_mixed(self, told: Told) -> None:
        """That one game of environment 1 and no other."""
        assert [(game.env_id, game.number) for game in told.games if game.mixed] == [(1, 7)]


def control_of(told: Told) -> PlayControl:
    """As fast as it goes."""
    return PlayControl(told.stop, 0.02, FakeClock())


def test_a_restart_begins_new_episodes_and_those_under_way_do_not_count() -> None:
    """The environments are reset with the watcher's seed; games, returns and lengths are exact all the same."""
    told, env = Told(stop_after_games=5), ScriptedEnv(2)
    control = control_of(told)

    class RestartsInStepFour(Told):
        def on_step(self, frames_done: int) -> None:
            if frames_done == 6:  # environment 1 is in the middle of its episode of two steps
                control.restart(seed=9)

    EvalLoop(env, loaded(1), episodes=0, listeners=[told, RestartsInStepFour()], control=control).run(told.stop, seed=3)  # type: ignore[arg-type]
    assert env.seeds == [3, 9]
    assert {(game.env_id, game.length, game.episode_return) for game in told.games} == {(0, 1, 1.0), (1, 2, 2.0)}


def test_every_listener_is_told_everything() -> None:
    """A view beside the report changes nothing for it."""
    told, other = Told(stop_after_games=3), Told()
    EvalLoop(ScriptedEnv(2), loaded(1), episodes=0, listeners=[told, other]).run(told.stop)  # type: ignore[arg-type]
    assert (told.games, told.frames) == (other.games, other.frames)
    assert told.games
