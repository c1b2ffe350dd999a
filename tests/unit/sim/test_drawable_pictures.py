"""DrawablePictures: every shape is in the picture, where its body is."""

from collections.abc import Iterator

import numpy as np
import pytest

from dexhand.core.interfaces import Frame, Shape
from dexhand.mock.env import MockEnv
from dexhand.sim.drawable_pictures import DrawablePictures

WIDTH, HEIGHT = 160, 120
RED = (1.0, 0.0, 0.0, 1.0)
SIZE = (0.2, 0.2, 0.4)
CORNERS = 0.2 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)


def frame(*places: tuple[float, float, float]) -> Frame:
    """One environment with a body at each place."""
    pose = np.array([[[*place, 0, 0, 0, 1] for place in places]], np.float32)
    return Frame(pose, np.zeros((1, 0, 6), np.float32), ("",))


def centre_of_red(picture: np.ndarray) -> tuple[float, float]:
    """Column and row of the middle of all red pixels."""
    red = (picture[..., 0] > 60) & (picture[..., 1:].max(axis=2) < 40)
    assert red.any(), "There is nothing red."
    rows, columns = red.nonzero()
    return float(columns.mean()), float(rows.mean())


@pytest.fixture
def pictures() -> Iterator[DrawablePictures]:
    """Of one red cube."""
    drawn = DrawablePictures([Shape("box", 0, (0.2, 0.2, 0.2), rgba=RED)], (WIDTH, HEIGHT))
    yield drawn
    drawn.close()


def test_a_body_is_drawn_where_it_is(pictures: DrawablePictures) -> None:
    """The first frame is in the middle; then the camera stays, and what moves up, aside or near does so."""
    start = frame((0.3, -0.2, 0.5))
    x, y = centre_of_red(pictures.draw(start, 0, WIDTH, HEIGHT))
    assert (x, y) == (pytest.approx(WIDTH / 2, abs=3), pytest.approx(HEIGHT / 2, abs=3))
    _, higher = centre_of_red(pictures.draw(frame((0.3, -0.2, 0.55)), 0, WIDTH, HEIGHT))
    assert higher < y - 5
    to_the_right, _ = centre_of_red(pictures.draw(frame((0.33, -0.17, 0.5)), 0, WIDTH, HEIGHT))
    assert to_the_right > x + 5
    assert centre_of_red(pictures.draw(start, 0, WIDTH, HEIGHT)) == (x, y)


def test_a_picture_stays_as_it_was(pictures: DrawablePictures) -> None:
    """Later ones do not change it."""
    first = pictures.draw(frame((0, 0, 0.5)), 0, WIDTH, HEIGHT)
    before = first.copy()
    pictures.draw(frame((0, 0, 0.6)), 0, WIDTH, HEIGHT)
    assert (first == before).all()


@pytest.mark.parametrize(
    "shape",
    [
        *(Shape(kind, 1, SIZE, rgba=RED) for kind in ("box", "ellipsoid", "cylinder", "capsule")),
        Shape("mesh", 1, (1.0, 1.0, 1.0), rgba=RED, vertices=CORNERS, faces=FACES),
    ],
    ids=lambda shape: shape.kind,
)
def test_every_kind_is_drawn_at_its_place_on_its_body(shape: Shape) -> None:
    """Bodies without shapes do not matter."""
    pictures = DrawablePictures([shape], (WIDTH, HEIGHT))
    try:
        x, y = centre_of_red(pictures.draw(frame((9.0, 9.0, 9.0), (0.0, 0.0, 0.5)), 0, WIDTH, HEIGHT))
    finally:
        pictures.close()
    assert (x, y) == (pytest.approx(WIDTH / 2, abs=12), pytest.approx(HEIGHT / 2, abs=12))


def test_environments_without_a_simulator_are_drawn() -> None:
    """Whatever is Drawable is; its rows are its environments."""
    env = MockEnv(3, seed=1)
    env.reset(seed=1)
    pictures = DrawablePictures(env.shapes, (WIDTH, HEIGHT))
    try:
        drawn = [pictures.draw(env.frame(range(3)), row, WIDTH, HEIGHT) for row in range(3)]
    finally:
        pictures.close()
    assert len({picture.tobytes() for picture in drawn}) == 3
