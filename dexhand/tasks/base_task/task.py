"""BaseTask: keep moving without touching the ground. The base class of all other tasks."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dexhand.core.lazy import lazy_module
from dexhand.core.option import option
from dexhand.hand_env.interfaces import Box, Observations, ResetPose, SimState, StepResult
from dexhand.hands.spec import HandSpec
from dexhand.tasks.action_map import ActionMap
from dexhand.tasks.hand_state import HandState, TaskState
from dexhand.tasks.observations import HandObservations
from dexhand.tasks.rewards import HandRewards
from dexhand.tasks.task_config import TaskConfig
from dexhand.tasks.terms import Ending, Failure, Observation, Success, failure, reward, terms_of

if TYPE_CHECKING:
    import torch
    from torch import Generator, Tensor
else:
    torch = lazy_module("torch")

POLICY_SEES = "what the policy sees, in this order"
CRITIC_SEES = "what the critic sees, in this order; empty = what the policy sees"


@dataclass
class BaseTaskConfig(TaskConfig):
    """Keys of every task of a hand except ``reward_weights``; see ``dexhand.tasks.terms.config_class_of``."""

    kind: ClassVar[Literal["hand"]] = "hand"
    policy_keys: ClassVar[tuple[str, ...]] = (
        "policy_observation_keys",
        "critic_observation_keys",
        "controlMode",
        "policy_controls_hand_base",
        "policy_controls_fingers",
    )
    module: str | None = option(
        None,
        "your module (my_package.my_task) or file (my_task.py) with a class of the task's name; null = a built-in task",
        names="module",
    )
    episodeLength: int = option(300, "an episode times out after episodeLength - 1 control steps", low=2)
    controlMode: str = option(
        "position_delta",
        "meaning of actions: target poses (position) or changes of the targets (position_delta)",
        choices=("position", "position_delta"),
    )
    policy_controls_hand_base: bool = option(True, "the policy moves the wrist (6 actions)")
    policy_controls_fingers: bool = option(True, "the policy moves the fingers (12 actions of the DexHand021)")
    max_base_linear_velocity: float = option(0.5, "limit of the wrist's targets", unit="m/s", above=0)
    max_base_angular_velocity: float = option(1.5, "limit of the wrist's targets", unit="rad/s", above=0)
    max_finger_joint_velocity: float = option(1.0, "limit of the finger controls' targets", unit="rad/s", above=0)
    contact_binary_threshold: float = option(1.0, "a larger force counts as contact", unit="N", low=0)
    handbase_threshold: float = option(0.0, "hitting_ground: lowest height of the wrist", unit="m")
    fingertip_threshold: float = option(0.0, "hitting_ground: lowest height of a fingertip", unit="m")
    fingerpad_threshold: float = option(0.0, "hitting_ground: lowest height of a fingerpad", unit="m")
    active_success_criteria: list[str] = option([], "success criteria that end an episode; empty = all the task has")
    active_failure_criteria: list[str] = option([], "failure criteria that end an episode; empty = all the task has")
    policy_observation_keys: list[str] = option(
        [
            "base_dof_pos",
            "base_dof_vel",
            "active_finger_dof_pos",
            "active_finger_dof_vel",
            "hand_pose",
            "contact_binary",
            "prev_actions",
            "base_dof_target",
            "active_finger_dof_target",
            "fingertip_poses_world",
            "fingertip_poses_hand",
            "fingerpad_poses_world",
            "fingerpad_poses_hand",
        ],
        POLICY_SEES,
    )
    critic_observation_keys: list[str] = option([], CRITIC_SEES)
    reward_weights: Any = option({}, "weight of each reward term")

    privileged_observations: ClassVar[tuple[str, ...]] = ()
    """Observation keys that only the critic may use."""

    def check(self) -> None:
        """Raise ``ValueError`` for inconsistent keys. Tasks may extend it."""
        for key in self.policy_observation_keys:
            if key in self.privileged_observations:
                raise ValueError(
                    f"task.policy_observation_keys={key}: a real hand could not sense it. "
                    "Let the critic see it, with task.critic_observation_keys, or take it out"
                )
        if not self.policy_observation_keys:
            raise ValueError("task.policy_observation_keys=[] leaves the policy nothing to see. Name at least one key")
        if not (self.policy_controls_hand_base or self.policy_controls_fingers):
            raise ValueError(
                "task.policy_controls_hand_base=false and task.policy_controls_fingers=false leave the policy nothing "
                "to do. Set one of them to true"
            )


class BaseTask(HandObservations, HandRewards):
    """``Task`` built from declared terms. Derived tasks add terms, buffers and objects."""

    config: BaseTaskConfig
    config_class: ClassVar[type[BaseTaskConfig]] = BaseTaskConfig
    """Configuration keys that the task declares itself."""
    buffers_class: ClassVar[type[TaskState]] = TaskState
    """State that the task keeps between control steps."""
    num_envs: int
    buffers: TaskState
    num_actions: int
    num_observations: int
    num_critic_observations: int
    reward_names: tuple[str, ...]
    success_names: tuple[str, ...]
    failure_names: tuple[str, ...]

    def __init__(
        self,
        config: BaseTaskConfig,
        *,
        hand: HandSpec,
        num_envs: int,
        device: torch.device,
        control_dt: float,
        dof_limits: Tensor,
    ) -> None:
        """``config`` is an instance of ``config_class_of(type(self))``; ``dof_limits`` (D, 2), m or rad."""
        self.config = config
        self.hand = hand
        self.num_envs = num_envs
        self.device = device
        self.control_dt = control_dt
        self.dof_limits = dof_limits
        self.action_map = ActionMap(
            config.controlMode,
            hand=hand,
            dof_limits=dof_limits,
            max_velocity=torch.tensor(_max_velocity(config, hand), device=device),
            control_dt=control_dt,
            base=config.policy_controls_hand_base,
            fingers=config.policy_controls_fingers,
        )
        self.buffers = self.buffers_class.zeros(hand, num_envs, device)
        self.num_actions = self.action_map.num_actions
        self.num_observations = self._size_of(config.policy_observation_keys)
        self.num_critic_observations = self._size_of(config.critic_observation_keys)
        self.success_names = tuple(config.active_success_criteria or terms_of(type(self), Success))
        self.failure_names = tuple(config.active_failure_criteria or terms_of(type(self), Failure))
        self._weigh_rewards()

    # --- hooks for derived tasks ---

    @classmethod
    def objects(cls, config: BaseTaskConfig) -> tuple[Box, ...]:
        """Return the objects of the scene."""
        return ()

    def hand_state(self, state: SimState) -> HandState:
        """Wrap the simulator's state and the buffers for the terms."""
        return HandState(
            state,
            self.buffers,
            hand=self.hand,
            control_dt=self.control_dt,
            contact_threshold=self.config.contact_binary_threshold,
        )

    def advance(self, state: HandState, generator: Generator) -> None:
        """Advance timers, stages and goals by one control step, before terms are computed."""

    def scripted_targets(self, targets: Tensor) -> Tensor:
        """Return the next targets (N, C) of controls that the policy does not command; by default they stay."""
        return targets

    def captions(self, env_ids: Sequence[int]) -> list[str]:
        """Describe the situation of environments in a few words for a person who watches; by default nothing."""
        return [""] * len(env_ids)

    def targets(self, env_ids: Sequence[int]) -> Tensor:
        """Return points to be reached, metres, drawn for a person who watches; by default none. Shape (E, any, 3)."""
        return torch.zeros(len(env_ids), 0, 3)

    def reset_pose(self, generator: Generator) -> ResetPose:
        """Start with all joints at 0, or as close to it as their limits allow."""
        lower, upper = self.dof_limits.unbind(1)
        return ResetPose(
            dof_pos=torch.zeros(self.num_envs, len(lower), device=self.device).clamp(lower, upper),
            object_pose=torch.zeros(self.num_envs, 0, 7, device=self.device),
        )

    # --- terms ---

    @reward()
    def object_height(self, state: HandState) -> Tensor:
        """Height of the object; always 0 in a task without one."""
        return torch.zeros_like(state.lowest_fingertip)

    termination_success = Ending("bonus when the episode ends in success", "success", 1.0)
    termination_failure_penalty = Ending("subtracted when it ends in failure", "failure", -1.0)
    termination_timeout_penalty = Ending("subtracted when time runs out", "timeout", -1.0)

    @failure()
    def hitting_ground(self, state: HandState) -> Tensor:
        """Wrist, a fingertip or a fingerpad is below its threshold."""
        config = self.config
        return (
            (state.hand_pos[:, 2] < config.handbase_threshold)
            | (state.lowest_fingertip < config.fingertip_threshold)
            | (state.fingerpad_pos[:, :, 2].amin(1) < config.fingerpad_threshold)
        )

    # --- Task ---

    def dof_targets(self, actions: Tensor) -> Tensor:
        """See ``Task.dof_targets``."""
        buffers = self.buffers
        buffers.actions[:, self.action_map.controlled] = actions
        buffers.targets = self.action_map.compute_targets(buffers.targets, buffers.scripted_targets, actions)
        return self.action_map.joints(buffers.targets)

    def evaluate(self, state: SimState, generator: Generator) -> StepResult:
        """See ``Task.evaluate``."""
        buffers = self.buffers
        buffers.steps += 1
        hand_state = self.hand_state(state)
        buffers.contact_steps.add_(1.0).mul_(hand_state.in_contact)
        buffers.scripted_targets = self.scripted_targets(buffers.targets)
        self.advance(hand_state, generator)
        success = self._criteria(self.success_names, hand_state)
        failure = self._criteria(self.failure_names, hand_state)
        timeout = buffers.steps >= self.config.episodeLength - 1
        rewards = self._weighted_rewards(hand_state, success.any(1), failure.any(1), timeout)
        observations = self._observations(hand_state)
        hand_state.store()
        return StepResult(observations, rewards, success, failure, timeout)

    def observe(self, state: SimState) -> Observations:
        """See ``Task.observe``."""
        return self._observations(self.hand_state(state))

    def reset(self, mask: Tensor, state: SimState, generator: Generator) -> None:
        """See ``Task.reset``; targets start at the joint positions, so that nothing jumps."""
        self.buffers.clear(mask)
        pose = self.action_map.controls(state.dof_pos)
        self.buffers.targets = torch.where(mask[:, None], pose, self.buffers.targets)
        self.buffers.scripted_targets = self.scripted_targets(self.buffers.targets)

    def state_dict(self) -> dict[str, Tensor]:
        """See ``Task.state_dict``."""
        return {name: tensor.clone() for name, tensor in self.buffers.tensors().items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See ``Task.load_state_dict``."""
        self.buffers.load(state)

    # --- assembling the terms ---

    def check_terms(self, state: SimState) -> None:
        """Compute every term once; raises ``ValueError`` if one fails with it or returns other than declared."""
        hand_state = self.hand_state(state)
        for name in dict.fromkeys([*self.config.policy_observation_keys, *self.config.critic_observation_keys]):
            self._check("observation", name, hand_state, self._size_of([name]), dtype=torch.float32)
        for name in self._rewards:
            self._check("reward", name, hand_state)
        for name in (*self.success_names, *self.failure_names):
            self._check("criterion", name, hand_state, dtype=torch.bool)

    def _check(self, kind: str, name: str, state: HandState, *size: int, dtype: torch.dtype | None = None) -> None:
        what, expected = f"task={type(self).__name__}: {kind} {name}", (self.num_envs, *size)
        try:
            value = getattr(self, name)(state)
        except ValueError as error:
            place = traceback.extract_tb(error.__traceback__)[:2][-1]  # in the term, which this method calls
            raise ValueError(f"{what}: {error} ({place.filename}, line {place.lineno})") from error
        if not isinstance(value, torch.Tensor):
            raise ValueError(f"{what} must be a tensor, but is {value!r}")
        if tuple(value.shape) != expected:
            declared = ", ".join(["num_envs", *map(str, size)])
            raise ValueError(f"{what} must have shape ({declared}) = {expected}, but has {tuple(value.shape)}")
        if dtype is None and value.dtype.is_floating_point:
            dtype = torch.float32  # a reward may also be bool or an integer
        if dtype not in (None, value.dtype):
            raise ValueError(f"{what} must be {dtype}, but is {value.dtype}")

    def _size_of(self, keys: Sequence[str]) -> int:
        terms = terms_of(type(self), Observation)
        return sum(terms[key].size_for(self.hand) for key in keys)

    def _weigh_rewards(self) -> None:
        weights = asdict(self.config.reward_weights)
        endings = terms_of(type(self), Ending)
        self._rewards = [name for name, weight in weights.items() if weight != 0.0 and name not in endings]
        self.reward_names = (*self._rewards, *endings)
        self._endings = [ending.when for ending in endings.values()]
        signed = [ending.sign * weights[name] for name, ending in endings.items()]
        self._weights = torch.tensor([*(weights[name] for name in self._rewards), *signed], device=self.device)

    def _observations(self, state: HandState) -> Observations:
        policy, critic = self.config.policy_observation_keys, self.config.critic_observation_keys
        values = {key: getattr(self, key)(state) for key in dict.fromkeys([*policy, *critic])}
        return Observations(
            policy=torch.cat([values[key] for key in policy], dim=1),
            critic=torch.cat([values[key] for key in critic], dim=1) if critic else None,
        )

    def _criteria(self, names: Sequence[str], state: HandState) -> Tensor:
        if not names:
            return torch.zeros(self.num_envs, 0, dtype=torch.bool, device=self.device)
        return torch.stack([getattr(self, name)(state) for name in names], dim=1)

    def _weighted_rewards(self, state: HandState, success: Tensor, failure: Tensor, timeout: Tensor) -> Tensor:
        failed = failure & ~success
        ended = {"success": success, "failure": failed, "timeout": timeout & ~success & ~failed}
        terms = [getattr(self, name)(state) for name in self._rewards]
        return torch.stack([*terms, *(ended[when].float() for when in self._endings)], dim=1) * self._weights


def _max_velocity(config: BaseTaskConfig, hand: HandSpec) -> list[float]:
    """Return the velocity limits of all controls, m/s and rad/s."""
    return (
        [config.max_base_linear_velocity] * 3
        + [config.max_base_angular_velocity] * 3
        + [config.max_finger_joint_velocity] * len(hand.controls)
    )
