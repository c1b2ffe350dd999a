"""The contracts between the parts of dexhand. Read this file first.

Loops and environments rely only on these contracts, whether the implementation is real (MuJoCo, Isaac Gym, rl_games,
TensorBoard), a mock or user-defined. A suite in ``dexhand.testing`` checks each contract; behaviour that no suite
checks is not guaranteed.

A ``Task`` defines goals, rewards and observations on the ``SimState`` of a ``Simulator``. ``TaskEnv`` joins the two in
a ``VecEnv``, in which an ``Algorithm`` learns and a ``Policy`` plays. To implement one of these, read its class and the
data classes it names.

Symbols in shapes: N environments, D joints (degrees of freedom), B tracked bodies, C contact bodies, O objects,
A actions, F observations, Fc critic observations, T reward terms, K drawn bodies, E drawn environments.

Units: metres, radians, seconds, newtons, kilograms. Quaternions are (x, y, z, w), unit length. All poses, velocities
and forces are in the environment's own frame: origin at the environment's centre on the ground, z up.
Tensors are float32 on the implementation's ``device`` unless stated otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NotRequired, Protocol, TypedDict

from dexhand.hands.spec import HandSpec

if TYPE_CHECKING:
    import numpy as np
    from torch import Generator, Tensor, device

Vec3 = tuple[float, float, float]
Quat = tuple[float, float, float, float]
Metrics = dict[str, float]


# --- simulation -------------------------------------------------------------------------------------------------------


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
    """The point the camera looks at, metres."""
    fovy: float = 45.0
    """Vertical field of view, degrees."""


@dataclass(frozen=True)
class Scene:
    """One hand above a ground plane at z = 0, with its objects. Every simulator builds from this description."""

    hand: HandSpec
    """Gives the MJCF, the joints (axis D) and the servo gains."""
    hand_position: Vec3 = (0.0, 0.0, 0.5)
    """Position of the hand's fixed root, metres; base joints are displacements from it along the world's axes."""
    bodies: tuple[str, ...] = ()
    """Tracked bodies, in the order of axis B."""
    contact_bodies: tuple[str, ...] = ()
    """Bodies whose net contact force is measured, in the order of axis C."""
    objects: tuple[Box, ...] = ()
    """Objects, in the order of axis O."""
    ground_friction: float = 0.5
    cameras: tuple[Camera, ...] = (Camera("default", position=(0.72, -0.55, 0.62), target=(0.12, 0.0, 0.32)),)

    def camera(self, name: str) -> Camera:
        """Return the camera of that name. Raises ``ValueError``, listing all cameras, if there is none."""
        for camera in self.cameras:
            if camera.name == name:
                return camera
        known = ", ".join(camera.name for camera in self.cameras)
        raise ValueError(f"camera={name!r} is not in the scene. Cameras: {known}")


@dataclass(frozen=True)
class SimState:
    """The physical state of all environments.

    The simulator owns these tensors and updates them in place. Never write to them, and clone what you need beyond the
    next ``step`` or ``reset``.
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
    """Net contact force on each contact body in the last physics step, N; 0 after a reset. Shape (N, C, 3)."""
    object_pos: Tensor
    """Object centres, metres. Shape (N, O, 3)."""
    object_quat: Tensor
    """Object orientations. Shape (N, O, 4)."""
    object_linvel: Tensor
    """Velocities of the object centres, m/s. Shape (N, O, 3)."""
    object_angvel: Tensor
    """Angular velocities of the objects, rad/s. Shape (N, O, 3)."""
    object_contact_force: Tensor
    """Net contact force on each object in the last physics step, N; 0 after a reset. Shape (N, O, 3)."""


