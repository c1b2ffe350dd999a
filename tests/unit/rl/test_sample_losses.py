"""The PPO loss of each sample."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from point_env import PointEnv, same, weights
from rl_games.common.common_losses import actor_loss
from torch import Tensor

from dexhand.config.schema import NetworkConfig, PpoConfig
from dexhand.rl.rl_games import RlGamesPpo
from dexhand.rl.sample_losses import sample_losses


class Answers:
    """A network that says ``neglogp`` and ``values`` whatever it is asked."""

    def __init__(self, neglogp: list[float], values: list[float]) -> None:
        self.result = {"prev_neglogp": torch.tensor(neglogp), "values": torch.tensor(values)[:, None]}

    def eval(self) -> None:
        """It never learns."""

    def __call__(self, asked: dict[str, Any]) -> dict[str, Tensor]:
        """The answers."""
        assert asked["is_train"]
        return self.result


def learner_of(keep: bool = True, **keys: Any) -> RlGamesPpo:
    """A small one, of four minibatches a pass."""
    torch.manual_seed(0)
    settings = PpoConfig(horizon_length=8, minibatch_size=8, mini_epochs=2, **keys)
    return RlGamesPpo(
        PointEnv(4), settings, NetworkConfig(units=[16]), max_iterations=9, env_kind="point", keep_sample_losses=keep
    )


@pytest.mark.parametrize(("clip_value", "value_losses"), [(True, [0.64, 1.0]), (False, [0.25, 1.0])])
def test_the_formula_by_hand(clip_value: bool, value_losses: list[float]) -> None:
    """Two steps of one environment, clip range 0.2, critic_coef 4.

    Ratios 2 and 0.5 with advantages 1 and -1: the clipped surrogates -1.2 and 0.8 are the larger ones. Value 0.5 for a
    return of 1 and 0 before: 0.25, clipped to 0.2: 0.64. Value 1 for a return of 0 and 1 before: 1.
    """
    log2 = float(torch.log(torch.tensor(2.0)))
    old = {"old_logp_actions": [log2, 0.0], "advantages": [1.0, -1.0], "actions": [0.0, 0.0], "obs": [0.0, 0.0]}
    minibatch = {name: torch.tensor(value) for name, value in old.items()}
    minibatch.update(old_values=torch.tensor([[0.0], [1.0]]), returns=torch.tensor([[1.0], [0.0]]))
    agent = SimpleNamespace(
        model=Answers([0.0, log2], [0.5, 1.0]),
        has_central_value=False,
        dataset=[minibatch],
        actor_loss_func=actor_loss,
        horizon_length=2,
        ppo=True,
        e_clip=0.2,
        clip_value=clip_value,
        critic_coef=4.0,
    )
    expected = [-1.2 + 2 * value_losses[0], 0.8 + 2 * value_losses[1]]
    assert sample_losses(agent).flatten().tolist() == pytest.approx(expected)


def test_their_mean_is_the_loss_that_rl_games_minimises() -> None:
    """With a learning rate of next to nothing, its own means of the last pass are ours."""
    learner = learner_of(learning_rate=1e-12, lr_schedule="constant", normalize_input=False)
    metrics = learner.iterate().metrics
    assert learner.sample_losses.shape == (8, 4)
    expected = metrics["losses/actor"] + 0.5 * 4.0 * metrics["losses/critic"]
    assert float(learner.sample_losses.mean()) == pytest.approx(expected, rel=1e-4)


def test_a_loss_stands_at_its_step_and_environment() -> None:
    """Without value loss, and with a discount of 0, it is the value of the state, which is small, minus the reward."""
    learner = learner_of(
        learning_rate=1e-12, lr_schedule="constant", normalize_input=False, normalize_value=False, gamma=0.0,
        normalize_advantage=False, critic_coef=0.0, value_bootstrap=False, reward_scale=100.0,
    )  # fmt: skip
    rewards: list[Tensor] = []
    step = learner.env.step

    def watched(actions: Tensor) -> Any:
        result = step(actions)
        rewards.append(result[1])
        return result

    learner.env.step = watched  # type: ignore[method-assign]
    learner.iterate()
    assert torch.allclose(learner.sample_losses / -100.0, torch.stack(rewards), atol=0.05)


def test_looking_at_losses_changes_no_bit_of_the_training() -> None:
    """The normalisers and random numbers included."""
    plain, looking = learner_of(keep=False), learner_of()
    for learner in (plain, looking):
        torch.manual_seed(1)
        for _ in range(3):
            learner.iterate()
    assert same(weights(plain), weights(looking))
