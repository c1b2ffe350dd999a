"""Functions of quaternions x, y, z, w."""

import torch
from torch import Tensor

__all__ = ["quat_conjugate", "quat_from_euler_xyz", "quat_mul", "quat_rotate", "quat_rotate_inverse"]


def quat_mul(a: Tensor, b: Tensor) -> Tensor:
    """First ``b``, then ``a``. Shapes (N, 4)."""
    vector_a, vector_b, scalar_a, scalar_b = a[..., :3], b[..., :3], a[..., 3:], b[..., 3:]
    vector = scalar_a * vector_b + scalar_b * vector_a + torch.cross(vector_a, vector_b, dim=-1)
    return torch.cat((vector, scalar_a * scalar_b - (vector_a * vector_b).sum(-1, keepdim=True)), dim=-1)


def quat_conjugate(a: Tensor) -> Tensor:
    """The inverse rotation. Shape (N, 4)."""
    return torch.cat((-a[..., :3], a[..., 3:]), dim=-1)


def quat_rotate(q: Tensor, v: Tensor) -> Tensor:
    """``v`` turned by ``q``. Shapes (N, 4), (N, 3)."""
    twice = 2 * torch.cross(q[..., :3], v, dim=-1)
    return v + q[..., 3:] * twice + torch.cross(q[..., :3], twice, dim=-1)


def quat_rotate_inverse(q: Tensor, v: Tensor) -> Tensor:
    """``v`` turned back by ``q``. Shapes (N, 4), (N, 3)."""
    return quat_rotate(quat_conjugate(q), v)


def quat_from_euler_xyz(roll: Tensor, pitch: Tensor, yaw: Tensor) -> Tensor:
    """Roll about x, then pitch about y, then yaw about z, radians, fixed axes. Shapes (N,)."""
    about_x, about_y, about_z = (
        torch.cat((torch.sin(angle[:, None] / 2) * axis, torch.cos(angle[:, None] / 2)), dim=-1)
        for angle, axis in zip((roll, pitch, yaw), torch.eye(3, dtype=roll.dtype, device=roll.device))
    )
    return quat_mul(about_z, quat_mul(about_y, about_x))
