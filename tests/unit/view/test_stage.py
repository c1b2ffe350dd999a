"""Shapes are drawn where their bodies are."""

import numpy as np
import pytest
import trimesh

from dexhand.view.stage import world_poses

RNG = np.random.default_rng(3)


def random_pose() -> np.ndarray:
    quat = RNG.normal(size=4)
    return np.concatenate((RNG.normal(size=3), quat / np.linalg.norm(quat))).astype(np.float32)


def matrix(pose: np.ndarray) -> np.ndarray:
    """The 4 x 4 matrix of a position and a quaternion (x, y, z, w)."""
    result = trimesh.transformations.quaternion_matrix(pose[[6, 3, 4, 5]])
    result[:3, 3] = pose[:3]
    return result


def test_a_shape_is_moved_with_its_body() -> None:
    """Its pose is that of the body times its own."""
    body, own = random_pose(), random_pose()
    pos, quat = world_poses(body[None, None], own[None, :3], own[None, 3:])
    drawn = np.concatenate((pos[0, 0], quat[0, 0][[1, 2, 3, 0]]))
    assert matrix(drawn) == pytest.approx(matrix(body) @ matrix(own), abs=1e-5)
