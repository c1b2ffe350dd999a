"""BlindGrasping can be solved: the scripted expert does it. On MuJoCo Warp tests/gpu has it do so."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

import dexhand

EXAMPLE = Path(__file__).parents[2] / "examples" / "scripted_grasp.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scripted_grasp", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


HALF_AS_OFTEN = "env.controlDecimation=4"
"""Actions at half the rate, which the expert does not need."""


@pytest.mark.parametrize(
    ("num_envs", "settings"),
    [
        (8, ["sim.backend=mock", "physics=fast", HALF_AS_OFTEN]),
        (8, ["sim.backend=mujoco"]),
        (4, ["sim.backend=mujoco", "env.hand=dexhand021_left", HALF_AS_OFTEN]),
        (2, ["sim.backend=isaacgym", HALF_AS_OFTEN]),
    ],
)
def test_the_expert_lifts_and_holds_the_box(example: ModuleType, num_envs: int, settings: list[str]) -> None:
    """At least nine of ten boxes within reach, through all three stages, by actions in [-1, 1] alone."""
    env = dexhand.make("BlindGrasping", *settings, num_envs=num_envs).vec_env
    result = example.play(env, seed=3)
    env.close()
    assert result.reachable.float().mean() > 0.3
    assert result.success_rate() >= 0.9
    succeeded = [outcome.startswith("success") for outcome in result.outcome]
    assert all(stage == 3 for stage, success in zip(result.stages.tolist(), succeeded) if success)
