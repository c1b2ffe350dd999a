"""Shapes are drawn where their bodies are."""

from itertools import product

import numpy as np
import pytest
import trimesh

from dexhand.view.stage import FIELD_OF_VIEW, view_of, world_poses

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


def places_in_picture(points: np.ndarray, reach: tuple[float, float], aspect: float) -> np.ndarray:
    """Where points (N, 3) are in the picture: from -1, left or bottom, to 1."""
    position, look_at = (np.array(vector) for vector in view_of(reach, aspect))
    forward = (look_at - position) / np.linalg.norm(look_at - position)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    away = points - position
    depth = away @ forward * np.tan(FIELD_OF_VIEW / 2)
    return np.stack((away @ right / depth / aspect, away @ np.cross(right, forward) / depth), axis=1)


@pytest.mark.parametrize("reach", [(0.25, 0.25), (1.5, 1.0), (4.0, 4.0)])
@pytest.mark.parametrize("aspect", [280 / 800, 390 / 338, 700 / 768, 16 / 9])
def test_the_whole_grid_is_in_the_picture(reach: tuple[float, float], aspect: float) -> None:
    """On phones, beside a panel, and on wide screens, with 0.5 m above it."""
    (x, y), heights = reach, (0.0, 0.5)
    corners = np.array(list(product((-x, x), (-y, y), heights)))
    assert abs(places_in_picture(corners, reach, aspect)).max() < 1.001
