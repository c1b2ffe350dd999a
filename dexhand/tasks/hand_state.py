"""The input of terms: the simulator's state and the task's buffers under descriptive names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar

from dexhand.core import quaternions
from dexhand.core.lazy import lazy_module
from dexhand.hand_env.interfaces import SimState
from dexhand.hands.spec import HandSpec

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy_module("torch")

AnyTaskState = TypeVar("AnyTaskState", bound="TaskState")

_TOUCH_FORCE = 0.1
"""Force above which contact_stability counts a body as touching, newtons; contact_binary has its own threshold."""

_OLD_NAMES = {"scripted_targets": "rule_targets"}
"""Names of buffers in older checkpoints."""


def buffer(size: int | Callable[[HandSpec], int] | None = None, dtype: str = "float32") -> Tensor:
    """Declare a field of ``TaskState``: a tensor (N, size), or (N,) without ``size``, which may depend on the hand."""
    declared: Tensor = field(metadata={"size": size, "dtype": dtype})
    return declared


_NUM_CONTROLS, _NUM_FINGERS = attrgetter("num_controls"), attrgetter("num_fingers")


@dataclass
class TaskState:
    """The state of a task between control steps. Subclasses add fields.

    C = number of controls, D = number of joints, K = number of fingers.
    """

    actions: Tensor = buffer(_NUM_CONTROLS)
    """The action just executed; 0 for controls that the policy does not command. Shape (N, C)."""
    targets: Tensor = buffer(_NUM_CONTROLS)
    """Control targets, m or rad. Shape (N, C)."""
    scripted_targets: Tensor = buffer(_NUM_CONTROLS)
    """Next targets of controls that the policy does not command, set by the task. Shape (N, C)."""
    steps: Tensor = buffer(dtype="int64")
    """Control steps since the start of the episode. Shape (N,)."""
    contact_steps: Tensor = buffer(_NUM_FINGERS)
    """Control steps of unbroken contact. Shape (N, K)."""
    finger_vel: Tensor = buffer(lambda hand: len(hand.finger_joints))
    """Finger joint velocities one control step ago, rad/s. Shape (N, D - 6)."""
    hand_linvel: Tensor = buffer(3)
    """Wrist velocity one control step ago, m/s. Shape (N, 3)."""
    hand_angvel: Tensor = buffer(3)
    """Wrist angular velocity one control step ago, rad/s. Shape (N, 3)."""
    touching: Tensor = buffer(_NUM_FINGERS, dtype="bool")
    """Which contact bodies touched something one control step ago. Shape (N, K)."""

    @classmethod
    def zeros(cls: type[AnyTaskState], hand: HandSpec, num_envs: int, device: torch.device) -> AnyTaskState:
        """Create the buffers of hands at rest without contact."""
        tensors = {}
        for entry in fields(cls):
            size = entry.metadata["size"]
            shape = () if size is None else (size(hand) if callable(size) else size,)
            tensors[entry.name] = torch.zeros(
                num_envs, *shape, dtype=getattr(torch, entry.metadata["dtype"]), device=device
            )
        return cls(**tensors)

    def clear(self, mask: Tensor) -> None:
        """Zero the rows where ``mask`` (N,) is true."""
        for value in self.tensors().values():
            value[mask] = 0

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors by name."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Copy ``values`` into the buffers; accepts the names of older checkpoints."""
        for name, tensor in self.tensors().items():
            tensor.copy_(values[name if name in values else _OLD_NAMES[name]])


