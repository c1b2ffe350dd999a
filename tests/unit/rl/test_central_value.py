"""Critic observations train rl_games's central value."""

import logging
import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from point_env import PointEnv, same, weights
from torch import Tensor
from torch.distributed.elastic.utils.distributed import get_free_port

from dexhand.checkpoints.store import load_checkpoint, save_checkpoint
from dexhand.config.schema import NetworkConfig, PpoConfig
from dexhand.core.interfaces import Algorithm, StepInfo
from dexhand.distributed.process_group import ProcessGroup, join_process_group
from dexhand.mock.env import MockEnv
from dexhand.rl.rl_games import RlGamesPpo
from dexhand.testing.algorithm import AlgorithmConformance


class HiddenRewardEnv(PointEnv):
    """The reward is a number drawn for each episode, which only the critic may see."""

    def __init__(self, num_envs: int, critic: bool) -> None:
        super().__init__(num_envs)
        self.single_critic_observation_space = Box(-np.inf, np.inf, (2,), np.float32) if critic else None
        self.hidden = torch.zeros(num_envs)

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        observations, _ = super().reset(seed)
        self.hidden = torch.randn(self.num_envs, generator=self.generator)
        return observations, self.critic()

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, StepInfo]:
        observations, _, terminated, truncated, info = super().step(actions)
        terms = torch.stack((self.hidden, torch.zeros(self.num_envs)), dim=1)
        new = torch.randn(self.num_envs, generator=self.generator)
        self.hidden = torch.where(terminated | truncated, new, self.hidden)
        told: Any = {**info, "reward_terms": terms, **self.critic()}
        return observations, terms.sum(dim=1), terminated, truncated, told

    def critic(self) -> dict[str, Tensor]:
        """The number and the steps of the episode, where the critic may see them."""
        if self.single_critic_observation_space is None:
            return {}
        return {"critic_observations": torch.stack((self.hidden, self.steps), dim=1)}


def learner(env: Any, seed: int = 0, group: ProcessGroup | None = None, **keys: Any) -> RlGamesPpo:
    """A small one."""
    torch.manual_seed(seed)
    settings = {"horizon_length": 8, "minibatch_size": 2 * env.num_envs, "mini_epochs": 2, "learning_rate": 3e-3}
    ppo = PpoConfig(**{**settings, "gamma": 0.9, **keys})
    kind, network = f"mock:{env.num_envs}", NetworkConfig(units=[16])
    return RlGamesPpo(env, ppo, network, max_iterations=100, env_kind=kind, keep_sample_losses=True, group=group)


class TestLearnerContract(AlgorithmConformance):
    num_observations = 3
    networks = ("model", "assymetric_vf_nets")
    iterations_to_learn = 20

    def make_algorithm(self, seed: int) -> Algorithm:
        return learner(MockEnv(16, seed=seed, critic=True), seed)


@pytest.mark.parametrize(("critic", "explained"), [(False, False), (True, True)])
def test_values_follow_what_only_the_critic_sees(critic: bool, explained: bool) -> None:
    """Normalised returns have the variance 1; the loss falls far below where the hidden number is seen."""
    algorithm = learner(HiddenRewardEnv(32, critic), lr_schedule="constant", value_bootstrap=False, mini_epochs=4)
    losses = [algorithm.iterate().metrics["losses/critic"] for _ in range(20)]
    assert (sum(losses[-5:]) / 5 < 0.2) == explained, losses
    assert (float(algorithm.sample_losses.mean()) < 0.4) == explained


def test_the_policy_does_not_see_it() -> None:
    """Its network takes what the policy sees, and its checkpoints play in an environment without a critic's."""
    algorithm = learner(MockEnv(16, critic=True))
    algorithm.iterate()
    state = algorithm.state_dict()
    assert state["model"]["a2c_network.actor_mlp.0.weight"].shape == (16, 3)
    plain = learner(MockEnv(16))
    sizes: Any = {"num_observations": 3, "num_actions": 2, "device": torch.device("cpu")}
    policy = plain.policy_from_state(state, **sizes)
    assert torch.equal(policy.act(torch.ones(1, 3)), algorithm.policy().act(torch.ones(1, 3)))


def test_without_critic_observations_there_is_nothing_of_it() -> None:
    """Neither in the learner nor in its checkpoints."""
    assert not [name for name in learner(MockEnv(16)).state_dict() if name.startswith("assymetric")]


@pytest.mark.parametrize("schedule", ["adaptive", "linear", "constant"])
def test_a_training_goes_on_bit_for_bit(schedule: str, tmp_path: Path) -> None:
    """The central value's weights, optimizer, normalisers and learning rate included."""
    steady = learner(MockEnv(16, critic=True), lr_schedule=schedule)
    steady.iterate()
    save_checkpoint(tmp_path / "one.pth", steady.state_dict())
    steady.iterate()
    steady.iterate()
    resumed = learner(MockEnv(16, seed=5, critic=True), seed=9, lr_schedule=schedule)
    resumed.load_state_dict(load_checkpoint(tmp_path / "one.pth"))
    resumed.iterate()
    resumed.iterate()
    first, second = steady.state_dict(), resumed.state_dict()
    assert same(first["assymetric_vf_nets"], second["assymetric_vf_nets"])
    assert first["dexhand"]["central_value"] == second["dexhand"]["central_value"]
    assert same(weights(steady), weights(resumed))


@pytest.mark.parametrize("critic", [False, True])
def test_a_checkpoint_of_the_other_kind_begins_the_value_estimate_anew(
    critic: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The policy, the counters and the optimizer go on; it is said once."""
    trained = learner(MockEnv(16, critic=not critic))
    trained.iterate()
    algorithm = learner(MockEnv(16, critic=critic))
    with caplog.at_level(logging.WARNING):
        algorithm.load_state_dict(trained.state_dict())
    assert "The value estimate starts over" in caplog.text
    assert "Episodes start over: the checkpoint's have other critic observations" in caplog.text
    assert same(weights(trained), weights(algorithm))
    assert algorithm.iterate().iterations_done == 2


def test_fine_tuning_takes_the_central_value_too() -> None:
    """Where there is one; of another size it is refused, and nothing has changed."""
    trained, fresh = learner(MockEnv(16, critic=True)), learner(MockEnv(16, critic=True), seed=3)
    trained.iterate()
    state = trained.state_dict()
    fresh.load_weights(state)
    assert same(state["assymetric_vf_nets"], fresh.state_dict()["assymetric_vf_nets"])
    name = "model.a2c_network.value.weight"
    longer = {**state["assymetric_vf_nets"], name: torch.zeros(1, 17)}
    before = weights(fresh)
    with pytest.raises(ValueError, match=r"value\.weight"):
        fresh.load_state_dict({**state, "assymetric_vf_nets": longer})
    assert same(weights(fresh), before)


def train_together() -> list[dict[str, Tensor]]:
    """The central values of two processes with episodes of their own, in process 0; nothing in the other."""
    with join_process_group() as group:
        algorithm = learner(MockEnv(16, seed=group.rank, critic=True), seed=group.rank, group=group)
        algorithm.iterate()
        algorithm.iterate()
        return group.gather(dict(algorithm._agent.central_value_net.state_dict()))


def test_processes_have_one_central_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its gradients are averaged, its normalisers are those of process 0."""
    address = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(get_free_port())}
    for name, value in {**address, "GLOO_SOCKET_IFNAME": "lo", "RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    other = multiprocessing.get_context("fork").Process(target=train_together)
    other.start()
    monkeypatch.setenv("RANK", "0")
    first, second = train_together()
    other.join(30)
    assert other.exitcode == 0
    assert same(first, second)
