"""``Algorithm`` on rl_games's PPO, one ``train_epoch`` at a time. The only file that drives the agent.

Written against rl_games 1.6.5. Its ``train`` loop, ``Runner``, writer and saving are not used; this file maintains the
agent's public attributes ``obs``, ``frame``, ``dones``, ``current_*``, ``game_*`` and ``last_lr`` instead.
"""

import copy
import logging
import random
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from rl_games.algos_torch.a2c_continuous import A2CAgent
from rl_games.common.algo_observer import AlgoObserver
from rl_games.common.ivecenv import IVecEnv
from rl_games.common.tr_helpers import DefaultRewardsShaper
from torch import Tensor

from dexhand.config.schema import NetworkConfig, PpoConfig
from dexhand.core.finite import Diverged
from dexhand.core.interfaces import Iteration, Metrics, VecEnv
from dexhand.core.saved_state import LARGEST_COUNT, load_state, state_of
from dexhand.core.weights import check_weights
from dexhand.distributed.process_group import ProcessGroup
from dexhand.rl.network import NetworkSpec, quiet
from dexhand.rl.policy import RlGamesPolicy
from dexhand.rl.sample_losses import sample_losses

log = logging.getLogger(__name__)

_RUNNING = ("dones", "current_rewards", "current_shaped_rewards", "current_lengths")
"""Tensors that the agent carries from one rollout to the next, in addition to observations."""
_OBSERVATIONS = {"obs": "obs", "critic_observations": "states"}
"""Observation groups: names in a checkpoint and in rl_games. The second exists only with a central value."""
_CENTRAL_WEIGHTS, _CENTRAL_OPTIMIZER = "assymetric_vf_nets", "assymetric_vf_optimizer"
"""rl_games's keys for the central value's part of a state."""
_CENTRAL = ("epoch_num", "frame")
"""Attributes of the central value that rl_games's state lacks."""
_CENTRAL_SETTINGS = (
    *("minibatch_size", "mini_epochs", "learning_rate", "lr_schedule", "clip_value", "e_clip"),
    *("normalize_input", "grad_norm", "truncate_grads"),
)
"""Settings that the central value shares with the policy."""
_METERS = ("game_rewards", "game_shaped_rewards", "game_lengths")


