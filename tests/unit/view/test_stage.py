"""Shapes are drawn where their bodies are."""

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


def shares_of_picture(points: np.ndarray, side: float, aspect: float, free: float) -> np.ndarray:
    """Where points (N, 3) are in the picture: from -1, left or bottom, to 1."""
    position, look_at = (np.array(vector) for vector in view_of(side, aspect, free))
    forward = (look_at - position) / np.linalg.norm(look_at - position)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    away = points - position
    depth = away @ forward * np.tan(FIELD_OF_VIEW / 2)
    return np.stack((away @ right / depth / aspect, away @ np.cross(right, forward) / depth), axis=1)


@pytest.mark.parametrize("side", [0.5, 2.0, 8.0])
@pytest.mark.parametrize(("aspect", "free"), [(390 / 844, 0.4), (700 / 768, 1.0), (1116 / 900, 1.0), (16 / 9, 1.0)])
def test_the_whole_grid_is_in_the_free_part_of_a_picture(side: float, aspect: float, free: float) -> None:
    """On phones, beside a panel, and on wide screens, with 0.5 m above it."""
    reach = side / 2
    corners = np.array([(x, y, z) for x in (-reach, reach) for y in (-reach, reach) for z in (0.0, 0.5)])
    places = shares_of_picture(corners, side, aspect, free)
    assert abs(places[:, 0]).max() < 1.001
    assert places[:, 1].max() < 1.001
    assert places[:, 1].min() > 0.999 - 2.0 * free
