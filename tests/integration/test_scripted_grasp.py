"""BlindGrasping can be solved, on every simulator that can run here: the scripted expert does it."""

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


@pytest.mark.timeout(600)  # MuJoCo Warp compiles its kernels the first time on a machine
@pytest.mark.parametrize(
    ("backend", "hand", "num_envs"),
    [
        ("mock", "dexhand021_right", 8),
        ("mujoco", "dexhand021_right", 8),
        ("mujoco", "dexhand021_left", 4),
        ("mujoco_warp", "dexhand021_right", 4),
        ("isaacgym", "dexhand021_right", 2),
    ],
)
def test_the_expert_lifts_and_holds_the_box(example: ModuleType, backend: str, hand: str, num_envs: int) -> None:
    """At least nine of ten boxes within reach, through all three stages, by actions in [-1, 1] alone."""
    physics = ["physics=fast"] if backend == "mock" else []
    env = dexhand.make("BlindGrasping", f"sim.backend={backend}", f"env.hand={hand}", *physics, num_envs=num_envs)
    result = example.play(env, seed=3)
    env.close()
    assert result.reachable.float().mean() > 0.3
    assert result.success_rate() >= 0.9
    succeeded = [outcome.startswith("success") for outcome in result.outcome]
    assert all(stage == 3 for stage, success in zip(result.stages.tolist(), succeeded) if success)