class HandState:
    """The state of all environments after one control step. Derived quantities are computed once, on first use.

    D = number of joints, K = number of fingers.
    """

    def __init__(
        self, sim: SimState, buffers: TaskState, *, hand: HandSpec, control_dt: float, contact_threshold: float
    ) -> None:
        self.sim = sim
        self.buffers = buffers
        self.hand = hand
        self.control_dt = control_dt
        self.contact_threshold = contact_threshold

    # --- joints

    @property
    def base_pos(self) -> Tensor:
        """Base joint positions, m and rad. Shape (N, 6)."""
        return self.sim.dof_pos[:, : self.hand.num_base]

    @property
    def base_vel(self) -> Tensor:
        """Base joint velocities, m/s and rad/s. Shape (N, 6)."""
        return self.sim.dof_vel[:, : self.hand.num_base]

    @property
    def finger_pos(self) -> Tensor:
        """Finger joint positions, rad. Shape (N, D - 6)."""
        return self.sim.dof_pos[:, self.hand.num_base :]

    @property
    def finger_vel(self) -> Tensor:
        """Finger joint velocities, rad/s. Shape (N, D - 6)."""
        return self.sim.dof_vel[:, self.hand.num_base :]

    # --- wrist

    @property
    def hand_pos(self) -> Tensor:
        """Wrist position, metres. Shape (N, 3)."""
        return self.sim.body_pos[:, 0]

    @property
    def hand_quat(self) -> Tensor:
        """Wrist orientation. Shape (N, 4)."""
        return self.sim.body_quat[:, 0]

    @property
    def hand_linvel(self) -> Tensor:
        """Wrist velocity, m/s. Shape (N, 3)."""
        return self.sim.body_linvel[:, 0]

    @property
    def hand_angvel(self) -> Tensor:
        """Wrist angular velocity, rad/s. Shape (N, 3)."""
        return self.sim.body_angvel[:, 0]

    # --- fingers

    @property
    def fingertip_pos(self) -> Tensor:
        """Fingertip positions, metres. Shape (N, K, 3)."""
        return self.sim.body_pos[:, 1 : 1 + self.hand.num_fingers]

    @property
    def fingerpad_pos(self) -> Tensor:
        """Fingerpad positions, metres. Shape (N, K, 3)."""
        return self.sim.body_pos[:, 1 + self.hand.num_fingers :]

    @cached_property
    def lowest_fingertip(self) -> Tensor:
        """Height of the lowest fingertip, metres. Shape (N,)."""
        return self.fingertip_pos[:, :, 2].amin(dim=1)

    @cached_property
    def finger_poses_world(self) -> Tensor:
        """Positions and quaternions of all tips, then all pads, world frame. Shape (N, 2 K, 7)."""
        return torch.cat((self.sim.body_pos[:, 1:], self.sim.body_quat[:, 1:]), dim=2)

    @cached_property
    def finger_poses_hand(self) -> Tensor:
        """Positions and quaternions of all tips, then all pads, in the wrist's own frame. Shape (N, 2 K, 7)."""
        inverse = quaternions.conjugate(self.hand_quat)[:, None].expand(-1, 2 * self.hand.num_fingers, -1)
        positions = quaternions.rotate(inverse, self.sim.body_pos[:, 1:] - self.hand_pos[:, None])
        return torch.cat((positions, quaternions.multiply(inverse, self.sim.body_quat[:, 1:])), dim=2)

    # --- contact

    @cached_property
    def contact_magnitude(self) -> Tensor:
        """Magnitude of the net contact force on each contact body, N. Shape (N, K)."""
        magnitude: Tensor = torch.linalg.vector_norm(self.sim.contact_force, dim=2)
        return magnitude

    @cached_property
    def in_contact(self) -> Tensor:
        """Whether the contact force exceeds the task's threshold, bool. Shape (N, K)."""
        return self.contact_magnitude > self.contact_threshold

    @cached_property
    def touching(self) -> Tensor:
        """Whether the contact force exceeds 0.1 N, bool. Shape (N, K)."""
        return self.contact_magnitude > _TOUCH_FORCE

    def store(self) -> None:
        """Copy the velocities and contacts that the next control step is compared with into the buffers."""
        self.buffers.finger_vel.copy_(self.finger_vel)
        self.buffers.hand_linvel.copy_(self.hand_linvel)
        self.buffers.hand_angvel.copy_(self.hand_angvel)
        self.buffers.touching.copy_(self.touching)
