"""The PPO loss of each sample in a rollout, after the update."""

from typing import Any

import torch
from rl_games.common.common_losses import critic_loss
from torch import Tensor


@torch.no_grad()
def sample_losses(agent: Any) -> Tensor:
    """Compute the loss of each sample held by ``agent`` (rl_games's ``A2CAgent`` after ``train_epoch``), shape (H, N).

    This is the loss whose mean PPO minimises, without the entropy and bounds terms, which do not rate a sample::

        max(-A r, -A clip(r, 1 - e, 1 + e)) + critic_coef / 2 * max((V - R)^2, (V_old + clip(V - V_old, -e, e) - R)^2)

    with the advantage A (normalised over the rollout, if ``normalize_advantage``), the ratio r of the action's
    probability now and when it was taken, the clip range e = ``e_clip``, the value V now, V_old at the time and the
    return R (normalised, if ``normalize_value``); without ``clip_value`` the second part is (V - R)^2. Schulman et al.,
    "Proximal Policy Optimization Algorithms", 2017, equations 7 and 9. V is the central value's where there is one.
    Costs one forward pass and has no side effects.
    """
    critic = agent.central_value_net if agent.has_central_value else agent
    for part in (agent, critic):
        part.model.eval()  # so that the normalisers do not count the samples twice
    losses = torch.cat([_losses(agent, critic, *minibatches) for minibatches in zip(agent.dataset, critic.dataset)])
    return losses.view(-1, agent.horizon_length).t()  # rl_games stores all steps of one environment contiguously


def _losses(agent: Any, critic: Any, minibatch: Any, critics: Any) -> Tensor:
    now = agent.model({"is_train": True, "prev_actions": minibatch["actions"], "obs": minibatch["obs"]})
    surrogate = agent.actor_loss_func(
        minibatch["old_logp_actions"], now["prev_neglogp"], minibatch["advantages"], agent.ppo, agent.e_clip
    )
    values = now["values"] if critic is agent else critic.model({"obs": critics["obs"]})["values"]
    value = critic_loss(
        critic.model, minibatch["old_values"], values, agent.e_clip, minibatch["returns"], agent.clip_value
    )
    losses: Tensor = surrogate + 0.5 * agent.critic_coef * value.squeeze(1)
    return losses
