"""rl_games's PPO behind our contracts."""

import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from point_env import PointEnv, ppo, same, weights
from torch import Tensor

from dexhand.checkpoints.store import load_checkpoint, save_checkpoint
from dexhand.config.schema import PpoConfig
from dexhand.core.finite import Diverged
from dexhand.core.interfaces import Algorithm, Policy, StepInfo
from dexhand.rl.policy import RlGamesPolicy
from dexhand.testing.algorithm import AlgorithmConformance
from dexhand.testing.policy import PolicyConformance

SETTINGS: dict[str, Any] = {"learning_rate": 3e-3, "minibatch_size": 16}


class TestLearnerContract(AlgorithmConformance):
    num_observations = 3

    def make_algorithm(self, seed: int) -> Algorithm:
        return ppo(seed, learning_rate=1e-2)


class TestPolicyContract(PolicyConformance):
    num_observations = 3
    num_actions = 2

    def make_state(self, seed: int) -> dict[str, Any]:
        return ppo(seed).state_dict()

    def make_policy(self, state: Mapping[str, Any]) -> Policy:
        return RlGamesPolicy.from_state(state, torch.device("cpu"))


class FaultyEnv(PointEnv):
    """From a step on, one number that it returns is bad."""

    bad, since, place = float("nan"), 0, "observation"

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, StepInfo]:
        """``PointEnv`` refuses actions that are not finite."""
        observations, rewards, *rest = super().step(actions)
        self.since -= 1
        if self.since < 0:
            (observations[0] if self.place == "observation" else rewards)[1] = self.bad
        return observations, rewards, *rest


def test_a_rollout_may_have_any_size() -> None:
    """rl_games wants that of recurrent networks to be divisible by four."""
    algorithm = ppo(num_envs=3, horizon_length=3, minibatch_size=3)
    assert algorithm.iterate().frames_done % 4 != 0


class TestFaultyEnvironments:
    @pytest.mark.parametrize("since", [11, 15, 16])
    @pytest.mark.parametrize("bad", [float("nan"), float("inf")])
    def test_an_observation_that_is_not_finite_ends_training(self, bad: float, since: int) -> None:
        """In the rollout in which it comes, be it the last of its 8 steps, and before anything is learned from it."""
        algorithm = ppo(env=FaultyEnv)
        algorithm.env.bad, algorithm.env.since = bad, since
        for _ in range(since // 8):
            algorithm.iterate()
        before = weights(algorithm)
        with pytest.raises(Diverged, match=r"^an observation$"):
            algorithm.iterate()
        assert same(before, weights(algorithm))

    def test_another_error_of_the_environment_is_raised_as_it_is(self) -> None:
        """Observations were finite."""
        algorithm = ppo()
        algorithm.env.steps = torch.zeros(3)
        with pytest.raises(RuntimeError):
            algorithm.iterate()

    def test_a_reward_that_is_not_finite_shows_in_its_metric(self) -> None:
        """Although its terms are."""
        algorithm = ppo(env=FaultyEnv)
        algorithm.env.bad, algorithm.env.place = float("inf"), "reward"
        metrics = algorithm.iterate().metrics
        assert metrics["rewards/total"] == float("inf")
        assert not math.isfinite(metrics["losses/critic"])


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

        def trained(seed: int) -> dict[str, Tensor]:
            algorithm = ppo(seed)
            algorithm.iterate()
            return weights(algorithm)

        first, again, other = trained(1), trained(1), trained(2)
        assert same(first, again)
        assert not same(first, other)

    def test_it_finds_the_best_action(self) -> None:
        """0.5 in both numbers, starting from 0; what an action costs falls to a tenth."""
        algorithm = ppo(num_envs=64, learning_rate=2e-2, lr_schedule="constant", gamma=0.5)
        costs = [-algorithm.iterate().metrics["rewards/cost"] for _ in range(60)]
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


CHANGED: dict[str, Any] = {
    "horizon_length": 16,
    "minibatch_size": 32,
    "mini_epochs": 1,
    "learning_rate": 1e-3,
    "lr_schedule": "constant",
    "schedule_type": "legacy",
    "kl_threshold": 1e-6,
    "gamma": 0.5,
    "tau": 0.5,
    "e_clip": 1e-3,
    "clip_value": False,
    "critic_coef": 1.0,
    "entropy_coef": 0.1,
    "bounds_loss_coef": 1.0,
    "grad_norm": 0.01,
    "truncate_grads": False,
    "normalize_advantage": False,
    "value_bootstrap": False,
    "reward_scale": 3.0,
}
"""Another value for each key of a learner, but for ``NETWORK``."""
NETWORK = ("normalize_input", "normalize_value")
"""Keys that belong to the network."""


@pytest.fixture(scope="module")
def state() -> dict[str, Any]:
    """Of a policy whose actions leave the bounds, with a learning rate that the schedule may change."""
    first = ppo(**SETTINGS)
    first.iterate()
    made = first.state_dict()
    made["model"]["a2c_network.mu.bias"] += 2.0
    return made


class TestOtherSettings:
    """A training that goes on with other settings than those of its checkpoint."""

    def continued(self, state: dict[str, Any], **keys: Any) -> dict[str, Tensor]:
        """The weights two iterations later."""
        second = ppo(seed=9, **{**SETTINGS, **keys})
        second.load_state_dict(state)
        second.iterate()
        second.iterate()
        return weights(second)

    @pytest.mark.parametrize("key", CHANGED)
    def test_take_effect(self, key: str, state: dict[str, Any]) -> None:
        """Whatever the key."""
        assert not same(self.continued(state), self.continued(state, **{key: CHANGED[key]}))

    @pytest.mark.parametrize("key", NETWORK)
    def test_of_the_network_are_refused(self, key: str, state: dict[str, Any]) -> None:
        """It has other tensors."""
        with pytest.raises(ValueError, match="mean_std"):
            self.continued(state, **{key: False})

    def test_every_key_is_known(self) -> None:
        """A new one needs a value here."""
        assert {*CHANGED, *NETWORK} == {entry.name for entry in fields(PpoConfig)}

    @pytest.mark.parametrize("schedule", ["adaptive", "linear", "constant"])
    def test_a_learning_rate_begins_anew(self, schedule: str) -> None:
        """In any schedule; without a change the schedule's own goes on."""
        first = ppo(lr_schedule=schedule, learning_rate=1e-3)
        first.iterate()
        state = first.state_dict()
        for given, expected in ((1e-3, state["dexhand"]["learning_rate"]), (5e-4, 5e-4)):
            second = ppo(lr_schedule=schedule, learning_rate=given)
            second.load_state_dict(state)
            assert second.state_dict()["dexhand"]["learning_rate"] == expected
            assert second.state_dict()["optimizer"]["param_groups"][0]["lr"] == expected

    def test_a_file_of_an_earlier_version(self, caplog: pytest.LogCaptureFixture) -> None:
        """It does not say what its schedule was, which goes on; the log says with which learning rate."""
        state = ppo(learning_rate=1e-3).state_dict()
        del state["dexhand"]["schedule"]
        second = ppo(learning_rate=5e-4)
        with caplog.at_level("INFO"):
            second.load_state_dict(state)
        assert second.state_dict()["dexhand"]["learning_rate"] == 1e-3
        assert "The learning rate continues at 0.001" in caplog.text


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
        with pytest.raises(ValueError, match="do not fit"):
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
