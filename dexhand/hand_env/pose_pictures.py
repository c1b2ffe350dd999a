"""Pictures of poses of a hand and its objects."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dexhand.core.interfaces import RenderingUnavailable
from dexhand.hand_env.interfaces import Simulator

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)


class PosePictures:
    """Draws poses in its own simulator with one environment, created with the first picture.

    If rendering is unavailable, it warns once and returns no pictures.
    """

    def __init__(self, make_simulator: Callable[[], Simulator], width: int, height: int) -> None:
        """``make_simulator`` may raise ``RenderingUnavailable``. Pictures are ``width`` x ``height`` pixels."""
        self._make_simulator = make_simulator
        self._size = (width, height)
        self._simulator: Simulator | None = None
        self._is_unavailable = False

    def draw(self, pose: Mapping[str, Tensor]) -> np.ndarray | None:
        """Draw the hand at joint positions ``dof_pos`` (D,), m or rad, with objects at poses ``object_pose`` (O, 7).

        Returns uint8 (height, width, 3), or ``None`` if rendering is unavailable.
        """
        if self._is_unavailable:
            return None
        try:
            if self._simulator is None:
                self._simulator = self._make_simulator()
            simulator = self._simulator
            mask = torch.ones(1, dtype=torch.bool, device=simulator.device)
            rows = (pose[name][None].to(simulator.device) for name in ("dof_pos", "object_pose"))
            simulator.reset(mask, *rows)
            return simulator.render(0, width=self._size[0], height=self._size[1])
        except RenderingUnavailable as error:
            log.warning("Hard examples have no pictures: %s", error)
            self._is_unavailable = True
            return None

    def close(self) -> None:
        """Release the simulator. Calling it again does nothing."""
        if self._simulator is not None:
            self._simulator.close()
            self._simulator = None