PHYSICS: Mapping[str, str] = {
    "object_mass": "Masses of the objects, kg; inertias scale with them. Shape (N, O).",
    "object_friction": "Sliding friction coefficients of the objects. Shape (N, O).",
    "ground_friction": "Sliding friction coefficient of the ground. Shape (N,).",
    "hand_mass": "Factor on the masses and inertias of all hand bodies in the MJCF. Shape (N,).",
    "hand_friction": "Factor on the sliding friction coefficients of all hand geoms in the MJCF. Shape (N,).",
    "stiffness": "Position gains of the joint servos, N/m or N m/rad. Shape (N, D).",
    "damping": "Velocity gains of the joint servos, N s/m or N m s/rad. Shape (N, D).",
    "joint_damping": "Passive joint damping, in addition to the servos', N s/m or N m s/rad. Shape (N, D).",
    "armature": "Reflected inertias of the drives, kg or kg m^2. Shape (N, D).",
    "gravity": "Gravitational acceleration, m/s^2. Shape (N, 3).",
}
"""Physical parameters that a simulator may support varying between environments. Masses must be positive, everything
else except gravity non-negative. Each simulator has its own rule for combining the friction coefficients of two
touching shapes; MuJoCo takes the larger one.
"""


class Simulator(Protocol):
    """N copies of one scene, stepped together."""

    num_envs: int
    device: device
    scene: Scene
    control_dt: float
    """Simulated seconds per ``step``."""
    dof_names: tuple[str, ...]
    """``scene.hand.dof_names``: six base joints, then the finger joints, finger by finger. Length D."""
    dof_limits: Tensor
    """Lower and upper joint limits, m or rad. Shape (D, 2)."""
    state: SimState

    @property
    def physics(self) -> Mapping[str, Tensor]:
        """Current values of the ``PHYSICS`` parameters that this simulator can vary. Never write to them.

        They start at the scene's values. ``randomize`` replaces tensors instead of changing them, so ``dict(physics)``
        is a snapshot.
        """

    def step(self, dof_targets: Tensor) -> None:
        """Advance every environment by ``control_dt`` with the joint servos held at ``dof_targets`` (N, D), m or rad.

        Targets outside the joint limits are clamped; ``dof_targets`` itself is not modified. Environments never
        influence each other, and the same state and targets give bit-identical results for any number of threads.
        """

    def reset(self, mask: Tensor, dof_pos: Tensor, object_pose: Tensor) -> None:
        """Place the environments where ``mask`` (N,) bool is true in a given pose, at rest, with targets at that pose.

        ``dof_pos`` is (N, D), ``object_pose`` (N, O, 7) position and quaternion; rows outside the mask are ignored.
        Takes no simulated time, leaves all other environments bit-identical, and updates ``state`` immediately. An
        environment that has diverged, with NaN in its state, recovers completely.
        """

    def randomize(self, mask: Tensor, values: Mapping[str, Tensor]) -> None:
        """Set physical parameters where ``mask`` (N,) bool is true, from the next step on.

        ``values`` maps names in ``physics`` to tensors of the same shape as there; rows outside the mask are ignored,
        and all other environments stay bit-identical. The values persist across resets until the next call and are
        part of ``state_dict``; loading a state without physics restores the scene's values.

        Raises ``ValueError``, changing nothing, for a name not in ``physics``, a wrong shape of mask or values, and, on
        the CPU, values out of range.
        """

    def render(self, env_id: int, camera: str = "default", width: int = 640, height: int = 480) -> np.ndarray:
        """Render the current state of one environment. Returns uint8 (height, width, 3), RGB.

        Raises ``ValueError`` for an unknown camera, listing the known ones, and ``RenderingUnavailable``, naming what
        to install, if this machine cannot render. Does not affect stepping.
        """

    def state_dict(self) -> dict[str, Tensor]:
        """Copy the complete simulation state: after ``load_state_dict`` the same steps give bit-identical results."""

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore a ``state_dict()`` of a simulator with the same scene and number of environments.

        Updates the attribute ``state`` immediately, including contact forces.
        """

    def close(self) -> None:
        """Release all resources. Calling it again does nothing; no other method may be called afterwards."""


class RenderingUnavailable(RuntimeError):
    """Rendering is not possible on this machine; the message names what to install."""


# --- task -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ResetPose:
    """Starting poses: one row per environment, whether it is being reset or not."""

    dof_pos: Tensor
    """Joint positions within their limits, m or rad. Shape (N, D)."""
    object_pose: Tensor
    """Object positions, metres, and quaternions. Shape (N, O, 7)."""


@dataclass(frozen=True)
class Observations:
    """Observation groups of all environments."""

    policy: Tensor
    """Shape (N, F)."""
    critic: Tensor | None = None
    """Shape (N, Fc); ``None`` = the critic uses the policy's observations."""


