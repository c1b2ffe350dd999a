"""Declarations of Gymnasium's environments as tasks; ``dexhand.gymnasium_env`` makes them. Imports no Gymnasium.

The keys are the arguments that ``gymnasium.make`` takes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from dexhand.core.option import option
from dexhand.tasks.task_config import TaskConfig

_NAME = re.compile(r"(?:[\w-]+/)?[\w.-]+")
"""A name in Gymnasium's registry: ``Pendulum-v1``, or ``my_envs/Pendulum-v1``."""


@dataclass
class GymnasiumConfig(TaskConfig):
    """An environment of Gymnasium."""

    kind: ClassVar[Literal["gymnasium"]] = "gymnasium"
    unused: ClassVar[tuple[str, ...]] = (
        *("physics", "actuators", "sim.", "env.hand", "env.actuators.", "env.initialHandPos", "env.controlDecimation"),
    )
    # the threads also step environments whose physics are Gymnasium's; keys of graphics do no harm anywhere
    accepted: ClassVar[tuple[str, ...]] = ("sim.mujoco.threads", "sim.isaacgym.")
    package: ClassVar[str | None] = None

    @property
    def environment(self) -> str:
        """The name that ``gymnasium.make`` is given."""
        raise NotImplementedError

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that ``gymnasium.make`` is given."""
        given = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "name"}
        return {name: value for name, value in given.items() if value is not None}


@dataclass
class WalkerConfig(GymnasiumConfig):
    """Keys that ``task=Ant`` and ``task=Humanoid`` share."""

    train_envs: ClassVar[int] = 128
    max_episode_steps: int = option(1000, "an episode times out after this many control steps", low=1)
    xml_file: str | None = option(None, "MJCF of your own; null = Gymnasium's", names="files")
    frame_skip: int = option(5, "MuJoCo steps per control step", low=1)
    terminate_when_unhealthy: bool = option(True, "an episode ends when the torso is too low or too high")
    exclude_current_positions_from_observation: bool = option(True, "the policy does not see x and y of the torso")
    include_cfrc_ext_in_observation: bool = option(True, "the policy sees the contact forces on all bodies")
    policy_keys: ClassVar[tuple[str, ...]] = (
        "exclude_current_positions_from_observation",
        "include_cfrc_ext_in_observation",
    )

    @property
    def environment(self) -> str:
        """See ``GymnasiumConfig.environment``."""
        return f"{self.name}-v5"

    def check(self) -> None:
        """See ``TaskConfig.check``."""
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.name.endswith("_range") and (len(value) != 2 or value[0] > value[1]):
                raise ValueError(f"task.{entry.name}={value} must be two numbers, the lowest and the highest")


@dataclass
class AntConfig(WalkerConfig):
    """``Ant-v5``: four legs run along x."""

    outlook: ClassVar[str] = (
        "a mean return of 1,000, standing still, after 70 iterations of 128 environments, and of 2,000, walking, after "
        "some 210 (1.7 million frames)"
    )
    name: str = option("Ant", "the task")
    forward_reward_weight: float = option(1.0, "reward per m/s along x")
    ctrl_cost_weight: float = option(0.5, "cost of the sum of squared actions", low=0)
    contact_cost_weight: float = option(5e-4, "cost of the sum of squared contact forces", low=0)
    healthy_reward: float = option(1.0, "reward for each step with the torso in its range")
    main_body: str = option("torso", "body whose movement is rewarded")
    healthy_z_range: list[float] = option([0.2, 1.0], "heights of the torso that go on", unit="m")
    contact_force_range: list[float] = option([-1.0, 1.0], "contact forces are clipped to this range", unit="N or N m")
    reset_noise_scale: float = option(0.1, "random part of the starts", low=0)


@dataclass
class HumanoidConfig(WalkerConfig):
    """``Humanoid-v5``: a body with arms and legs walks along x."""

    outlook: ClassVar[str] = (
        "a mean return of 600 after 120 iterations of 128 environments, and of 1,500 after some 270 (1.1 million "
        "frames)"
    )
    name: str = option("Humanoid", "the task")
    forward_reward_weight: float = option(1.25, "reward per m/s along x")
    ctrl_cost_weight: float = option(0.1, "cost of the sum of squared controls", low=0)
    contact_cost_weight: float = option(5e-7, "cost of the sum of squared contact forces", low=0)
    healthy_reward: float = option(5.0, "reward for each step with the torso in its range")
    healthy_z_range: list[float] = option([1.0, 2.0], "heights of the torso that go on", unit="m")
    reset_noise_scale: float = option(0.01, "random part of the starts", low=0)
    include_cinert_in_observation: bool = option(True, "the policy sees mass and inertia of all bodies")
    include_cvel_in_observation: bool = option(True, "the policy sees the velocities of all bodies")
    include_qfrc_actuator_in_observation: bool = option(True, "the policy sees the joint torques")
    policy_keys: ClassVar[tuple[str, ...]] = (
        *WalkerConfig.policy_keys,
        "include_cinert_in_observation",
        "include_cvel_in_observation",
        "include_qfrc_actuator_in_observation",
    )


@dataclass
class AnyGymnasiumConfig(GymnasiumConfig):
    """Any environment, chosen with ``task=gymnasium:NAME`` or ``task=gymnasium:PACKAGE:NAME``."""

    is_complete: ClassVar[bool] = False
    train_envs: ClassVar[int] = 64
    policy_keys: ClassVar[tuple[str, ...]] = ("id",)
    name: str = option("gymnasium", "the task")
    id: str | None = option(None, "Gymnasium's name of the environment; task=gymnasium:NAME sets it")
    package: str | None = option(  # type: ignore[misc]
        None, "module or .py file to import first, which registers it; task=gymnasium:PACKAGE:NAME", names="module"
    )
    max_episode_steps: int | None = option(
        None, "an episode times out after this many control steps; null = the environment's own limit", low=1
    )
    kwargs: dict[str, Any] = option({}, "further arguments of gymnasium.make, such as task.kwargs.g=9.8")

    @property
    def subject(self) -> str:
        """See ``TaskConfig.subject``."""
        return (self.id or self.name).rpartition("/")[2]

    @property
    def environment(self) -> str:
        """See ``GymnasiumConfig.environment``."""
        assert self.id is not None  # checked
        return self.id

    def arguments(self) -> dict[str, Any]:
        """See ``GymnasiumConfig.arguments``."""
        limit = {} if self.max_episode_steps is None else {"max_episode_steps": self.max_episode_steps}
        return {**self.kwargs, **limit}

    def check(self) -> None:
        """See ``TaskConfig.check``."""
        if self.id is None or not _NAME.fullmatch(self.id):
            raise ValueError(
                f"task.id={'null' if self.id is None else self.id} names no environment of Gymnasium. "
                "Write task=gymnasium:NAME, such as task=gymnasium:Pendulum-v1, or task=gymnasium:PACKAGE:NAME"
            )
