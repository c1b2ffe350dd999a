"""Quaternions (x, y, z, w), batched over all leading dimensions."""

import torch
from torch import Tensor


def conjugate(q: Tensor) -> Tensor:
    """The inverse rotation of unit quaternions (..., 4)."""
    return q * q.new_tensor([-1.0, -1.0, -1.0, 1.0])


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """The rotation ``b`` followed by ``a``. Shapes (..., 4)."""
    u, v = a[..., :3], b[..., :3]
    s, t = a[..., 3:], b[..., 3:]
    vector = s * v + t * u + torch.linalg.cross(u, v)
    return torch.cat((vector, s * t - (u * v).sum(-1, keepdim=True)), dim=-1)


def rotate(q: Tensor, v: Tensor) -> Tensor:
    """Vectors ``v`` (..., 3) turned by unit quaternions ``q`` (..., 4)."""
    u, s = q[..., :3], q[..., 3:]
    t = 2.0 * torch.linalg.cross(u, v)
    return v + s * t + torch.linalg.cross(u, t)


def from_axis_angle(axis: Tensor, angle: Tensor) -> Tensor:
    """Quaternions (..., 4) of turns by ``angle`` (...), radians, about unit ``axis`` (..., 3)."""
    half = angle[..., None] * 0.5
    return torch.cat((axis * half.sin(), half.cos()), dim=-1)
