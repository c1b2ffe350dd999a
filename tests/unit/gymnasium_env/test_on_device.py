"""Environments that step on the CPU for a learner elsewhere."""

import pytest
import torch

from dexhand.gymnasium_env import make_gymnasium_env
from dexhand.tasks.gymnasium_tasks import AntConfig, AnyGymnasiumConfig, GymnasiumConfig

META = torch.device("meta")
"""Where tensors have no values: what ``to`` has moved there can be told on any machine."""


@pytest.mark.parametrize("task", [AntConfig(), AnyGymnasiumConfig(id="Pendulum-v1")])
def test_every_tensor_is_on_the_learners_device(task: GymnasiumConfig) -> None:
    """Those of ``reset`` and of ``step``, whose actions come from there."""
    env = make_gymnasium_env(task, 2, device=META)
    assert env.device == META
    observations, _ = env.reset(seed=1)
    *values, info = env.step(torch.zeros(2, *env.single_action_space.shape))
    assert {tensor.device for tensor in (observations, *values, *info.values())} == {META}  # type: ignore[attr-defined]
