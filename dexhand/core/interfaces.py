"""The contracts between the parts of dexhand. Read this file first.

Everything real (MuJoCo, Isaac Gym, rl_games, TensorBoard) and everything mock meets here and nowhere else.
Each contract is checked by a suite in ``dexhand.testing``; what no suite checks is not promised.

Symbols in shapes: N environments, D joints (degrees of freedom), B tracked bodies, C contact bodies, O objects,
A actions, F observations, T reward terms.

Units: metres, radians, seconds, newtons, kilograms. Quaternions are (x, y, z, w), unit length. All poses, velocities
and forces are in the environment's own frame: origin at the environment's centre on the ground, z up.
Tensors are float32 on the implementation's ``device`` unless a line says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NotRequired, Protocol, TypedDict

from dexhand.hands.spec import HandSpec

if TYPE_CHECKING:
    import numpy as np
    from torch import Generator, Tensor, device

Vec3 = tuple[float, float, float]
Quat = tuple[float, float, float, float]
Metrics = dict[str, float]


# --- what is simulated ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Box:
    """A free rigid box."""

    name: str
    size: Vec3
    """Edge lengths, metres."""
    mass: float
    """Kilograms."""
    friction: float = 1.0
    """Sliding friction coefficient."""
    rgba: tuple[float, float, float, float] = (0.5, 0.8, 1.0, 1.0)


@dataclass(frozen=True)
class Camera:
    """A fixed camera of the scene."""

    name: str
    position: Vec3
    """Metres."""
    target: Vec3
    """The point looked at, metres."""
    fovy: float = 45.0
    """Vertical field of view, degrees."""


@dataclass(frozen=True)
class Scene:
    """One hand over a ground plane at z = 0, with its objects: the same description for every simulator."""

    hand: HandSpec
    """Its MJCF, its joints, which give axis D, and the gains of their servos."""
    hand_position: Vec3 = (0.0, 0.0, 0.5)
    """Where the fixed root of the hand stands; base joints are displacements from here, along the world's axes."""
    bodies: tuple[str, ...] = ()
    """Tracked bodies, the order of axis B."""
    contact_bodies: tuple[str, ...] = ()
    """Bodies whose net contact force is measured, the order of axis C."""
    objects: tuple[Box, ...] = ()
    """The order of axis O."""
    ground_friction: float = 0.5
    cameras: tuple[Camera, ...] = (Camera("default", position=(0.72, -0.55, 0.62), target=(0.12, 0.0, 0.32)),)


@dataclass(frozen=True)
class SimState:
    """The physical state of all environments. The tensors are the simulator's own: it refreshes them in place.

    Read, never write. Clone what must outlive the next ``step`` or ``reset``.
    """

    dof_pos: Tensor
    """Joint positions, m or rad, in the order of ``Simulator.dof_names``. Shape (N, D)."""
    dof_vel: Tensor
    """Joint velocities, m/s or rad/s. Shape (N, D)."""
    body_pos: Tensor
    """Origins of the tracked bodies, metres. Shape (N, B, 3)."""
    body_quat: Tensor
    """Orientations of the tracked bodies. Shape (N, B, 4)."""
    body_linvel: Tensor
    """Velocities of the tracked bodies' origins, m/s. Shape (N, B, 3)."""
    body_angvel: Tensor
    """Angular velocities of the tracked bodies, rad/s. Shape (N, B, 3)."""
    contact_force: Tensor
    """Net contact force on each contact body in the last physics step, newtons; 0 after a reset. Shape (N, C, 3)."""
    object_pos: Tensor
    """Object centres, metres. Shape (N, O, 3)."""
    object_quat: Tensor
    """Object orientations. Shape (N, O, 4)."""
    object_linvel: Tensor
    """Velocities of the object centres, m/s. Shape (N, O, 3)."""
    object_angvel: Tensor
    """Angular velocities of the objects, rad/s. Shape (N, O, 3)."""
    object_contact_force: Tensor
    """Net contact force on each object during the last physics step, newtons; 0 after a reset. Shape (N, O, 3)."""


