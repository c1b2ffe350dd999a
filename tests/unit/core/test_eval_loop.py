"""Games are counted exactly and shared out evenly."""

from typing import Any, Dict, List, Mapping, Optional, Tuple

import pytest
import torch
from torch import Tensor

from dexhand.core.eval_loop import EvalLoop, Game, Summary
from dexhand.core.stop import StopRequest


class ScriptedEnv:
    """Environment i plays episodes of i + 1 steps, earns 1 a step and succeeds if i is even."""

    outcome_names = ("success:even", "failure:odd")
    device = torch.device("cpu")

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.seeds: List[Optional[int]] = []

    def reset(self, seed: Optional[int] = None) -> Tuple[Tensor, Dict[str, Any]]:
        """Begin."""
        self.seeds.append(seed)
        self.steps = torch.zeros(self.num_envs, dtype=torch.int64)
        return self.steps[:, None].float(), {}

    def step(self, actions: Tensor) -> Tuple[Tensor, Tensor, Tensor, Tensor, Dict[str, Tensor]]:
        """One step of all."""
        ids = torch.arange(self.num_envs)
        self.steps += 1
        done = self.steps == ids + 1
        self.steps[done] = 0
        outcome = torch.where(done, ids % 2, torch.full_like(ids, -1))
        never = torch.zeros(self.num_envs, dtype=torch.bool)
        return self.steps[:, None].float(), torch.ones(self.num_envs), done, never, {"outcome": outcome}


class StandingStill:
    """A policy."""

    def act(self, observations: Tensor) -> Tensor:
        """Zeros."""
        return torch.zeros(len(observations), 1)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing to load."""


def play(num_envs: int, games: int, stop_after: Optional[int] = None) -> List[Game]:
    """Play, asking to stop after some games if told."""
    stop, told = StopRequest(), []

    def on_game(game: Game) -> None:
        told.append(game)
        stop.requested = stop_after is not None and len(told) >= stop_after

    played = EvalLoop(ScriptedEnv(num_envs), StandingStill(), games=games, on_game=on_game).run(stop, seed=3)  # type: ignore[arg-type]
    assert told == played
    return played


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
    assert len(play(num_envs=1, games=100, stop_after=5)) == 5


def test_the_seed_reaches_the_environment() -> None:
    """So that a test can be repeated."""
    env = ScriptedEnv(1)
    EvalLoop(env, StandingStill(), games=1, on_game=lambda game: None).run(StopRequest(), seed=11)  # type: ignore[arg-type]
    assert env.seeds == [11]


def test_the_summary_is_what_one_computes_by_hand() -> None:
    """Returns 1 and 3: mean 2, standard deviation 1; one success in two."""
    games = [Game(1, 0, 1.0, 10, "success:even"), Game(2, 1, 3.0, 30, "timeout")]
    summary = Summary.of(games)
    assert summary.to_dict() == {
        "games": 2,
        "mean_return": 2.0,
        "std_return": 1.0,
        "mean_length": 20.0,
        "success_rate": 0.5,
        "outcomes": {"success:even": 1, "timeout": 1},
    }


def test_no_games_have_no_mean() -> None:
    """Rather than a zero that looks like a result."""
    assert Summary.of([]).mean_return is None
