"""BoxGrasping: grasp and lift a box, without stages."""

import torch

from dexhand.config.task_schema import BoxGraspingConfig
from dexhand.tasks.grasping import GraspingTask
from dexhand.tasks.rewards import Reward


class BoxGrasping(GraspingTask):
    """Rewards lead from reaching over touching to lifting and holding, all at the same time."""

    config: BoxGraspingConfig
    config_class = BoxGraspingConfig

    def reward_table(self) -> dict[str, Reward]:
        """Adds terms about the box."""
        return {
            **super().reward_table(),
            "single_finger_contact": lambda s: (s.box_contact.sum(dim=1) == 1).float(),
            "multi_finger_contact": lambda s: s.grasping.float(),
            "finger_to_object": lambda s: torch.exp(-5.0 * s.pad_to_box.mean(dim=1)),
            "fingerpad_to_box_centroid": lambda s: torch.exp(-32.0 * s.centroid_to_box),
            "hand_to_object": lambda s: torch.exp(-torch.linalg.vector_norm(s.hand_pos - s.box_pos, dim=1)),
            "grasp_duration": self.held_share,
        }