PHYSICS: Mapping[str, str] = {
    "object_mass": "Masses of the objects, kg; their inertias follow. Shape (N, O).",
    "object_friction": "Sliding friction coefficients of the objects. Shape (N, O).",
    "ground_friction": "Sliding friction coefficient of the ground. Shape (N,).",
    "hand_mass": "Masses and inertias of all bodies of the hand, as a factor of its file's. Shape (N,).",
    "hand_friction": "Sliding friction coefficients of all shapes of the hand, as a factor of its file's. Shape (N,).",
    "stiffness": "Position gains of the joint servos, N/m or N m/rad. Shape (N, D).",
    "damping": "Velocity gains of the joint servos, N s/m or N m s/rad. Shape (N, D).",
    "joint_damping": "Damping of the joints themselves, beside the servos', N s/m or N m s/rad. Shape (N, D).",
    "armature": "Inertias of the drives as the joints feel them, kg or kg m^2. Shape (N, D).",
    "gravity": "Acceleration of free fall, m/s^2. Shape (N, 3).",
}
"""Physical parameters that a simulator may be able to vary between environments. Masses are positive, all others but
gravity not negative. How the friction coefficients of two touching shapes combine is the simulator's own: MuJoCo
takes the larger one.
"""


class Simulator(Protocol):
    """N copies of one scene, stepped together."""

    num_envs: int
    device: device
    scene: Scene
    control_dt: float
    """Seconds of simulated time per ``step``."""
    dof_names: tuple[str, ...]
    """``scene.hand.dof_names``: six base joints, then finger by finger. Length D."""
    dof_limits: Tensor
    """Lower and upper joint limits, m or rad. Shape (D, 2)."""
    state: SimState

    @property
    def physics(self) -> Mapping[str, Tensor]:
        """The parameters of ``PHYSICS`` that this simulator can vary, with their present values; read, never write.

        Those of the scene until ``randomize`` is called, which replaces tensors: ``dict(physics)`` keeps the old ones.
        """

    def step(self, dof_targets: Tensor) -> None:
        """Advance every environment by ``control_dt`` with the joint servos held at ``dof_targets`` (N, D), m or rad.

        Targets outside the joint limits are clamped. Environments never influence each other, and the same state and
        targets give the same result, bit for bit, whatever the number of threads. Never writes to ``dof_targets``.
        """

    def reset(self, mask: Tensor, dof_pos: Tensor, object_pose: Tensor) -> None:
        """Put the environments where ``mask`` (N,) bool is true into a given pose, at rest, targets at the pose.

        ``dof_pos`` (N, D), ``object_pose`` (N, O, 7) position and quaternion; rows outside the mask are ignored.
        Costs no simulated time, changes no bit of any other environment, and ``state`` shows the new pose at once.
        """

    def randomize(self, mask: Tensor, values: Mapping[str, Tensor]) -> None:
        """Give the environments where ``mask`` (N,) bool is true other physics, from the next step on.

        ``values`` names parameters of ``physics``, each of its shape there; rows outside the mask are ignored, and no
        bit of any other environment changes. Lasts until the next call, resets included, and is part of
        ``state_dict``; a saved state that has no physics is one of the scene's own.

        Raises ``ValueError`` for a name that ``physics`` does not have, for another shape and, on a CPU, for values
        that are out of range; nothing has changed then.
        """

    def render(self, env_id: int, camera: str = "default", width: int = 640, height: int = 480) -> np.ndarray:
        """Draw one environment now. Returns uint8 (height, width, 3), RGB.

        Raises ``ValueError`` for an unknown camera, listing those there are, and ``RenderingUnavailable`` where nothing
        can draw, naming what to install; stepping goes on as before.
        """

    def state_dict(self) -> dict[str, Tensor]:
        """Everything the future depends on, copied: after ``load_state_dict`` the same steps give the same bits."""

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from ``state_dict()`` of a simulator of the same scene and number of environments.

        ``state`` shows the saved moment at once, contact forces included.
        """

    def close(self) -> None:
        """Free what is held. Calling it again does nothing; nothing else may be called after it."""


class RenderingUnavailable(RuntimeError):
    """Nothing here can draw; the message says what to install."""


# --- what is asked of the hand ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ResetPose:
    """Where environments begin: one row for every environment, whether it is being reset or not."""

    dof_pos: Tensor
    """Joint positions within their limits, m or rad. Shape (N, D)."""
    object_pose: Tensor
    """Object positions and quaternions. Shape (N, O, 7)."""


@dataclass(frozen=True)
class Observations:
    """What policy and critic see of every environment."""

    policy: Tensor
    """Shape (N, F)."""
    critic: Tensor | None = None
    """Shape (N, Fc); ``None`` = the critic sees what the policy sees."""


@dataclass(frozen=True)
class StepResult:
    """A task's evaluation of one control step, for every environment."""

    observations: Observations
    reward_terms: Tensor
    """Weighted reward terms; their sum is the reward. Shape (N, T)."""
    success: Tensor
    """Which success criterion holds, bool. Shape (N, number of success criteria)."""
    failure: Tensor
    """Which failure criterion holds, bool. Shape (N, number of failure criteria)."""
    timeout: Tensor
    """The episode's steps are used up, bool. Shape (N,)."""


