"""Quaternions are (x, y, z, w) and agree with the rotations they stand for."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dexhand.core import quaternions as quat

vectors = st.tuples(*[st.floats(-1.7, 1.7)] * 3).map(lambda xyz: torch.tensor(xyz, dtype=torch.float64))


def matrix(rotation_vector: Tensor) -> Tensor:
    """The rotation matrix by the exponential of the cross product."""
    x, y, z = rotation_vector.tolist()
    return torch.linalg.matrix_exp(torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64))


def test_the_real_part_comes_last() -> None:
    """A quarter turn about z is (0, 0, sin 45, cos 45)."""
    quarter = quat.from_rotation_vector(torch.tensor([0.0, 0.0, math.pi / 2]))
    assert torch.allclose(quarter, torch.tensor([0.0, 0.0, math.sqrt(0.5), math.sqrt(0.5)]))
    assert torch.allclose(quat.rotate(quarter, torch.tensor([1.0, 0.0, 0.0])), torch.tensor([0.0, 1.0, 0.0]), atol=1e-6)


@given(turn=vectors, vector=vectors)
def test_rotate_agrees_with_the_matrix(turn: Tensor, vector: Tensor) -> None:
    """A quaternion turns a vector as the rotation's matrix does."""
    assert torch.allclose(quat.rotate(quat.from_rotation_vector(turn), vector), matrix(turn) @ vector, atol=1e-9)


@given(first=vectors, second=vectors, vector=vectors)
def test_multiply_composes(first: Tensor, second: Tensor, vector: Tensor) -> None:
    """multiply(left, right) turns by right, then by left."""
    left, right = quat.from_rotation_vector(first), quat.from_rotation_vector(second)
    one_by_one = quat.rotate(left, quat.rotate(right, vector))
    assert torch.allclose(quat.rotate(quat.multiply(left, right), vector), one_by_one, atol=1e-9)


@given(turn=vectors, vector=vectors)
def test_conjugate_turns_back(turn: Tensor, vector: Tensor) -> None:
    """The conjugate undoes the rotation."""
    there = quat.from_rotation_vector(turn)
    assert torch.allclose(quat.rotate(quat.conjugate(there), quat.rotate(there, vector)), vector, atol=1e-9)


@given(turn=vectors)
def test_rotation_vectors_come_back(turn: Tensor) -> None:
    """Below half a turn the rotation vector is recovered, from either of the two quaternions."""
    there = quat.from_rotation_vector(turn)
    assert torch.allclose(quat.to_rotation_vector(there), turn, atol=1e-9)
    assert torch.allclose(quat.to_rotation_vector(-there), turn, atol=1e-9)