@dataclass(frozen=True)
class StepResult:
    """A task's evaluation of one control step in all environments."""

    observations: Observations
    reward_terms: Tensor
    """Weighted reward terms; their sum is the reward. Shape (N, T)."""
    success: Tensor
    """Which success criteria hold, bool. Shape (N, number of success criteria)."""
    failure: Tensor
    """Which failure criteria hold, bool. Shape (N, number of failure criteria)."""
    timeout: Tensor
    """Which episodes have reached their step limit, bool. Shape (N,)."""


class Task(Protocol):
    """Actions, observations, rewards and endings: pure tensor code that runs with any simulator.

    A task keeps state between control steps (previous targets, timers, goals) but has no clock and no random state.
    In every step, ``TaskEnv`` calls ``dof_targets``, steps the simulator and calls ``evaluate``; if episodes ended, it
    then calls ``reset_pose``, ``reset`` and ``observe``.

    Everything random (starting poses, goals, commands, noise) is drawn from the ``torch.Generator`` passed in, which is
    on the task's device, and stored in the task's state. A method draws the same amount for all environments in every
    call, so that no environment's random numbers depend on what happens in another.
    """

    num_observations: int
    """Size F of the policy's observations."""
    num_critic_observations: int
    """Size Fc of the critic observations; 0 = ``Observations.critic`` is ``None``."""
    num_actions: int
    """Number of actions, A."""
    reward_names: tuple[str, ...]
    """Names of the reward terms, in the order of axis T."""
    success_names: tuple[str, ...]
    failure_names: tuple[str, ...]

    def dof_targets(self, actions: Tensor) -> Tensor:
        """Convert actions (N, A) in [-1, 1] to joint targets (N, D), m or rad."""

    def evaluate(self, state: SimState, generator: Generator) -> StepResult:
        """Evaluate the control step that has just ended and advance timers. Called exactly once per step."""

    def observe(self, state: SimState) -> Observations:
        """Compute the observations of ``state``, advancing and drawing nothing.

        Right after ``evaluate`` the result is bit-identical to the observations that it returned.
        """

    def reset_pose(self, generator: Generator) -> ResetPose:
        """Draw starting poses for all environments."""

    def reset(self, mask: Tensor, state: SimState, generator: Generator) -> None:
        """Start new episodes where ``mask`` (N,) bool is true; ``state`` already holds their starting poses.

        New episodes do not depend on those before, even if ``evaluate`` was given NaN in a state that had diverged.
        """

    def state_dict(self) -> dict[str, Tensor]:
        """Copy the state kept between control steps."""

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Copy the state of a ``state_dict()`` into this task."""


# --- environment ------------------------------------------------------------------------------------------------------


class Space(Protocol):
    """A space of real vectors, such as ``gymnasium.spaces.Box``."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one element."""

    def sample(self) -> Any:
        """Draw a random element."""


class StepInfo(TypedDict):
    """The ``info`` dictionary that ``VecEnv.step`` returns."""

    final_observation: Tensor
    """Last observation of an episode that ended in this step; elsewhere the returned observation. Shape (N, F)."""
    outcome: Tensor
    """How the episode ended, an index into ``VecEnv.outcome_names``; -1 where it continues. int64, shape (N,)."""
    reward_terms: Tensor
    """Weighted reward terms of this step; their sum is the reward. Shape (N, T)."""
    critic_observations: NotRequired[Tensor]
    """Critic observations that belong to the returned observations: of the new episode where one ended. Present if and
    only if the environment has a ``single_critic_observation_space``. Shape (N, Fc).
    """


