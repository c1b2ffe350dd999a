"""Quaternion algebra on tensors: (x, y, z, w), unit length, shape (..., 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dexhand.core.lazy import lazy_module

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy_module("torch")


def multiply(left: Tensor, right: Tensor) -> Tensor:
    """Return the rotation ``right`` followed by the rotation ``left``."""
    u, s = left[..., :3], left[..., 3:]
    v, t = right[..., :3], right[..., 3:]
    vector = torch.addcmul(torch.addcmul(cross(u, v), s, v), t, u)
    return torch.cat((vector, s * t - (u * v).sum(-1, keepdim=True)), dim=-1)


def conjugate(quat: Tensor) -> Tensor:
    """Return the inverse rotation."""
    return torch.cat((-quat[..., :3], quat[..., 3:]), dim=-1)


def rotate(quat: Tensor, vector: Tensor) -> Tensor:
    """Rotate ``vector`` (..., 3) by ``quat``."""
    axis, scalar = quat[..., :3], quat[..., 3:]
    across = cross(axis, vector)
    return torch.add(vector, torch.addcmul(cross(axis, across), scalar, across), alpha=2)


def cross(left: Tensor, right: Tensor) -> Tensor:
    """Return the cross product of two (..., 3) tensors, broadcast against each other."""
    if left.ndim != right.ndim:  # torch broadcasts the others itself
        left, right = torch.broadcast_tensors(left, right)
    product: Tensor = torch.linalg.cross(left, right, dim=-1)
    return product


def from_rotation_vector(vector: Tensor) -> Tensor:
    """Return the rotation about ``vector`` (..., 3) by its length in radians."""
    half = vector.norm(dim=-1, keepdim=True) / 2
    # sin(half) / (2 half) without dividing by zero: torch.sinc(x) = sin(pi x) / (pi x)
    return torch.cat((vector * torch.sinc(half / torch.pi) / 2, torch.cos(half)), dim=-1)


def to_rotation_vector(quat: Tensor) -> Tensor:
    """Return the shortest rotation vector of ``quat``, shape (..., 3), radians."""
    quat = torch.where(quat[..., 3:] < 0, -quat, quat)
    axis = quat[..., :3]
    sine = axis.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(quat.dtype).tiny)
    vector: Tensor = axis * (2 * torch.atan2(sine, quat[..., 3:]) / sine)
    return vector
