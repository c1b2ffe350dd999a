"""Drawing two environments as one."""

from collections.abc import Sequence

import numpy as np

from dexhand.core.interfaces import Drawable, Frame


class SideBySideDrawable:
    """``Drawable`` of ``core.comparison.SideBySide``; captions begin with A or B."""

    def __init__(self, left: Drawable, right: Drawable) -> None:
        self._halves = left, right
        self.shapes = left.shapes
        self.control_dt = left.control_dt

    def frame(self, env_ids: Sequence[int]) -> Frame:
        """See ``Drawable.frame``."""
        left, right = (
            half.frame([env_id // 2 for env_id in env_ids if env_id % 2 == place])
            for place, half in enumerate(self._halves)
        )
        order = np.argsort(np.argsort([env_id % 2 for env_id in env_ids], kind="stable"))  # back to that of env_ids
        captions = (*(f"A  {caption}" for caption in left.caption), *(f"B  {caption}" for caption in right.caption))
        return Frame(
            np.concatenate((left.body_pose, right.body_pose))[order],
            _stacked(left.force, right.force)[order],
            tuple(captions[place] for place in order),
        )


def _stacked(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Stack contact forces (E, any, 6), filling up those of fewer contacts with zeros."""
    most = max(left.shape[1], right.shape[1])
    return np.concatenate([np.pad(force, ((0, 0), (0, most - force.shape[1]), (0, 0))) for force in (left, right)])
