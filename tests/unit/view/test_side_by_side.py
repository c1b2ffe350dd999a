"""Two environments are drawn as one."""

from dexhand.core.comparison import side_by_side
from dexhand.core.interfaces import Drawable, VecEnv
from dexhand.mock.env import MockEnv
from dexhand.testing.drawable import DrawableConformance
from dexhand.view.side_by_side import SideBySideDrawable


class TestSideBySide(DrawableConformance):
    num_envs = 4

    def make_drawable(self, num_envs: int) -> tuple[VecEnv, Drawable]:
        left, right = MockEnv(num_envs // 2), MockEnv(num_envs // 2)
        return side_by_side(left, right), SideBySideDrawable(left, right)


def test_pairs_are_neighbours_in_any_order() -> None:
    """Environments 2 i and 2 i + 1 are the i-th of A and of B, which start at the same place."""
    left, right = MockEnv(3), MockEnv(3)
    left.reset(seed=1)
    right.reset(seed=2)
    drawable = SideBySideDrawable(left, right)
    frame = drawable.frame([5, 0, 3, 2])
    for row, (half, env_id) in enumerate([(right, 2), (left, 0), (right, 1), (left, 1)]):
        assert (frame.body_pose[row] == half.frame([env_id]).body_pose[0]).all()
    assert frame.caption == tuple(f"{name}  step 0 of 16" for name in "BABA")
