"""Observations, rewards, endings and starts of Gymnasium's MuJoCo environments (v5), for all environments at once.

One class for each environment, with the names that Gymnasium gives to its arguments and rewards. All arrays are float64
with one row per environment.
"""

import inspect
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.envs.mujoco import MujocoEnv

from dexhand.gymnasium_env.physics import BatchPhysics

Draw = Callable[[int], np.ndarray]
"""Draws random numbers (N, count) for a count."""


class Formulas:
    """What an environment computes from the physics."""

    fields: ClassVar[tuple[str, ...]] = ()
    """Derived fields of ``MjData`` that it reads."""
    rewards: ClassVar[tuple[str, ...]]
    """Names of the reward terms."""
    ends_unhealthy = False
    """Whether an episode can end before its time."""
    travels: ClassVar[tuple[int, ...]] = ()
    """Columns of ``qpos`` with the x and y along which it may travel without end."""

    def __init__(self, env: MujocoEnv) -> None:
        """Take arguments and model from Gymnasium's own environment."""
        signature = inspect.signature(type(env).__init__)
        arguments = signature.bind(env, **(env.spec.kwargs if env.spec else {}))
        arguments.apply_defaults()
        self.arguments = SimpleNamespace(**arguments.arguments)
        self.model = env.model
        self.dt = env.dt
        self.init_qpos, self.init_qvel = env.init_qpos.copy(), env.init_qvel.copy()

    def observe(self, physics: BatchPhysics) -> np.ndarray:
        """Return the observations (N, F)."""
        return np.concatenate([physics.qpos, physics.qvel], axis=1)

    def position(self, physics: BatchPhysics) -> np.ndarray:
        """Return the position (N,) whose change is rewarded, metres."""
        return np.zeros(len(physics.qpos))

    def is_healthy(self, physics: BatchPhysics) -> np.ndarray:
        """Return where the episode may go on, bool (N,)."""
        return np.ones(len(physics.qpos), bool)

    def reward_terms(
        self, physics: BatchPhysics, actions: np.ndarray, velocity: np.ndarray, healthy: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        """Return the terms (N,) in the order of ``rewards``; ``velocity`` is the change of ``position`` per second."""
        raise NotImplementedError

    def start(self, uniform: Draw, normal: Draw) -> tuple[np.ndarray, np.ndarray]:
        """Draw ``qpos`` (N, nq) and ``qvel`` (N, nv) of new episodes; ``uniform`` is from -1 to 1."""
        scale = self.arguments.reset_noise_scale
        qpos = self.init_qpos + scale * uniform(self.model.nq)
        return qpos, self.init_qvel + scale * self.start_velocity(uniform, normal)

    def start_velocity(self, uniform: Draw, normal: Draw) -> np.ndarray:
        """Draw the noise (N, nv) of the velocities, before it is scaled."""
        return uniform(self.model.nv)

    def _control_cost(self, actions: np.ndarray) -> np.ndarray:
        return self.arguments.ctrl_cost_weight * _sum_of_squares(actions)

    def _skipped(self, qpos: np.ndarray, count: int) -> np.ndarray:
        """Leave out the position along the ground, the first ``count`` columns, unless the arguments include it."""
        return qpos[:, count:] if self.arguments.exclude_current_positions_from_observation else qpos


def _sum_of_squares(values: np.ndarray) -> np.ndarray:
    return np.square(values).reshape(len(values), -1).sum(axis=1)


def _between(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Return where ``values`` are strictly between the limits."""
    low, high = limits
    return (low < values) & (values < high)


class _NormalVelocity(Formulas):
    def start_velocity(self, uniform: Draw, normal: Draw) -> np.ndarray:
        return normal(self.model.nv)


# --- in space ---------------------------------------------------------------------------------------------------------


class Ant(_NormalVelocity):
    """Four legs."""

    fields = ("xpos", "cfrc_ext")
    rewards = ("forward", "ctrl", "contact", "survive")
    travels = (0, 1)

    def __init__(self, env: MujocoEnv) -> None:
        super().__init__(env)
        self.ends_unhealthy = bool(self.arguments.terminate_when_unhealthy)
        self._main_body = self.model.body(self.arguments.main_body).id

    def _contact_forces(self, physics: BatchPhysics) -> np.ndarray:
        return physics.fields["cfrc_ext"].clip(*self.arguments.contact_force_range)

    def observe(self, physics: BatchPhysics) -> np.ndarray:
        parts = [self._skipped(physics.qpos, 2), physics.qvel]
        if self.arguments.include_cfrc_ext_in_observation:
            parts.append(self._contact_forces(physics)[:, 1:].reshape(len(physics.qpos), -1))
        return np.concatenate(parts, axis=1)

    def position(self, physics: BatchPhysics) -> np.ndarray:
        return physics.fields["xpos"][:, self._main_body, 0].copy()

    def is_healthy(self, physics: BatchPhysics) -> np.ndarray:
        low, high = self.arguments.healthy_z_range
        height = physics.qpos[:, 2]
        finite = np.isfinite(physics.qpos).all(axis=1) & np.isfinite(physics.qvel).all(axis=1)
        return finite & (low <= height) & (height <= high)

    def reward_terms(
        self, physics: BatchPhysics, actions: np.ndarray, velocity: np.ndarray, healthy: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        given = self.arguments
        contact = given.contact_cost_weight * _sum_of_squares(self._contact_forces(physics))
        return (
            given.forward_reward_weight * velocity,
            -self._control_cost(actions),
            -contact,
            given.healthy_reward * healthy,
        )


class _Body(Formulas):
    """The humanoid's model and observations."""

    fields = ("cinert", "cvel", "qfrc_actuator", "cfrc_ext", "xipos")
    travels = (0, 1)

    def observe(self, physics: BatchPhysics) -> np.ndarray:
        given, fields, count = self.arguments, physics.fields, len(physics.qpos)
        parts = [self._skipped(physics.qpos, 2), physics.qvel]
        for name, first, wanted in (
            ("cinert", 1, given.include_cinert_in_observation),
            ("cvel", 1, given.include_cvel_in_observation),
            ("qfrc_actuator", 6, given.include_qfrc_actuator_in_observation),
            ("cfrc_ext", 1, given.include_cfrc_ext_in_observation),
        ):
            if wanted is True:
                parts.append(fields[name][:, first:].reshape(count, -1))
        return np.concatenate(parts, axis=1)

    def _impact_cost(self, physics: BatchPhysics, weight: float, limits: tuple[float, float]) -> np.ndarray:
        return (weight * _sum_of_squares(physics.fields["cfrc_ext"])).clip(*limits)


class Humanoid(_Body):
    """A body with arms and legs that walks."""

    rewards = ("survive", "forward", "ctrl", "contact")

    def __init__(self, env: MujocoEnv) -> None:
        super().__init__(env)
        self.ends_unhealthy = bool(self.arguments.terminate_when_unhealthy)
        self._shares = self.model.body_mass / self.model.body_mass.sum()

    def position(self, physics: BatchPhysics) -> np.ndarray:
        return physics.fields["xipos"][:, :, 0] @ self._shares

    def is_healthy(self, physics: BatchPhysics) -> np.ndarray:
        return _between(physics.qpos[:, 2], self.arguments.healthy_z_range)

    def reward_terms(
        self, physics: BatchPhysics, actions: np.ndarray, velocity: np.ndarray, healthy: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        given = self.arguments
        return (
            given.healthy_reward * healthy,
            given.forward_reward_weight * velocity,
            -self._control_cost(actions),
            -self._impact_cost(physics, given.contact_cost_weight, given.contact_cost_range),
        )


class HumanoidStandup(_Body):
    """The same body, which gets up from the ground."""

    rewards = ("linup", "quadctrl", "impact", "survive")

    def reward_terms(
        self, physics: BatchPhysics, actions: np.ndarray, velocity: np.ndarray, healthy: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        given = self.arguments
        return (
            physics.qpos[:, 2] / self.model.opt.timestep,
            -self._control_cost(actions),
            -self._impact_cost(physics, given.impact_cost_weight, given.impact_cost_range),
            healthy.astype(float),
        )


# --- in a plane -------------------------------------------------------------------------------------------------------


class _Runner(Formulas):
    """Moves along x, without an end."""

    rewards: ClassVar[tuple[str, ...]] = ("forward", "ctrl")
    travels: ClassVar[tuple[int, ...]] = (0,)

    def observe(self, physics: BatchPhysics) -> np.ndarray:
        return np.concatenate([self._skipped(physics.qpos, len(self.travels)), physics.qvel], axis=1)

    def position(self, physics: BatchPhysics) -> np.ndarray:
        return physics.qpos[:, 0].copy()

    def reward_terms(
        self, physics: BatchPhysics, actions: np.ndarray, velocity: np.ndarray, healthy: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        return self.arguments.forward_reward_weight * velocity, -self._control_cost(actions)


class HalfCheetah(_Runner, _NormalVelocity):
    """Two legs and no end."""


class Swimmer(_Runner):
    """Three links in a fluid."""

    travels = (0, 1)


class Walker2d(_Runner):
    """Two legs that must not fall."""

    rewards = ("forward", "ctrl", "survive")

    def __init__(self, env: MujocoEnv) -> None:
        super().__init__(env)
        self.ends_unhealthy = bool(self.arguments.terminate_when_unhealthy)

    def observe(self, physics: BatchPhysics) -> np.ndarray:
        return np.concatenate([self._skipped(physics.qpos, 1), physics.qvel.clip(-10, 10)], axis=1)

    def is_healthy(self, physics: BatchPhysics) -> np.ndarray:
        height, angle = physics.qpos[:, 1:3].T
        given = self.arguments
        return _between(height, given.healthy_z_range) & _between(angle, given.healthy_angle_range)

    def reward_terms(
        self, physics: BatchPhysics, actions: np.ndarray, velocity: np.ndarray, healthy: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        return (
            *super().reward_terms(physics, actions, velocity, healthy),
            self.arguments.healthy_reward * healthy,
        )


class Hopper(Walker2d):
    """One leg that must not fall."""

    def is_healthy(self, physics: BatchPhysics) -> np.ndarray:
        state = np.concatenate([physics.qpos[:, 2:], physics.qvel], axis=1)
        return super().is_healthy(physics) & _between(state, self.arguments.healthy_state_range).all(axis=1)


# --- pendulums and arms -----------------------------------------------------------------------------------------------


class InvertedPendulum(Formulas):
    """A pole on a cart."""

    rewards = ("survive",)
    ends_unhealthy = True

    def is_healthy(self, physics: BatchPhysics) -> np.ndarray:
        return np.isfinite(self.observe(physics)).all(axis=1) & (np.abs(physics.qpos[:, 1]) <= 0.2)

    def reward_terms(
        self, physics: BatchPhysics, actions: np.ndarray, velocity: np.ndarray, healthy: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        return (healthy.astype(float),)


class InvertedDoublePendulum(_NormalVelocity):
    """Two poles on a cart."""

    fields = ("site_xpos", "qfrc_constraint")
    rewards = ("survive", "distance", "velocity")
    ends_unhealthy = True

    def observe(self, physics: BatchPhysics) -> np.ndarray:
        angles = physics.qpos[:, 1:]
        force = physics.fields["qfrc_constraint"][:, :1]
        return np.concatenate(
            [physics.qpos[:, :1], np.sin(angles), np.cos(angles), physics.qvel.clip(-10, 10), force.clip(-10, 10)],
            axis=1,
        )

    def is_healthy(self, physics: BatchPhysics) -> np.ndarray:
        return physics.fields["site_xpos"][:, 0, 2] > 1

    def reward_terms(
        self, physics: BatchPhysics, actions: np.ndarray, velocity: np.ndarray, healthy: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        x, _, height = physics.fields["site_xpos"][:, 0].T
        lower, upper = physics.qvel[:, 1:3].T
        return (
            self.arguments.healthy_reward * healthy,
            -(0.01 * x**2 + (height - 2) ** 2),
            -(1e-3 * lower**2 + 5e-3 * upper**2),
        )


class _Arm(Formulas):
    """Bodies whose distances are rewarded."""

    fields = ("xpos",)

    def _place(self, physics: BatchPhysics, body: str) -> np.ndarray:
        return physics.fields["xpos"][:, self.model.body(body).id]

    def _distance(self, physics: BatchPhysics, one: str, other: str) -> np.ndarray:
        return np.linalg.norm(self._place(physics, one) - self._place(physics, other), axis=1)

    def _control_cost(self, actions: np.ndarray) -> np.ndarray:
        return self.arguments.reward_control_weight * _sum_of_squares(actions)


class Reacher(_Arm):
    """Two links whose tip reaches a target."""

    rewards = ("dist", "ctrl")

    def observe(self, physics: BatchPhysics) -> np.ndarray:
        angles = physics.qpos[:, :2]
        offset = self._place(physics, "fingertip") - self._place(physics, "target")
        parts = [np.cos(angles), np.sin(angles), physics.qpos[:, 2:], physics.qvel[:, :2], offset[:, :2]]
        return np.concatenate(parts, axis=1)

    def reward_terms(
        self, physics: BatchPhysics, actions: np.ndarray, velocity: np.ndarray, healthy: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        distance = self._distance(physics, "fingertip", "target")
        return -self.arguments.reward_dist_weight * distance, -self._control_cost(actions)

    def start(self, uniform: Draw, normal: Draw) -> tuple[np.ndarray, np.ndarray]:
        """The target is uniform in a disc of 0.2 m."""
        qpos, qvel = self.init_qpos + 0.1 * uniform(self.model.nq), self.init_qvel + 0.005 * uniform(self.model.nv)
        radius, angle = ((uniform(2) + 1) / 2).T
        radius, angle = 0.2 * np.sqrt(radius), 2 * np.pi * angle
        qpos[:, -2:] = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        qvel[:, -2:] = 0
        return qpos, qvel


class Pusher(_Arm):
    """An arm that pushes a cylinder to a goal."""

    rewards = ("dist", "ctrl", "near")

    def observe(self, physics: BatchPhysics) -> np.ndarray:
        places = [self._place(physics, body) for body in ("tips_arm", "object", "goal")]
        return np.concatenate([physics.qpos[:, :7], physics.qvel[:, :7], *places], axis=1)

    def reward_terms(
        self, physics: BatchPhysics, actions: np.ndarray, velocity: np.ndarray, healthy: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        given = self.arguments
        return (
            -given.reward_dist_weight * self._distance(physics, "object", "goal"),
            -self._control_cost(actions),
            -given.reward_near_weight * self._distance(physics, "object", "tips_arm"),
        )

    def start(self, uniform: Draw, normal: Draw) -> tuple[np.ndarray, np.ndarray]:
        """The cylinder is uniform in a rectangle, at least 0.17 m from the goal."""
        qvel = self.init_qvel + 0.005 * uniform(self.model.nv)
        qvel[:, -4:] = 0
        qpos = np.tile(self.init_qpos, (len(qvel), 1))
        # all candidates but one in 10^13 times are near the goal; the first that is not is uniform among those places
        candidates = uniform(64).reshape(len(qvel), 32, 2) * (0.15, 0.2) - (0.15, 0)
        chosen = (np.linalg.norm(candidates, axis=2) > 0.17).argmax(axis=1)
        qpos[:, -4:-2] = candidates[np.arange(len(qvel)), chosen]
        qpos[:, -2:] = 0
        return qpos, qvel


FORMULAS: Mapping[str, type[Formulas]] = {
    "ant_v5:AntEnv": Ant,
    "half_cheetah_v5:HalfCheetahEnv": HalfCheetah,
    "hopper_v5:HopperEnv": Hopper,
    "humanoid_v5:HumanoidEnv": Humanoid,
    "humanoidstandup_v5:HumanoidStandupEnv": HumanoidStandup,
    "inverted_double_pendulum_v5:InvertedDoublePendulumEnv": InvertedDoublePendulum,
    "inverted_pendulum_v5:InvertedPendulumEnv": InvertedPendulum,
    "pusher_v5:PusherEnv": Pusher,
    "reacher_v5:ReacherEnv": Reacher,
    "swimmer_v5:SwimmerEnv": Swimmer,
    "walker2d_v5:Walker2dEnv": Walker2d,
}
"""The environments that step in a batch, by their entry points in ``gymnasium.envs.mujoco``."""


def formulas_of(env: "gymnasium.Env[Any, Any]") -> Formulas | None:
    """Return the formulas of an environment that ``gymnasium.make`` returned, ``None`` if it has none here."""
    spec, own = env.spec, env.unwrapped
    if spec is None or spec.additional_wrappers or not isinstance(own, MujocoEnv):
        return None
    formulas = FORMULAS.get(str(spec.entry_point).removeprefix("gymnasium.envs.mujoco."))
    return None if formulas is None else formulas(own)