class RlGamesPpo:
    """PPO on a ``VecEnv``.

    A checkpoint's episodes continue only in environments of the same ``env_kind``. If the environment has critic
    observations, rl_games's central value network estimates values from these alone, with the policy's layers and
    settings; its learning rate follows ``lr_schedule`` unless that is adaptive.

    Each process of a ``group`` has its own environments, and all take the same gradient steps: rl_games averages
    gradients, and all processes normalise by the observation and return statistics of process 0.
    """

    def __init__(
        self,
        env: VecEnv,
        ppo: PpoConfig,
        network: NetworkConfig,
        *,
        max_iterations: int,
        env_kind: str,
        group: ProcessGroup | None = None,
        keep_sample_losses: bool = False,
    ) -> None:
        self.spec = NetworkSpec(
            num_observations=env.single_observation_space.shape[0],
            num_actions=env.single_action_space.shape[0],
            units=tuple(network.units),
            activation=network.activation,
            separate_critic=network.separate_critic,
            sigma_init=network.sigma_init,
            normalize_input=ppo.normalize_input,
            normalize_value=ppo.normalize_value,
        )
        self.env = env
        self.env_kind = env_kind
        self._schedule = {"learning_rate": ppo.learning_rate, "lr_schedule": ppo.lr_schedule}
        self._group = group or ProcessGroup(env.device)
        self._keep_sample_losses = keep_sample_losses
        self._sample_losses = torch.empty(0, env.num_envs, device=env.device)
        self._rollout_env = _RolloutEnv(env)
        # A2CBase's constructor creates folders and a writer, neither of which is used
        with tempfile.TemporaryDirectory() as folder, quiet():
            self._agent = _Agent("dexhand", self._params(ppo, max_iterations, folder))
            self._agent.writer.close()
            self._agent.init_tensors()
        self._agent.obs = None
        self._agent.group = self._group
        # multi_gpu is set below: A2CBase's constructor would join processes by itself, and on NVIDIA GPUs only
        self._central: Any | None = self._agent.central_value_net if self._agent.has_central_value else None
        self._scalars = _LatestScalars()
        if self._central is not None:
            self._central.writter = self._scalars
        for part in self._parts():
            part.multi_gpu, part.world_size = self._group.size > 1, self._group.size
            self._group.broadcast_tensors(part.model.state_dict().values())

    def _parts(self) -> list[Any]:
        """Return the objects with their own network, dataset and gradients."""
        return [self._agent] if self._central is None else [self._agent, self._central]

    def _params(self, ppo: PpoConfig, max_iterations: int, folder: str) -> dict[str, Any]:
        env = self.env
        config = {
            "name": "dexhand",
            "env_name": "dexhand",
            "full_experiment_name": "run",
            "train_dir": folder,
            "device": str(env.device),
            "num_actors": env.num_envs,
            "vec_env": self._rollout_env,
            "env_info": self._rollout_env.get_env_info(),
            "reward_shaper": DefaultRewardsShaper(scale_value=ppo.reward_scale),
            "features": {"observer": AlgoObserver()},
            "max_epochs": max_iterations,
            "horizon_length": ppo.horizon_length,
            "seq_length": 1,  # of recurrent networks, but every rollout must be divisible by it
            "minibatch_size": ppo.minibatch_size,
            "mini_epochs": ppo.mini_epochs,
            "learning_rate": ppo.learning_rate,
            "lr_schedule": ppo.lr_schedule,
            "schedule_type": ppo.schedule_type,
            "kl_threshold": ppo.kl_threshold,
            "gamma": ppo.gamma,
            "tau": ppo.tau,
            "e_clip": ppo.e_clip,
            "clip_value": ppo.clip_value,
            "critic_coef": ppo.critic_coef,
            "entropy_coef": ppo.entropy_coef,
            "bounds_loss_coef": ppo.bounds_loss_coef,
            "grad_norm": ppo.grad_norm,
            "truncate_grads": ppo.truncate_grads,
            "normalize_input": ppo.normalize_input,
            "normalize_value": ppo.normalize_value,
            "normalize_advantage": ppo.normalize_advantage,
            "value_bootstrap": ppo.value_bootstrap,
            "print_stats": False,
        }
        if env.single_critic_observation_space is not None:
            own = {key: config[key] for key in _CENTRAL_SETTINGS}
            config["central_value_config"] = {**self.spec.central_value_params(), **own}
            config["use_experimental_cv"] = False  # the policy's own value layer is not trained
        return {**self.spec.model_params(), "config": config}

    @property
    def iterations_done(self) -> int:
        """See ``Algorithm``."""
        return int(self._agent.epoch_num)

    @property
    def frames_done(self) -> int:
        """See ``Algorithm``."""
        return int(self._agent.frame)

    @property
    def sample_losses(self) -> Tensor:
        """See ``AlgorithmWithSampleLosses``; empty without ``keep_sample_losses``."""
        return self._sample_losses

    def iterate(self) -> Iteration:
        """See ``Algorithm.iterate``."""
        agent = self._agent
        if agent.obs is None:
            agent.obs = agent.env_reset()
        agent.update_epoch()
        (step_time, play_time, update_time, total_time, actor, critic, bounds, entropies, kls, lr, _) = (
            agent.train_epoch()
        )
        if self._keep_sample_losses:
            self._sample_losses = sample_losses(agent)
        agent.frame += agent.curr_frames * self._group.size
        for part in self._parts():
            part.dataset.update_values_dict(None)
            self._group.broadcast_tensors(part.model.buffers())
        metrics = {
            "losses/actor": _mean(actor),
            "losses/critic": self._scalars.get("losses/cval_loss", _mean(critic)),
            "losses/bounds": _mean(bounds),
            "losses/entropy": _mean(entropies),
            "info/kl": _mean(kls),
            "info/learning_rate": float(lr),
            "info/param_norm": _norm([tensor for part in self._parts() for tensor in part.model.parameters()]),
            "performance/frames_per_second": agent.curr_frames * self._group.size / total_time,
            "performance/step_seconds": step_time,
            "performance/rollout_seconds": play_time,
            "performance/update_seconds": update_time,
            **self._rollout_env.pop_metrics(),
        }
        if agent.game_rewards.current_size > 0:
            metrics["episodes/return"] = agent.game_rewards.mean.item()
            metrics["episodes/length"] = agent.game_lengths.mean.item()
        metrics = _means(self._group.gather(metrics) or [metrics])
        return Iteration(self.iterations_done, self.frames_done, metrics.get("episodes/return"), metrics)

    def state_dict(self) -> dict[str, Any]:
        """See ``Algorithm.state_dict``: everything rl_games's own player reads, and what rl_games does not save."""
        agent, central = self._agent, self._central
        if agent.obs is None:
            agent.obs = agent.env_reset()
        running = {name: getattr(agent, name) for name in _RUNNING}
        running |= {name: agent.obs[theirs] for name, theirs in _OBSERVATIONS.items() if theirs in agent.obs}
        own = {
            "env": state_of(self.env),
            "running": {name: tensor.clone() for name, tensor in running.items()},
            "random": _random_state(),
            "meters": {name: _meter_state(getattr(agent, name)) for name in _METERS},
        }
        others = self._group.gather(own)[1:]
        return {
            **agent.get_full_state_weights(),
            "dexhand": {
                "network": self.spec.to_dict(),
                "learning_rate": float(agent.last_lr),
                "schedule": self._schedule,
                **({"central_value": {name: getattr(central, name) for name in ("lr", *_CENTRAL)}} if central else {}),
                "env_kind": self.env_kind,
                **own,
                **({"others": others} if others else {}),
            },
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Algorithm.load_state_dict``.

        Episodes in progress continue only in environments of the same kind and number; others start new episodes.
        """
        agent, central, ours = self._agent, self._central, state["dexhand"]
        self._check_networks(state)
        _check_numbers(state)
        if ours["env"] is None:
            load_state(self.env, None)  # raises, before anything is changed
        same_critic = self._has_value_of(state)
        if central is not None:
            fresh = {_CENTRAL_WEIGHTS: central.state_dict(), _CENTRAL_OPTIMIZER: central.optimizer.state_dict()}
            state = {**fresh, **state}
            for name in _CENTRAL if "central_value" in ours else ():
                setattr(central, name, ours["central_value"][name])
        # the optimizer would modify the given tensors
        optimizers = {name: copy.deepcopy(state[name]) for name in ("optimizer", _CENTRAL_OPTIMIZER) if name in state}
        agent.set_full_state_weights({**state, **optimizers})
        self._load_learning_rate(ours)
        all_processes = [ours, *ours.get("others", [])]
        own = all_processes[self._group.rank] if self._group.rank < len(all_processes) else ours
        meters = own.get("meters", ours["meters"])  # files of earlier versions have those of process 0 alone
        for name in _METERS:
            _load_meter(getattr(agent, name), meters[name])
        trained, here = (ours["env_kind"], len(all_processes)), (self.env_kind, self._group.size)
        if trained == here and same_critic:
            self._load_episodes(own)
        else:
            if trained == here:
                log.warning("Episodes start over: the checkpoint's have other critic observations")
            else:
                log.warning(
                    "Episodes start over: the checkpoint's are of %s in %d processes, these environments are %s in %d "
                    "(simulator:task:number of environments)",
                    *(*trained, *here),
                )
            agent.obs = agent.env_reset()
            if self._group.is_leader:
                _set_random_state(ours["random"])

    def _load_learning_rate(self, ours: Mapping[str, Any]) -> None:
        """Continue the schedule; where the configuration has another one, begin it with its own learning rate."""
        agent, central = self._agent, self._central
        continues = ours.get("schedule", self._schedule) == self._schedule  # files of earlier versions do not say
        if continues:
            agent.last_lr = ours["learning_rate"]
            if central is not None:
                central.lr = ours.get("central_value", {}).get("lr", central.lr)
        log.info("The learning rate %s %g", "continues at" if continues else "restarts at", agent.last_lr)
        agent.update_lr(agent.last_lr)
        if central is not None:
            central.update_lr(central.lr)

    def _load_episodes(self, own: Mapping[str, Any]) -> None:
        """Restore the episodes and random state of one process."""
        agent = self._agent
        load_state(self.env, own["env"])
        running = own["running"]
        for name in _RUNNING:
            getattr(agent, name).copy_(running[name])
        observations = {theirs: running[name] for name, theirs in _OBSERVATIONS.items() if name in running}
        agent.obs = agent.obs_to_tensors({name: value.to(agent.ppo_device) for name, value in observations.items()})
        _set_random_state(own["random"])

    def load_weights(self, state: Mapping[str, Any]) -> None:
        """See ``Algorithm.load_weights``."""
        self._check_networks(state)
        self._agent.model.load_state_dict(state["model"])
        if self._central is not None and self._has_value_of(state):
            self._central.load_state_dict(state[_CENTRAL_WEIGHTS])

    def _check_networks(self, state: Mapping[str, Any]) -> None:
        """Raise ``ValueError`` if a network of ``state`` does not fit."""
        check_weights(self._agent.model.state_dict(), state["model"])
        if not self._has_value_of(state):
            log.warning(
                "The value estimate starts over: the checkpoint was trained %s critic observations, these environments "
                "have %s",
                *(("without", "some") if self._central is not None else ("with", "none")),
            )
        elif self._central is not None:
            check_weights(self._central.state_dict(), state[_CENTRAL_WEIGHTS])

    def _has_value_of(self, state: Mapping[str, Any]) -> bool:
        """Whether values are estimated from the same kind of observations as those of ``state``."""
        return (self._central is not None) == (_CENTRAL_WEIGHTS in state)

    def policy(self) -> RlGamesPolicy:
        """See ``Algorithm.policy``."""
        return RlGamesPolicy(self.spec, self._agent.model.state_dict(), self.env.device)

    @staticmethod
    def policy_from_state(
        state: Mapping[str, Any], *, num_observations: int, num_actions: int, device: torch.device
    ) -> RlGamesPolicy:
        """See ``AlgorithmClass.policy_from_state``."""
        spec = NetworkSpec.from_dict(state["dexhand"]["network"])
        trained = (spec.num_observations, spec.num_actions)
        if trained != (num_observations, num_actions):
            raise ValueError(
                f"it was trained with {trained[0]} observations and {trained[1]} actions, there are {num_observations} "
                f"and {num_actions}"
            )
        return RlGamesPolicy(spec, state["model"], device)

    def close(self) -> None:
        """Do nothing: there is nothing to free."""


class _Agent(A2CAgent):  # type: ignore[misc]
    """Learns nothing from a rollout in which an observation is not finite."""

    group: ProcessGroup

    def play_steps(self) -> dict[str, Any]:
        """Raises ``Diverged`` in all processes."""
        try:
            rollout: dict[str, Any] = super().play_steps()
        except Exception:  # torch refuses to sample such an action, and an environment to take it
            self._check_observations()
            raise
        self._check_observations()
        return rollout

    def _check_observations(self) -> None:
        rollout = self.experience_buffer.tensor_dict
        observations = [*self.obs.values(), *(rollout[name] for name in ("obses", "states") if name in rollout)]
        is_finite = torch.stack([torch.isfinite(tensor).all() for tensor in observations]).all()
        if bool(self.group.largest((~is_finite).float())):
            raise Diverged("an observation")


class _LatestScalars(dict[str, float]):
    """Receives the loss of rl_games's central value in place of a TensorBoard writer."""

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self[name] = value


class _RolloutEnv(IVecEnv):  # type: ignore[misc]
    """Adapts a ``VecEnv`` to rl_games and collects metrics that rl_games does not."""

    def __init__(self, env: VecEnv) -> None:
        self._env = env
        self._clear()

    def _clear(self) -> None:
        env = self._env
        self._steps = 0
        self._terms = torch.zeros(len(env.reward_names), device=env.device)
        self._total = torch.zeros((), device=env.device)
        self._outcomes = torch.zeros(len(env.outcome_names) + 1, dtype=torch.int64, device=env.device)

    def get_env_info(self) -> dict[str, Any]:
        return {
            "observation_space": self._env.single_observation_space,
            "action_space": self._env.single_action_space,
            "state_space": self._env.single_critic_observation_space,
        }

    def reset(self) -> dict[str, Tensor]:
        return _observations(*self._env.reset())

    def step(self, actions: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor, dict[str, Tensor]]:
        observations, rewards, terminated, truncated, info = self._env.step(actions)
        self._steps += 1
        self._terms += info["reward_terms"].mean(dim=0)
        self._total += rewards.mean()
        self._outcomes += torch.bincount(info["outcome"] + 1, minlength=len(self._outcomes))
        done = (terminated | truncated).to(torch.uint8)
        return _observations(observations, info), rewards, done, {"time_outs": truncated}

    def pop_metrics(self) -> Metrics:
        """Return each reward term's mean per step and each outcome's fraction of episodes since the last call."""
        terms = (self._terms / max(self._steps, 1)).tolist()
        _, *outcomes = self._outcomes.tolist()
        metrics = {f"rewards/{name}": value for name, value in zip(self._env.reward_names, terms)}
        metrics["rewards/total"] = float(self._total) / max(self._steps, 1)
        metrics["episodes/finished"] = float(sum(outcomes))
        if sum(outcomes):
            metrics.update(
                {f"episodes/{name}": count / sum(outcomes) for name, count in zip(self._env.outcome_names, outcomes)}
            )
        self._clear()
        return metrics


def _observations(policy: Tensor, info: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the observation groups under rl_games's names."""
    critic = info.get("critic_observations")
    return {"obs": policy} if critic is None else {"obs": policy, "states": critic}


def _means(gathered: Sequence[Metrics]) -> Metrics:
    """Average each metric over the processes that have it, but sum the number of finished episodes."""
    values = {name: [metrics[name] for metrics in gathered if name in metrics] for every in gathered for name in every}
    means = {name: sum(found) / len(found) for name, found in values.items()}
    return {**means, "episodes/finished": sum(values["episodes/finished"])}


def _mean(values: list[Tensor]) -> float:
    return float(torch.stack([value.detach().mean() for value in values]).mean()) if values else 0.0


def _norm(parameters: Sequence[Tensor]) -> float:
    """Euclidean norm of all values together."""
    return float(torch.stack([tensor.detach().norm() for tensor in parameters]).norm())


def _check_numbers(state: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` for counts and rates of a state that no training has."""
    ours = state["dexhand"]
    numbers = {"frame": state["frame"], "learning_rate": ours["learning_rate"]}
    for name, value in numbers.items():
        if type(value) is not (int if name == "frame" else float) or not 0 <= value <= LARGEST_COUNT:
            raise ValueError(f"{name}={value!r:.100} is no number that a training has")


def _meter_state(meter: Any) -> dict[str, Any]:
    return {"mean": meter.mean.clone(), "size": int(meter.current_size)}


def _load_meter(meter: Any, state: Mapping[str, Any]) -> None:
    if state["mean"].numel() != meter.mean.numel():
        raise ValueError(f"a mean of episodes has {state['mean'].numel()} numbers, needed {meter.mean.numel()}")
    meter.mean = state["mean"].to(meter.mean.device)
    meter.current_size = state["size"]


def _random_state() -> dict[str, Any]:
    """Return the state of all global generators, any of which a user-defined task may use."""
    numpy = np.random.get_state(legacy=False)
    assert isinstance(numpy, dict)
    key = torch.from_numpy(numpy["state"]["key"].astype(np.int64))
    return {
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "numpy": {**numpy, "state": {**numpy["state"], "key": key}},
        "python": list(random.getstate()),
    }


def _set_random_state(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["cpu"].cpu())
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())
    numpy = state["numpy"]
    key = numpy["state"]["key"].numpy().astype(np.uint32)
    np.random.set_state({**numpy, "state": {**numpy["state"], "key": key}})
    random.setstate(tuple(state["python"]))