class Task(Protocol):
    """What is asked of the hand: tensor code only, the same on every simulator.

    A task keeps state between control steps (previous targets, timers, goals) but has no clock and no random state.
    ``TaskEnv`` calls ``dof_targets``, then lets the simulator step, then calls ``evaluate``; for environments that
    finished it calls ``reset_pose`` and ``reset`` and then ``observe``.

    What is random (starting poses, goals, commands, noise) is drawn from the generator passed in, a ``torch.Generator``
    on the task's device, and remembered in the task's state. Every call draws the same amount, for all environments,
    whatever happens in them: then no environment's numbers depend on what another one does.
    """

    num_observations: int
    """F."""
    num_critic_observations: int
    """Fc; 0 = the critic sees what the policy sees, and ``Observations.critic`` is ``None``."""
    num_actions: int
    """A."""
    reward_names: tuple[str, ...]
    """Names of the reward terms, the order of axis T."""
    success_names: tuple[str, ...]
    failure_names: tuple[str, ...]

    def dof_targets(self, actions: Tensor) -> Tensor:
        """Turn actions (N, A) in [-1, 1] into joint targets (N, D), m or rad."""

    def evaluate(self, state: SimState, generator: Generator) -> StepResult:
        """Evaluate the control step that has just ended. Called exactly once a step: timers advance here."""

    def observe(self, state: SimState) -> Observations:
        """The observations of ``state`` as it is, advancing and drawing nothing: after ``evaluate`` the same bits."""

    def reset_pose(self, generator: Generator) -> ResetPose:
        """Draw starting poses for all environments."""

    def reset(self, mask: Tensor, state: SimState, generator: Generator) -> None:
        """Start new episodes where ``mask`` (N,) is true; ``state`` already shows their starting poses."""

    def state_dict(self) -> dict[str, Tensor]:
        """The state kept between control steps, copied."""

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue with the state of ``state_dict()``, which is copied."""


# --- what is trained on -----------------------------------------------------------------------------------------------


class Space(Protocol):
    """A box of real vectors; ``gymnasium.spaces.Box`` is one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one member."""

    def sample(self) -> Any:
        """A random member."""


class StepInfo(TypedDict):
    """The fifth value of ``VecEnv.step``, a dictionary with these keys."""

    final_observation: Tensor
    """Last observation of the episode that ended in this step; elsewhere equal to the observation. Shape (N, F)."""
    outcome: Tensor
    """Index into ``VecEnv.outcome_names`` of how the episode ended, -1 where it goes on, int64. Shape (N,)."""
    reward_terms: Tensor
    """Weighted reward terms of this step; their sum is the reward. Shape (N, T)."""
    critic_observations: NotRequired[Tensor]
    """What the critic sees beside the observations returned: after a reset, of the new episode. There if and only if
    the environment has a ``single_critic_observation_space``. Shape (N, Fc).
    """


class VecEnv(Protocol):
    """N independent episodes of one task. Signatures and auto-reset follow Gymnasium's vector environments.

    An environment that finishes is reset within the same ``step``, which returns the first observation of the new
    episode; the last one of the old is in ``info["final_observation"]``. Every returned tensor is the caller's: a later
    step never changes it, and what the caller writes to it changes nothing. What is random comes from generators of the
    environment's own: global random states are neither read nor changed.
    """

    num_envs: int
    device: device
    reward_names: tuple[str, ...]
    outcome_names: tuple[str, ...]
    """Ways an episode can end, each ``success:<name>``, ``failure:<name>`` or ``timeout``."""

    @property
    def single_observation_space(self) -> Space:
        """What the policy sees of one environment: shape (F,), unbounded."""

    @property
    def single_critic_observation_space(self) -> Space | None:
        """What the critic sees of one environment: shape (Fc,), unbounded; ``None`` = what the policy sees."""

    @property
    def single_action_space(self) -> Space:
        """What one environment takes: shape (A,), bounds -1 and 1."""

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Start new episodes everywhere; returns observations (N, F) and a dictionary.

        The dictionary holds ``critic_observations`` (N, Fc) where the environment has any, and nothing else.
        With a seed, everything random that follows is determined by it; without, drawing goes on.
        """

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, StepInfo]:
        """One control step. ``actions`` (N, A) are clamped to [-1, 1].

        Returns observations (N, F), rewards (N,), terminated (N,) bool: the task ended it, truncated (N,) bool: time
        ended it (never both), after the same number of steps in every episode, and the info. Raises ``RuntimeError``
        before the first ``reset``, and ``ValueError`` for actions of another shape or not finite; nothing has happened
        then.
        """

    def render(self, env_id: int = 0, camera: str = "default", width: int = 640, height: int = 480) -> np.ndarray:
        """Draw one environment. See ``Simulator.render``."""

    def state_dict(self) -> dict[str, Any]:
        """The state of simulation and task, episode counters and random state, copied."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue exactly where ``state_dict()`` was taken: the same actions give the same bits."""

    def close(self) -> None:
        """Free what is held. Calling it again does nothing."""


