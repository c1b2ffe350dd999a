"""Functions of quaternions x, y, z, w."""

import torch
from torch import Tensor

from dexhand.core import quaternions

__all__ = ["quat_conjugate", "quat_from_euler_xyz", "quat_mul", "quat_rotate", "quat_rotate_inverse"]


def quat_mul(a: Tensor, b: Tensor) -> Tensor:
    """First ``b``, then ``a``. Shapes (N, 4)."""
    return quaternions.multiply(a, b)


def quat_conjugate(a: Tensor) -> Tensor:
    """The inverse rotation. Shape (N, 4)."""
    return quaternions.conjugate(a)


def quat_rotate(q: Tensor, v: Tensor) -> Tensor:
    """``v`` turned by ``q``. Shapes (N, 4), (N, 3)."""
    return quaternions.rotate(q, v)


def quat_rotate_inverse(q: Tensor, v: Tensor) -> Tensor:
    """``v`` turned back by ``q``. Shapes (N, 4), (N, 3)."""
    return quaternions.rotate(quaternions.conjugate(q), v)


def quat_from_euler_xyz(roll: Tensor, pitch: Tensor, yaw: Tensor) -> Tensor:
    """Roll about x, then pitch about y, then yaw about z, radians, fixed axes. Shapes (N,)."""
    zero = torch.zeros_like(roll)
    about_x, about_y, about_z = (
        quaternions.from_rotation_vector(torch.stack(vector, dim=-1))
        for vector in ((roll, zero, zero), (zero, pitch, zero), (zero, zero, yaw))
    )
    return quaternions.multiply(about_z, quaternions.multiply(about_y, about_x))
