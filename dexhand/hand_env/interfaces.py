"""The contracts inside a hand's environment: what is simulated, and the task that is evaluated on it.

A ``Task`` defines goals, rewards and observations on the ``SimState`` of a ``Simulator``. ``TaskEnv`` joins the two in
a ``VecEnv`` of ``dexhand.core.interfaces``, which is all that loops, learners and views know. A suite in
``dexhand.testing`` checks each contract.

Symbols in shapes: N environments, D joints (degrees of freedom), B tracked bodies, C contact bodies, O objects,
A actions, F observations, Fc critic observations, T reward terms. Units and frames are those of
``dexhand.core.interfaces``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dexhand.core.interfaces import Vec3
from dexhand.hands.spec import HandSpec

if TYPE_CHECKING:
    import numpy as np
    from torch import Generator, Tensor, device


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
