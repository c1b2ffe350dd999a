"""What observation, reward and criterion terms look at: the simulator's state and the task's memory, named."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor

from dexhand.core import quaternions
from dexhand.core.interfaces import SimState
from dexhand.hands import hand

BODIES: tuple[str, ...] = (hand.HAND_BODY, *hand.FINGERTIPS, *hand.FINGERPADS)
"""The bodies every task's scene tracks, the order of axis B."""

AnyMemory = TypeVar("AnyMemory", bound="TaskState")

_BASE = len(hand.BASE_JOINTS)
_CONTROLS = _BASE + len(hand.FINGER_CONTROLS)
_TOUCH_FORCE = 0.1
"""contact_stability counts a body as touching above this force, newtons; fixed, unlike contact_binary's threshold."""


def buffer(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """A field of ``TaskState``: one tensor of this shape for every environment."""
    declared: Tensor = field(metadata={"shape": shape, "dtype": dtype})
    return declared


_FORMER_NAMES = {"scripted_targets": "rule_targets"}
"""What fields of ``TaskState`` are called in checkpoints of earlier versions."""


@dataclass
class TaskState:
    """What a task remembers from one control step to the next. Tasks that remember more add fields."""

    actions: Tensor = buffer(_CONTROLS)
    """The action just executed; 0 where the policy has no control. Shape (N, 18)."""
    targets: Tensor = buffer(_CONTROLS)
    """Control targets, m or rad. Shape (N, 18)."""
    scripted_targets: Tensor = buffer(_CONTROLS)
    """Control targets that the task's own rule wants next, for what the policy does not control. Shape (N, 18)."""
    steps: Tensor = buffer(dtype=torch.int64)
    """Control steps of the episode so far. Shape (N,)."""
    contact_steps: Tensor = buffer(len(hand.CONTACT_BODIES))
    """Control steps of unbroken contact. Shape (N, 5)."""
    finger_vel: Tensor = buffer(len(hand.FINGER_JOINTS))
    """Finger joint velocities one control step ago, rad/s. Shape (N, 20)."""
    hand_linvel: Tensor = buffer(3)
    """Wrist velocity one control step ago, m/s. Shape (N, 3)."""
    hand_angvel: Tensor = buffer(3)
    """Wrist angular velocity one control step ago, rad/s. Shape (N, 3)."""
    touching: Tensor = buffer(len(hand.CONTACT_BODIES), dtype=torch.bool)
    """Which contact bodies touched something one control step ago. Shape (N, 5)."""

    @classmethod
    def zeros(cls: type[AnyMemory], num_envs: int, device: torch.device) -> AnyMemory:
        """The memory of hands at rest that touch nothing."""
        tensors = {
            f.name: torch.zeros(num_envs, *f.metadata["shape"], dtype=f.metadata["dtype"], device=device)
            for f in fields(cls)
        }
        return cls(**tensors)

    def clear(self, mask: Tensor) -> None:
        """Zero the rows where ``mask`` (N,) is true."""
        for value in self.tensors().values():
            value[mask] = 0

    def tensors(self) -> dict[str, Tensor]:
        """The tensors by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Copy ``values`` in."""
        for name, tensor in self.tensors().items():
            tensor.copy_(values[name if name in values else _FORMER_NAMES[name]])


class HandState:
    """One moment of all environments. Quantities are computed when first asked for, once."""

    def __init__(self, sim: SimState, memory: TaskState, *, control_dt: float, contact_threshold: float) -> None:
        self.sim = sim
        self.memory = memory
        self.control_dt = control_dt
        self.contact_threshold = contact_threshold

    # --- joints

    @property
    def base_pos(self) -> Tensor:
        """Base joint positions, m and rad. Shape (N, 6)."""
        return self.sim.dof_pos[:, :_BASE]

    @property
    def base_vel(self) -> Tensor:
        """Base joint velocities, m/s and rad/s. Shape (N, 6)."""
        return self.sim.dof_vel[:, :_BASE]

    @property
    def finger_pos(self) -> Tensor:
        """Finger joint positions, rad. Shape (N, 20)."""
        return self.sim.dof_pos[:, _BASE:]

    @property
    def finger_vel(self) -> Tensor:
        """Finger joint velocities, rad/s. Shape (N, 20)."""
        return self.sim.dof_vel[:, _BASE:]

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
        """Fingertip positions, metres. Shape (N, 5, 3)."""
        return self.sim.body_pos[:, 1:6]

    @property
    def fingerpad_pos(self) -> Tensor:
        """Fingerpad positions, metres. Shape (N, 5, 3)."""
        return self.sim.body_pos[:, 6:11]

    @cached_property
    def lowest_fingertip(self) -> Tensor:
        """Height of the lowest fingertip, metres. Shape (N,)."""
        return self.fingertip_pos[:, :, 2].amin(dim=1)

    @cached_property
    def finger_poses_world(self) -> Tensor:
        """Positions and quaternions of five tips, then five pads, world frame. Shape (N, 10, 7)."""
        return torch.cat((self.sim.body_pos[:, 1:], self.sim.body_quat[:, 1:]), dim=2)

    @cached_property
    def finger_poses_hand(self) -> Tensor:
        """Positions and quaternions of five tips, then five pads, in the wrist's own frame. Shape (N, 10, 7)."""
        inverse = quaternions.conjugate(self.hand_quat)[:, None].expand(-1, 10, -1)
        positions = quaternions.rotate(inverse, self.sim.body_pos[:, 1:] - self.hand_pos[:, None])
        return torch.cat((positions, quaternions.multiply(inverse, self.sim.body_quat[:, 1:])), dim=2)

    # --- contact

    @cached_property
    def contact_magnitude(self) -> Tensor:
        """Net contact force of each contact body, N. Shape (N, 5)."""
        magnitude: Tensor = torch.linalg.vector_norm(self.sim.contact_force, dim=2)
        return magnitude

    @cached_property
    def in_contact(self) -> Tensor:
        """Force above the task's threshold, bool. Shape (N, 5)."""
        return self.contact_magnitude > self.contact_threshold

    @cached_property
    def touching(self) -> Tensor:
        """Force above 0.1 N, bool. Shape (N, 5)."""
        return self.contact_magnitude > _TOUCH_FORCE

    def remember(self) -> None:
        """Store what the next control step compares itself with."""
        self.memory.finger_vel.copy_(self.finger_vel)
        self.memory.hand_linvel.copy_(self.hand_linvel)
        self.memory.hand_angvel.copy_(self.hand_angvel)
        self.memory.touching.copy_(self.touching)
