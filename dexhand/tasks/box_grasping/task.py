"""BoxGrasping: grasp and lift a box, without stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dexhand.core.lazy import lazy_module
from dexhand.core.option import option
from dexhand.tasks.grasping import BoxConfig, GraspingTask, GraspingTaskConfig, GraspState
from dexhand.tasks.terms import reward

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy_module("torch")


@dataclass
class BoxGraspingBoxConfig(BoxConfig):
    """A cube on the ground."""

    height: float = option(0.025, "height of the centre when an episode begins", unit="m", above=0)


@dataclass
class BoxGraspingConfig(GraspingTaskConfig):
    """Keys of BoxGrasping."""

    box: BoxGraspingBoxConfig = option(BoxGraspingBoxConfig, "the cube")
    max_box_distance: float = option(0.6, "box_too_far: largest distance of box and wrist", unit="m", above=0)


class BoxGrasping(GraspingTask):
    """Rewards for reaching, touching, lifting and holding, all active at the same time."""

    config: BoxGraspingConfig
    config_class = BoxGraspingConfig

    @reward()
    def single_finger_contact(self, state: GraspState) -> Tensor:
        """Exactly one finger touches the box."""
        return (state.box_contact.sum(dim=1) == 1).float()

    @reward()
    def multi_finger_contact(self, state: GraspState) -> Tensor:
        """Thumb and another finger touch the box."""
        return state.grasping.float()

    @reward()
    def finger_to_object(self, state: GraspState) -> Tensor:
        """Pads near the box."""
        return torch.exp(-5.0 * state.pad_to_box.mean(dim=1))

    @reward()
    def fingerpad_to_box_centroid(self, state: GraspState) -> Tensor:
        """Box in the middle of thumb, index and middle finger."""
        return torch.exp(-32.0 * state.centroid_to_box)

    @reward()
    def hand_to_object(self, state: GraspState) -> Tensor:
        """Wrist near the box."""
        return torch.exp(-torch.linalg.vector_norm(state.hand_pos - state.box_pos, dim=1))

    @reward()
    def grasp_duration(self, state: GraspState) -> Tensor:
        """Time the box has been held up."""
        return self.hold_progress(state)
