"""In-hand reorientation: turn a cube on the palm to one goal after another. Explained in docs/new-task.md."""

from dataclasses import dataclass

import torch

from dexhand.core import quaternions
from dexhand.hand_env.interfaces import Box, ResetPose
from dexhand.tasks import BaseTask, BaseTaskConfig, TaskState, buffer, failure, observation, option, reward


@dataclass
class CubeConfig(BaseTaskConfig):
    """Keys of this task, beside those of every task."""

    cube_size: float = option(0.06, "edge length of the cube", unit="m", above=0)
    goal_tolerance: float = option(0.4, "a goal is reached within this angle", unit="rad", above=0)


@dataclass
class CubeTaskState(TaskState):
    """Kept between control steps: the goal, a quaternion (x, y, z, w), and whether it was reached in this step."""

    goal: torch.Tensor = buffer(4)
    reached: torch.Tensor = buffer(dtype="bool")


class CubeReorientation(BaseTask):
    """Turn the cube with the fingers; the wrist rests, palm up."""

    config_class, buffers_class = CubeConfig, CubeTaskState

    @classmethod
    def objects(cls, config):
        """The cube, 50 g."""
        return (Box("cube", (config.cube_size,) * 3, mass=0.05),)

    def reset_pose(self, generator):
        """Start with the cube above the palm; positions in metres, angles in radians."""
        dof_pos = super().reset_pose(generator).dof_pos
        dof_pos[:, self.hand.dof_names.index("ARRx")] = 3.1
        cube = torch.zeros(self.num_envs, 1, 7, device=self.device)
        cube[..., 0], cube[..., 2], cube[..., 6] = 0.09, 0.56, 1.0  # x, z, and w of the quaternion: no rotation
        return ResetPose(dof_pos, cube)

    def reset(self, mask, state, generator):
        """Draw goals for new episodes."""
        super().reset(mask, state, generator)
        self._set_goals(mask, generator)

    def advance(self, state, generator):
        """Replace each goal that was reached by a new one."""
        self.buffers.reached = self._angle(state) < self.config.goal_tolerance
        self._set_goals(self.buffers.reached, generator)

    def _set_goals(self, mask, generator):
        drawn = torch.randn(self.num_envs, 4, generator=generator, device=self.device)  # for all environments
        goals = torch.nn.functional.normalize(drawn)
        self.buffers.goal = torch.where(mask[:, None], goals, self.buffers.goal)

    def _angle(self, state):
        return quaternions.to_rotation_vector(self.rotation_left(state)).norm(dim=1)

    @observation(4)
    def rotation_left(self, state):
        """Rotation from the cube's orientation to the goal, a quaternion (x, y, z, w)."""
        return quaternions.multiply(self.buffers.goal, quaternions.conjugate(state.sim.object_quat[:, 0]))

    @observation(3, privileged=True)
    def cube_pos(self, state):
        """Centre of the cube, m."""
        return state.sim.object_pos[:, 0]

    @reward(weight=1.0)
    def alignment(self, state):
        """exp(-angle between cube and goal)."""
        return torch.exp(-self._angle(state))

    @reward(weight=50.0)
    def goal_reached(self, state):
        """1 in each step in which a goal is reached."""
        return self.buffers.reached.float()

    @failure()
    def cube_dropped(self, state):
        """The cube is more than 10 cm below the wrist."""
        return state.sim.object_pos[:, 0, 2] < state.hand_pos[:, 2] - 0.1
