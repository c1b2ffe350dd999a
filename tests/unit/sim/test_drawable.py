"""DrawableScene: the contract, and that shapes and poses are those of the hand's file and of the state."""

from pathlib import Path

import numpy as np
import pytest
import torch
from composed import composed

from dexhand.app.build import build_env
from dexhand.core.interfaces import Drawable, VecEnv
from dexhand.hand_env.task_env import TaskEnv
from dexhand.hands.spec import load_hand
from dexhand.sim.drawable import DrawableScene
from dexhand.testing.drawable import DrawableConformance

TETRAHEDRON = '<mesh name="cover" vertex="0 0 0  0.1 0 0  0 0.1 0  0 0 0.1"/>'


def drawable_env(*settings: str) -> tuple[TaskEnv, DrawableScene]:
    config = composed("sim.backend=mock", "numEnvs=3", *settings)
    env = build_env(config)
    assert isinstance(env, TaskEnv)
    return env, DrawableScene(env.simulator, config.sim, env.task)  # type: ignore[arg-type]


class TestOnTheMock(DrawableConformance):
    def make_drawable(self, num_envs: int) -> tuple[VecEnv, Drawable]:
        return drawable_env("task=BlindGrasping", f"numEnvs={num_envs}")


class TestOnMujoco(DrawableConformance):
    def make_drawable(self, num_envs: int) -> tuple[VecEnv, Drawable]:
        return drawable_env("task=BoxGrasping", "sim.backend=mujoco", f"numEnvs={num_envs}")


def test_bodies_are_where_the_simulator_says() -> None:
    """The fingertips, of which the state has poses, are among the bodies, at the same places."""
    env, drawable = drawable_env()
    env.reset(seed=1)
    drawn = drawable.frame(range(3)).body_pose
    for tracked in env.simulator.state.body_pos.numpy().swapaxes(0, 1):
        distance = np.linalg.norm(drawn[..., :3] - tracked[:, None], axis=-1).min(axis=1)
        assert distance == pytest.approx(0.0, abs=1e-6)


def test_the_box_is_drawn_in_its_size_at_its_place() -> None:
    """Its shape has the task's size, and its body the state's pose."""
    env, drawable = drawable_env("task=BoxGrasping", "task.box.size=0.07")
    env.reset(seed=1)
    box = next(shape for shape in drawable.shapes if shape.size == pytest.approx((0.07, 0.07, 0.07)))
    pose = drawable.frame([1]).body_pose[0, box.body]
    state = env.simulator.state
    assert pose[:3] == pytest.approx(state.object_pos[1, 0].numpy(), abs=1e-6)
    assert pose[3:] == pytest.approx(state.object_quat[1, 0].numpy(), abs=1e-6)


def test_meshes_of_a_hand_are_drawn_and_hidden_shapes_are_not(tmp_path: Path) -> None:
    """A manufacturer's MJCF has visual meshes, and collision shapes in MuJoCo's hidden groups."""
    text = load_hand("dexhand021_right").asset.read_text()
    text = text.replace("<worldbody>", f"<asset>{TETRAHEDRON}</asset><worldbody>", 1)
    palm = '<geom class="palm"'
    assert text.count(palm) == 1
    visual = '<geom type="mesh" mesh="cover" contype="0" conaffinity="0" rgba="1 0 0 1"/>'
    asset = tmp_path / "hand.xml"
    asset.write_text(text.replace(palm, f'{visual}{palm} group="3"'))
    _, before = drawable_env()
    _, drawable = drawable_env(f"env.handAsset={asset}")
    assert len(drawable.shapes) == len(before.shapes)
    (mesh,) = [shape for shape in drawable.shapes if shape.kind == "mesh"]
    assert mesh.rgba == (1.0, 0.0, 0.0, 1.0)
    assert mesh.vertices is not None
    assert np.ptp(mesh.vertices, axis=0).max() == pytest.approx(0.1 * 2**0.5, rel=0.2)


def test_the_stage_is_in_the_caption() -> None:
    """BlindGrasping says which of its three stages each environment is in."""
    env, drawable = drawable_env("task=BlindGrasping")
    env.reset(seed=1)
    assert drawable.frame([0, 1]).caption == ("stage 1: pre-grasp",) * 2


def test_the_height_to_lift_to_is_marked() -> None:
    """By a ball above the start of the box, which stays where it is when the box moves."""
    env, drawable = drawable_env("task=BoxGrasping", "task.success_height_threshold=0.3")
    env.reset(seed=1)
    x, y, _ = env.simulator.state.object_pos[1, 0].tolist()
    ball = drawable.shapes[-1]
    assert ball.rgba[3] < 1.0
    env.step(torch.ones(3, env.single_action_space.shape[0]))
    assert drawable.frame([1]).body_pose[0, ball.body] == pytest.approx((x, y, 0.3, 0.0, 0.0, 0.0, 1.0))
