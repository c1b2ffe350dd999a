"""The contracts between the parts of dexhand. Read this file first.

Loops and environments rely only on these contracts, whether the implementation is real (MuJoCo, Isaac Gym, rl_games,
TensorBoard), a mock or user-defined. A suite in ``dexhand.testing`` checks each contract; behaviour that no suite
checks is not guaranteed.

A ``VecEnv`` is the narrow waist: an ``Algorithm`` learns in it, a ``Policy`` plays in it, and if it is ``Drawable``, it
can be watched. Nothing here knows of a robot or a simulator; what a hand's environment consists of is in
``dexhand.hand_env.interfaces``. To implement a contract, read its class and the data classes it names.

Symbols in shapes: N environments, A actions, F observations, Fc critic observations, T reward terms, K drawn bodies,
E drawn environments.

Units: metres, radians, seconds, newtons, kilograms. Quaternions are (x, y, z, w), unit length. All poses, velocities
and forces are in the environment's own frame: origin at the environment's centre on the ground, z up.
Tensors are float32 on the implementation's ``device`` unless stated otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NotRequired, Protocol, TypedDict

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, device

Vec3 = tuple[float, float, float]
Quat = tuple[float, float, float, float]
Metrics = dict[str, float]


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


class RenderingUnavailable(RuntimeError):
    """Rendering is not possible on this machine; the message names what to install."""


class EnvironmentFault(Exception):
    """An environment that other programs provide has failed; the message is one line with its name and what it did.

    It is no error of a kind that other code catches. Its notes say what to do.
    """

    def __init__(self, environment: str, problem: str) -> None:
        super().__init__(f"{environment}: {problem}")
        self.problem = problem


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
        """Copy the state of simulator and task, episode counters and random state.

        Environments that cannot be saved lack this method; a training of theirs cannot continue exactly.
        """

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

        Raises ``finite.Diverged``, in all processes alike, if observations are not finite. For a plug-in that trains in
        one process, the environments that it is given do so.
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