class VecEnv(Protocol):
    """N independent episodes of one task. Signatures and auto-reset follow Gymnasium's vector environments.

    When an episode ends, ``step`` resets that environment and returns the first observation of the new episode; the
    last one of the old episode is in ``info["final_observation"]``. The caller owns every returned tensor: later steps
    do not change it, and writing to it does not affect the environment. All randomness comes from the environment's own
    generators; global random state is neither read nor changed.
    """

    num_envs: int
    device: device
    reward_names: tuple[str, ...]
    outcome_names: tuple[str, ...]
    """Possible outcomes of an episode: ``success:<name>``, ``failure:<name>`` or ``timeout``."""

    @property
    def single_observation_space(self) -> Space:
        """Space of one environment's policy observations: shape (F,), unbounded."""

    @property
    def single_critic_observation_space(self) -> Space | None:
        """Space of one environment's critic observations: shape (Fc,), unbounded; ``None`` = it has none."""

    @property
    def single_action_space(self) -> Space:
        """Space of one environment's actions: shape (A,), bounds -1 and 1."""

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Start new episodes in all environments; returns observations (N, F) and a dictionary.

        The dictionary holds ``critic_observations`` (N, Fc) if the environment has any, and nothing else. A seed
        determines all random numbers from here on; without one the random sequence continues.
        """

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, StepInfo]:
        """Run one control step with ``actions`` (N, A), which are clamped to [-1, 1].

        Returns observations (N, F), rewards (N,), terminated (N,) bool, truncated (N,) bool and the info. The task
        terminates an episode; the step limit, the same for all episodes, truncates it; never both. Raises
        ``RuntimeError`` before the first ``reset``, and ``ValueError``, changing nothing, for actions that have a wrong
        shape or are not finite.
        """

    def render(self, env_id: int = 0, camera: str = "default", width: int = 640, height: int = 480) -> np.ndarray:
        """Render one environment. See ``Simulator.render``."""

    def state_dict(self) -> dict[str, Any]:
        """Copy the state of simulator and task, episode counters and random state."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a ``state_dict()`` exactly: from here on the same actions give bit-identical results."""

    def close(self) -> None:
        """Release all resources. Calling it again does nothing."""


# --- drawing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Shape:
    """A rigid shape that is fixed to a body. It never changes."""

    kind: Literal["box", "ellipsoid", "cylinder", "capsule", "mesh"]
    """Cylinders and capsules are round about their z axis."""
    body: int
    """Index of its body in axis K."""
    size: Vec3
    """Extents along the shape's own axes, metres; a capsule's ends included. Factors on the vertices of a mesh."""
    position: Vec3 = (0.0, 0.0, 0.0)
    """Centre of the shape (origin of the vertices of a mesh) in the frame of its body, metres."""
    quat: Quat = (0.0, 0.0, 0.0, 1.0)
    """Orientation in the frame of its body."""
    rgba: tuple[float, float, float, float] = (0.5, 0.5, 0.5, 1.0)
    vertices: np.ndarray | None = None
    """Of a mesh, float32, metres. Shape (number of vertices, 3)."""
    faces: np.ndarray | None = None
    """Of a mesh: triangles, counter-clockwise seen from outside, as indices of vertices. int32, shape (number, 3)."""


@dataclass(frozen=True, eq=False)
class Frame:
    """What E environments look like at one moment. The caller owns the arrays."""

    body_pose: np.ndarray
    """Positions, metres, and quaternions of all bodies. float32, shape (E, K, 7)."""
    force: np.ndarray
    """Points, metres, and contact forces that act there, N; 0 where there is no contact. float32, shape (E, any, 6)."""
    caption: tuple[str, ...]
    """What to know about each environment beside its picture, such as the stage of the task; may be empty. Length E."""


