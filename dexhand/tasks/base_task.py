"""BaseTask: move about without touching the ground. Every other task builds on it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, TypeVar

import torch
from torch import Generator, Tensor

from dexhand.config.task_schema import BASE_OBSERVATIONS, BaseTaskConfig
from dexhand.core.interfaces import Box, Observations, ResetPose, SimState, StepResult
from dexhand.hands import hand
from dexhand.tasks.action_map import ActionMap
from dexhand.tasks.hand_state import HandState, TaskState
from dexhand.tasks.observations import OBSERVATIONS, Observation
from dexhand.tasks.rewards import Reward, common_rewards, nothing

Criterion = Callable[[Any], Tensor]
"""Where the episode ends, bool (N,), judged by what the task's ``hand_state`` returns."""

ENDINGS = ("termination_success", "termination_failure_penalty", "termination_timeout_penalty")
"""Reward terms paid once, in the step that ends an episode: success before failure before timeout."""

Term = TypeVar("Term")


class BaseTask:
    """``Task`` on tensors alone. A task built on it adds entries to the four tables and places its objects."""

    config_class: ClassVar[type[BaseTaskConfig]] = BaseTaskConfig
    """Of ``config``: the keys of the ``task`` section."""

    def __init__(
        self,
        config: BaseTaskConfig,
        *,
        num_envs: int,
        device: torch.device,
        control_dt: float,
        dof_limits: Tensor,
    ) -> None:
        self.config = config
        self.control_dt = control_dt
        self.num_envs = num_envs
        self.device = device
        self.dof_limits = dof_limits
        self.action_map = ActionMap(
            config.controlMode,
            dof_limits=dof_limits,
            max_velocity=_max_velocity(config).to(device),
            control_dt=control_dt,
            base=config.policy_controls_hand_base,
            fingers=config.policy_controls_fingers,
        )
        self.memory = self.new_memory()
        self._select_terms(config)
        self.num_actions = self.action_map.num_actions
        self.num_critic_observations = 0
        self.num_observations = sum(self.observation_sizes()[key] for key in config.policy_observation_keys)

    # --- what a task built on this one adds ---

    def new_memory(self) -> TaskState:
        """What the task remembers, zero."""
        return TaskState.zeros(self.num_envs, self.device)

    @classmethod
    def objects(cls, config: BaseTaskConfig) -> tuple[Box, ...]:
        """The objects of the scene."""
        return ()

    def hand_state(self, state: SimState) -> HandState:
        """What terms and criteria look at."""
        return HandState(
            state, self.memory, control_dt=self.control_dt, contact_threshold=self.config.contact_binary_threshold
        )

    def observation_table(self) -> dict[str, Observation]:
        """What ``policy_observation_keys`` may name."""
        return dict(OBSERVATIONS)

    def observation_sizes(self) -> dict[str, int]:
        """Size of each entry of ``observation_table``."""
        return dict(BASE_OBSERVATIONS)

    def reward_table(self) -> dict[str, Reward]:
        """What ``reward_weights`` may weigh, the endings aside."""
        return {**common_rewards(self.dof_limits[len(hand.BASE_JOINTS) :]), "object_height": nothing}

    def success_table(self) -> dict[str, Criterion]:
        """What ``active_success_criteria`` may name."""
        return {}

    def failure_table(self) -> dict[str, Criterion]:
        """What ``active_failure_criteria`` may name."""
        return {"hitting_ground": self.hitting_ground}

    def scripted_targets(self, targets: Tensor) -> Tensor:
        """Where controls (N, 18) that the policy does not have should go next: they stay."""
        return targets

    def hitting_ground(self, s: HandState) -> Tensor:
        """Wrist, a fingertip or a fingerpad is below its threshold."""
        config = self.config
        return (
            (s.hand_pos[:, 2] < config.handbase_threshold)
            | (s.lowest_fingertip < config.fingertip_threshold)
            | (s.fingerpad_pos[:, :, 2].amin(1) < config.fingerpad_threshold)
        )

    # --- Task ---

    def dof_targets(self, actions: Tensor) -> Tensor:
        """See ``Task.dof_targets``."""
        memory = self.memory
        memory.actions[:, self.action_map.controlled] = actions
        memory.targets = self.action_map.move(memory.targets, memory.scripted_targets, actions)
        return self.action_map.joints(memory.targets)

    def evaluate(self, state: SimState, generator: Generator) -> StepResult:
        """See ``Task.evaluate``."""
        self.memory.steps += 1
        s = self.hand_state(state)
        self.memory.contact_steps.add_(1.0).mul_(s.in_contact)
        self.memory.scripted_targets = self.scripted_targets(self.memory.targets)
        self.advance(s)
        success = self._holds(self._success, s)
        failure = self._holds(self._failure, s)
        timeout = self.memory.steps >= self.config.episodeLength - 1
        rewards = self._weighted_rewards(s, success.any(1), failure.any(1), timeout)
        observations = self._observations(s)
        s.remember()
        return StepResult(observations, rewards, success, failure, timeout)

    def advance(self, s: HandState) -> None:
        """Move the task's own timers and stages on by one control step, before anything is judged."""

    def observe(self, state: SimState) -> Observations:
        """See ``Task.observe``."""
        return self._observations(self.hand_state(state))

    def reset_pose(self, generator: Generator) -> ResetPose:
        """All joints at 0."""
        return ResetPose(
            dof_pos=torch.zeros(self.num_envs, len(hand.DOF_NAMES), device=self.device),
            object_pose=torch.zeros(self.num_envs, 0, 7, device=self.device),
        )

    def reset(self, mask: Tensor, state: SimState, generator: Generator) -> None:
        """See ``Task.reset``: targets are where the joints are, so nothing jumps."""
        self.memory.clear(mask)
        pose = self.action_map.controls(state.dof_pos)
        self.memory.targets = torch.where(mask[:, None], pose, self.memory.targets)
        self.memory.scripted_targets = self.scripted_targets(self.memory.targets)

    def state_dict(self) -> dict[str, Tensor]:
        """See ``Task.state_dict``."""
        return {name: tensor.clone() for name, tensor in self.memory.tensors().items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See ``Task.load_state_dict``."""
        self.memory.load(state)

    # --- terms ---

    def _select_terms(self, config: BaseTaskConfig) -> None:
        weights = asdict(config.reward_weights)
        endings = {name: weights.pop(name) for name in ENDINGS}
        _pick("task.reward_weights", list(weights), self.reward_table())
        used = {name: weight for name, weight in weights.items() if weight != 0.0}
        self._rewards = [self.reward_table()[name] for name in used]
        self.reward_names = (*used, *ENDINGS)
        penalties = [endings[ENDINGS[0]], -endings[ENDINGS[1]], -endings[ENDINGS[2]]]
        self._weights = torch.tensor([*used.values(), *penalties], device=self.device)

        successes, failures = self.success_table(), self.failure_table()
        self.success_names = tuple(config.active_success_criteria or successes)
        self.failure_names = tuple(config.active_failure_criteria or failures)
        self._success = _pick("task.active_success_criteria", self.success_names, successes)
        self._failure = _pick("task.active_failure_criteria", self.failure_names, failures)
        self._policy_observations = _pick(
            "task.policy_observation_keys", config.policy_observation_keys, self.observation_table()
        )

    def _observations(self, s: HandState) -> Observations:
        return Observations(torch.cat([observation(s) for observation in self._policy_observations], dim=1))

    def _holds(self, criteria: Sequence[Criterion], s: HandState) -> Tensor:
        if not criteria:
            return torch.zeros(self.num_envs, 0, dtype=torch.bool, device=self.device)
        return torch.stack([criterion(s) for criterion in criteria], dim=1)

    def _weighted_rewards(self, s: HandState, success: Tensor, failure: Tensor, timeout: Tensor) -> Tensor:
        failed = failure & ~success
        timed_out = timeout & ~success & ~failed
        terms = [reward(s) for reward in self._rewards] + [success.float(), failed.float(), timed_out.float()]
        return torch.stack(terms, dim=1) * self._weights


def _max_velocity(config: BaseTaskConfig) -> Tensor:
    """Velocity limits of the 18 controls, m/s and rad/s."""
    return torch.tensor(
        [config.max_base_linear_velocity] * 3
        + [config.max_base_angular_velocity] * 3
        + [config.max_finger_joint_velocity] * len(hand.FINGER_CONTROLS)
    )


def _pick(key: str, names: Sequence[str], table: Mapping[str, Term]) -> list[Term]:
    unknown = [name for name in names if name not in table]
    if unknown:
        raise ValueError(f"{key}: {', '.join(unknown)} does not exist. Known: {', '.join(table)}")
    return [table[name] for name in names]
