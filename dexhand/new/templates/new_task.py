"""NewTask: hold the wrist at a height that is drawn for each episode."""

from dataclasses import dataclass

import torch

from dexhand.tasks import BaseTask, BaseTaskConfig, TaskState, buffer, failure, observation, option, reward


@dataclass
class NewTaskConfig(BaseTaskConfig):
    """Keys of this task, such as task.largest_distance=0.2, beside those of every task."""

    largest_distance: float = option(0.25, "an episode fails farther away from the goal", unit="m", above=0)


@dataclass
class NewTaskState(TaskState):
    """What is kept between control steps: the height to hold, m."""

    goal: torch.Tensor = buffer()


class NewTask(BaseTask):
    """Each method with a decorator is a term; the first line of its docstring is its help."""

    config_class, buffers_class = NewTaskConfig, NewTaskState

    def reset(self, mask, state, generator):
        """Draw goals where ``mask``; random numbers are always drawn for all environments."""
        super().reset(mask, state, generator)
        drawn = 0.4 + 0.2 * torch.rand(self.num_envs, generator=generator, device=self.device)
        self.buffers.goal = torch.where(mask, drawn, self.buffers.goal)

    @observation(1)
    def height_left(self, state):
        """Height from the wrist up to the goal, m."""
        return (self.buffers.goal - state.hand_pos[:, 2])[:, None]

    @reward(weight=1.0)
    def nearness(self, state):
        """exp(-10 times the distance to the goal in metres)."""
        return torch.exp(-10.0 * self.height_left(state)[:, 0].abs())

    @failure()
    def far_away(self, state):
        """The wrist is farther from the goal than task.largest_distance."""
        return self.height_left(state)[:, 0].abs() > self.config.largest_distance