# --- what learns ------------------------------------------------------------------------------------------------------


class Policy(Protocol):
    """Observations in, actions out."""

    def act(self, observations: Tensor) -> Tensor:
        """Actions (N, A) in [-1, 1] for observations (N, F). Deterministic; touches no random state."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy the weights of an ``Algorithm.state_dict()``: all of them, or ``ValueError`` and nothing has changed."""


@dataclass(frozen=True)
class Iteration:
    """What one training iteration did."""

    iterations_done: int
    """Iterations behind us, this one included."""
    frames_done: int
    """Environment steps behind us, all environments counted."""
    mean_return: float | None
    """Mean return of the newest finished episodes; ``None`` before the first has finished."""
    metrics: Metrics = field(default_factory=dict)
    """Scalars of this iteration by name (``losses/actor``, ``rewards/alive`` ...)."""


class Algorithm(Protocol):
    """A learner that is driven one iteration at a time."""

    @property
    def iterations_done(self) -> int:
        """Iterations behind it, those of a run that is continued included."""

    @property
    def frames_done(self) -> int:
        """Environment steps behind it, all environments counted."""

    def iterate(self) -> Iteration:
        """Collect one rollout and learn from it."""

    def state_dict(self) -> dict[str, Any]:
        """Everything a resumed run needs: nested dictionaries, lists, tensors and plain values only.

        Others read two keys: ``model``, the policy's weights by name, and ``epoch``, equal to ``iterations_done``. All
        other keys are the learner's own; ``train_loop`` is taken, a checkpoint has ``TrainLoop``'s state there.
        Tensors may be the learner's own: save or copy them before the next ``iterate``.
        """

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from ``state_dict()``, which is copied.

        Raises ``ValueError`` naming what does not fit, and changes nothing then.
        """

    def load_weights(self, state: Mapping[str, Any]) -> None:
        """Begin with the networks of ``state_dict()`` of another run and everything else fresh.

        Only ``model`` must be there. Raises ``ValueError`` naming what does not fit, and changes nothing then.
        """

    def policy(self) -> Policy:
        """The policy as it is now; later iterations do not change it."""

    def close(self) -> None:
        """Free what is held, but not the environments: whoever made them closes them."""


class AlgorithmClass(Protocol):
    """A class of learners, which ``train.algorithm`` may name."""

    def __call__(self, env: VecEnv, config: Any) -> Algorithm:
        """Make a learner of ``env``. ``config`` is the run's ``dexhand.config.schema.Config``.

        A class that can train in several processes also takes ``group``, a ``ProcessGroup``.
        """

    def policy_from_state(
        self, state: dict[str, Any], *, num_observations: int, num_actions: int, device: device
    ) -> Policy:
        """The policy of ``Algorithm.state_dict()``, as a static or class method; the state is copied.

        Raises ``ValueError`` where it is for other numbers of observations F or actions A.
        """


# --- around it --------------------------------------------------------------------------------------------------------


class MetricSink(Protocol):
    """Where numbers go."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Record ``values``, finite or not, at ``step`` (environment frames). They are copied."""

    def close(self) -> None:
        """Write out what is pending. Calling it again does nothing."""


class Clock(Protocol):
    """Time, as something a test can hold in its hand."""

    def monotonic(self) -> float:
        """Seconds that only grow; for durations."""

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC; for names and records."""

    def sleep(self, seconds: float) -> None:
        """Wait."""
