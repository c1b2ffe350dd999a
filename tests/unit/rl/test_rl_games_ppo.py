"""rl_games's PPO behind our contracts."""

from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from torch import Tensor

from dexhand.config.schema import NetworkConfig, PpoConfig
from dexhand.core.checkpoints import load_checkpoint, save_checkpoint
from dexhand.core.interfaces import StepInfo
from dexhand.rl.policy import RlGamesPolicy
from dexhand.rl.rl_games import RlGamesPpo


class PointEnv:
    """Reward 1 - |action - 0.5|^2, observations are noise; episodes of 5 steps, environment 0 fails after 3."""

    device = torch.device("cpu")
    reward_names = ("base", "cost")
    outcome_names = ("failure:early", "timeout")

    def __init__(self, num_envs: int = 4, num_observations: int = 3) -> None:
        self.num_envs = num_envs
        self.single_observation_space = Box(-np.inf, np.inf, (num_observations,), np.float32)
        self.single_action_space = Box(-1.0, 1.0, (2,), np.float32)
        self.generator = torch.Generator().manual_seed(0)
        self.steps = torch.zeros(num_envs)

    def observe(self) -> Tensor:
        """Noise."""
        return torch.randn(self.num_envs, *self.single_observation_space.shape, generator=self.generator)

    def reset(self, seed: Optional[int] = None) -> Tuple[Tensor, Dict[str, Any]]:
        """Begin."""
        self.steps.zero_()
        return self.observe(), {}

    def step(self, actions: Tensor) -> Tuple[Tensor, Tensor, Tensor, Tensor, StepInfo]:
        """One step."""
        assert float(actions.abs().max()) <= 1.0
        self.steps += 1
        terms = torch.stack((torch.ones(self.num_envs), -((actions - 0.5) ** 2).sum(1)), dim=1)
        terminated = (self.steps >= 3) & (torch.arange(self.num_envs) == 0)
        truncated = self.steps >= 5
        self.steps[terminated | truncated] = 0
        outcome = torch.full((self.num_envs,), -1)
        outcome[truncated] = 1
        outcome[terminated] = 0
        observations = self.observe()
        info: StepInfo = {"final_observation": observations, "outcome": outcome, "reward_terms": terms}
        return observations, terms.sum(1), terminated, truncated, info

    def state_dict(self) -> Dict[str, Any]:
        """Counters and noise."""
        return {"steps": self.steps.clone(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue."""
        self.steps = state["steps"].clone()
        self.generator.set_state(state["generator"])

    def render(self, env_id: int = 0, camera: str = "default", width: int = 64, height: int = 48) -> np.ndarray:
        """Black."""
        return np.zeros((height, width, 3), np.uint8)

    def close(self) -> None:
        """Nothing."""


def ppo(
    seed: int = 0, num_envs: int = 4, env_kind: str = "point", units: Tuple[int, ...] = (16,), **keys: Any
) -> RlGamesPpo:
    """A small learner."""
    torch.manual_seed(seed)
    settings = PpoConfig(horizon_length=8, minibatch_size=8 * num_envs, mini_epochs=2, **keys)
    return RlGamesPpo(
        PointEnv(num_envs), settings, NetworkConfig(units=list(units)), max_iterations=100, env_kind=env_kind
    )


def weights(algorithm: RlGamesPpo) -> Dict[str, Tensor]:
    """Copies of the network's tensors."""
    return {name: tensor.clone() for name, tensor in algorithm.state_dict()["model"].items()}


def same(first: Dict[str, Tensor], second: Dict[str, Tensor]) -> bool:
    """Equal in every bit."""
    return all(torch.equal(first[name], second[name]) for name in first)


class TestIterations:
    def test_an_iteration_counts_itself_and_its_frames(self) -> None:
        """4 environments times 8 steps."""
        algorithm = ppo()
        algorithm.iterate()
        iteration = algorithm.iterate()
        assert (iteration.iterations_done, iteration.frames_done) == (2, 64)
        assert (algorithm.iterations_done, algorithm.frames_done) == (2, 64)

    def test_the_first_iteration_has_every_metric(self) -> None:
        """Losses, learning rate, speed, each reward term, how episodes ended."""
        metrics = ppo().iterate().metrics
        for name in ("losses/actor", "losses/critic", "losses/entropy", "info/learning_rate", "info/kl"):
            assert name in metrics
        assert metrics["rewards/base"] == pytest.approx(1.0)
        assert metrics["rewards/total"] == pytest.approx(metrics["rewards/base"] + metrics["rewards/cost"])
        # eight steps: environment 0 fails in steps 3 and 6, three others time out in step 5
        assert metrics["episodes/finished"] == 5
        assert metrics["episodes/failure:early"] == pytest.approx(2 / 5)
        assert metrics["episodes/timeout"] == pytest.approx(3 / 5)

    def test_means_start_anew_in_each_iteration(self) -> None:
        """Counts of one rollout do not leak into the next."""
        algorithm = ppo()
        assert algorithm.iterate().metrics["episodes/finished"] == 5
        assert algorithm.iterate().metrics["episodes/finished"] < 10

    def test_nothing_is_printed_and_no_file_is_left(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The library's own folders, writer and remarks stay out of sight."""
        monkeypatch.chdir(tmp_path)
        ppo().iterate()
        assert list(tmp_path.iterdir()) == []
        assert capsys.readouterr().out == ""


class TestLearning:
    def test_the_same_seed_gives_the_same_weights(self) -> None:
        """And another does not."""

        def trained(seed: int) -> Dict[str, Tensor]:
            algorithm = ppo(seed)
            algorithm.iterate()
            return weights(algorithm)

        first, again, other = trained(1), trained(1), trained(2)
        assert same(first, again)
        assert not same(first, other)

    def test_it_finds_the_best_action(self) -> None:
        """0.5 in both numbers, starting from 0; what an action costs falls to a tenth."""
        algorithm = ppo(num_envs=64, learning_rate=1e-2, lr_schedule="constant", gamma=0.5)
        costs = [-algorithm.iterate().metrics["rewards/cost"] for _ in range(150)]
        action = algorithm.policy().act(torch.zeros(1, 3))
        assert action[0].tolist() == pytest.approx([0.5, 0.5], abs=0.1)
        assert costs[-1] < costs[0] / 10


class TestResuming:
    def test_two_and_two_iterations_are_four_bit_for_bit(self, tmp_path: Path) -> None:
        """Through a checkpoint file, in a fresh learner."""
        whole = ppo()
        for _ in range(4):
            whole.iterate()
        first = ppo()
        first.iterate()
        first.iterate()
        save_checkpoint(tmp_path / "half.pth", first.state_dict())
        second = ppo(seed=9)
        second.load_state_dict(load_checkpoint(tmp_path / "half.pth"))
        second.iterate()
        iteration = second.iterate()
        assert iteration.iterations_done == 4
        assert same(weights(second), weights(whole))

    def test_another_kind_of_environment_keeps_what_was_learned(self) -> None:
        """Weights, learning rate, optimizer and counters; episodes begin anew."""
        first = ppo()
        first.iterate()
        state = first.state_dict()
        second = ppo(seed=9, num_envs=8, env_kind="other")
        second.load_state_dict(state)
        assert same(weights(second), weights(first))
        assert second.iterations_done == 1
        assert second.frames_done == 32
        assert second.state_dict()["dexhand"]["learning_rate"] == state["dexhand"]["learning_rate"]
        assert second.iterate().iterations_done == 2

    def test_a_network_that_does_not_fit_is_refused(self) -> None:
        """With the names of the tensors; nothing has changed then."""
        algorithm = ppo()
        before = weights(algorithm)
        with pytest.raises(ValueError, match=r"actor_mlp.*checkpoint \(8, 3\), needed \(16, 3\)"):
            algorithm.load_state_dict(ppo(units=(8,)).state_dict())
        assert same(weights(algorithm), before)


class TestPolicy:
    def test_it_is_a_snapshot(self) -> None:
        """Later iterations do not change it."""
        algorithm, observations = ppo(), torch.randn(5, 3)
        policy = algorithm.policy()
        before = policy.act(observations)
        algorithm.iterate()
        assert torch.equal(policy.act(observations), before)

    def test_acting_is_deterministic_bounded_and_draws_nothing(self) -> None:
        """The same actions twice, within [-1, 1], torch's random state untouched."""
        policy, observations = ppo().policy(), torch.randn(50, 3) * 100.0
        state = torch.get_rng_state()
        actions = policy.act(observations)
        assert torch.equal(policy.act(observations), actions)
        assert float(actions.abs().max()) <= 1.0
        assert torch.equal(torch.get_rng_state(), state)

    def test_a_checkpoint_brings_its_network_along(self) -> None:
        """No configuration is needed to play it."""
        algorithm, observations = ppo(units=(8, 4)), torch.randn(5, 3)
        policy = RlGamesPolicy.from_state(algorithm.state_dict(), torch.device("cpu"))
        assert torch.equal(policy.act(observations), algorithm.policy().act(observations))

    def test_weights_that_do_not_fit_change_nothing(self) -> None:
        """All or nothing."""
        policy, observations = ppo().policy(), torch.randn(5, 3)
        before = policy.act(observations)
        with pytest.raises(ValueError, match="does not fit"):
            policy.load_state_dict(ppo(units=(8,)).state_dict())
        assert torch.equal(policy.act(observations), before)


def test_rl_games_own_player_acts_the_same(tmp_path: Path) -> None:
    """Our checkpoint file, read by torch.load, in the library's player."""
    from rl_games.algos_torch.players import PpoPlayerContinuous

    algorithm, observations = ppo(), torch.randn(4, 3)
    algorithm.iterate()
    save_checkpoint(tmp_path / "ours.pth", algorithm.state_dict())
    loaded = torch.load(tmp_path / "ours.pth", weights_only=True)
    env = PointEnv()
    params = algorithm.spec.model_params()
    spaces = {"observation_space": env.single_observation_space, "action_space": env.single_action_space}
    params["config"] = {
        "env_name": "point", "env_info": spaces, "vec_env": env, "num_actors": 4, "device_name": "cpu",
        "normalize_input": True, "normalize_value": True, "reward_shaper": {}, "player": {"use_vecenv": True},
    }  # fmt: skip
    player = PpoPlayerContinuous(params)
    player.has_batch_dimension = True
    player.restore(str(tmp_path / "ours.pth"))
    assert loaded["epoch"] == 1
    expected = algorithm.policy().act(observations)
    assert torch.allclose(player.get_action(observations, is_deterministic=True), expected)