class Drawable(Protocol):
    """An environment that can be drawn on any machine: shapes once, then the poses of their bodies.

    All methods are called from the thread that steps the environment.
    """

    control_dt: float
    """Simulated seconds per step."""

    @property
    def shapes(self) -> Sequence[Shape]:
        """All shapes of one environment; all environments have the same. The ground, at z = 0, is not among them."""

    def frame(self, env_ids: Sequence[int]) -> Frame:
        """Copy the current state of the environments ``env_ids``, in this order, which may be empty.

        Draws no random numbers and does not affect later steps.
        """


# --- learning ---------------------------------------------------------------------------------------------------------


class Policy(Protocol):
    """Maps observations to actions."""

    def act(self, observations: Tensor) -> Tensor:
        """Return actions (N, A) in [-1, 1] for observations (N, F). Deterministic; leaves random state untouched."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy the weights of an ``Algorithm.state_dict()``. Raises ``ValueError``, changing nothing, on a mismatch."""


@dataclass(frozen=True)
class Iteration:
    """Result of one training iteration."""

    iterations_done: int
    """Iterations so far, including this one."""
    frames_done: int
    """Environment steps so far, summed over all environments."""
    mean_return: float | None
    """Mean return of the most recent episodes; ``None`` until one has finished."""
    metrics: Metrics = field(default_factory=dict)
    """Scalars of this iteration by name (``losses/actor``, ``rewards/alive`` ...).

    Training ends as diverged if one of ``losses/...`` or ``info/param_norm``, the norm of all weights, is not finite.
    """


class Algorithm(Protocol):
    """A learner that is driven one iteration at a time."""

    @property
    def iterations_done(self) -> int:
        """Iterations so far, including those before a resume."""

    @property
    def frames_done(self) -> int:
        """Environment steps so far, summed over all environments."""

    def iterate(self) -> Iteration:
        """Collect one rollout and learn from it.

        Raises ``finite.Diverged``, in all processes alike, if observations are not finite.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return everything a resumed run needs: nested dictionaries, lists, tensors and plain values only.

        Other code reads two keys: ``model``, the policy's weights by name, and ``epoch``, equal to ``iterations_done``.
        The key ``train_loop`` is reserved for ``TrainLoop``; all others are up to the learner. Tensors may be the
        learner's own: save or copy them before the next ``iterate``. They are finite, except under the key ``env`` of
        any dictionary: otherwise training has diverged, ends, and is not saved.
        """

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume from a ``state_dict()``, which is copied.

        Raises ``ValueError``, naming the mismatch and changing nothing, if it does not fit.
        """

    def load_weights(self, state: Mapping[str, Any]) -> None:
        """Load only the networks of another run's ``state_dict()``, for fine-tuning.

        ``state`` needs no key but ``model``. Raises ``ValueError``, naming the mismatch and changing nothing, if it
        does not fit.
        """

    def policy(self) -> Policy:
        """Return a copy of the current policy; later iterations do not change it."""

    def close(self) -> None:
        """Release all resources except the environments, which belong to the caller."""


class AlgorithmClass(Protocol):
    """A learner class, as named by ``train.algorithm``."""

    def __call__(self, env: VecEnv, config: Any) -> Algorithm:
        """Create a learner for ``env``. ``config`` is the run's ``dexhand.config.schema.Config``.

        A class that supports training in several processes also takes ``group``, a ``ProcessGroup``.
        """

    def policy_from_state(
        self, state: dict[str, Any], *, num_observations: int, num_actions: int, device: device
    ) -> Policy:
        """Create the policy of an ``Algorithm.state_dict()``, which is copied. A static or class method.

        Raises ``ValueError`` if the policy has other numbers of observations F or actions A.
        """


# --- services ---------------------------------------------------------------------------------------------------------


class MetricSink(Protocol):
    """Receives metrics."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Record ``values``, which need not be finite, at ``step`` (environment frames). They are copied."""

    def close(self) -> None:
        """Flush pending values. Calling it again does nothing."""


class Clock(Protocol):
    """Time, behind an interface so that tests can replace it."""

    def monotonic(self) -> float:
        """Return monotonic time in seconds, for durations."""

    def now(self) -> float:
        """Return seconds since 1970-01-01 UTC, for names and records."""

    def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``."""
