"""The adapter on the stand-in, with MuJoCo or kinematics under it."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from isaacgym import gymapi
from isaacgym_worker.adapter import CannotDraw, IsaacGymAdapter
from scenes import DT, HEIGHT, changed, make

DEXHAND = Path(__file__).parents[2] / "dexhand"


def put(adapter: IsaacGymAdapter, hinge: float = 0.0, slide: float = 0.0, height: float = 0.04) -> None:
    """Everything at rest, the box beside the hand with its centre ``height`` above the ground."""
    state = adapter.state
    state["dof_pos"][:] = torch.tensor([hinge, slide])
    state["object_pos"][:] = torch.tensor([-0.5, 0.0, height])
    state["object_quat"][:] = torch.tensor([0.0, 0.0, 0.0, 1.0])
    for name in ("dof_vel", "object_linvel", "object_angvel"):
        state[name].zero_()
    adapter.write_back(torch.ones(3, dtype=torch.bool))


def targets(hinge: float = 0.0, slide: float = 0.0) -> torch.Tensor:
    return torch.tensor([hinge, slide]).repeat(3, 1)


class TestState:
    def test_it_has_the_scenes_sizes(self) -> None:
        shapes = {name: tuple(tensor.shape) for name, tensor in make().state.items()}
        assert shapes == {
            "dof_pos": (3, 2),
            "dof_vel": (3, 2),
            "body_pos": (3, 2, 3),
            "body_quat": (3, 2, 4),
            "body_linvel": (3, 2, 3),
            "body_angvel": (3, 2, 3),
            "contact_force": (3, 1, 3),
            "object_pos": (3, 1, 3),
            "object_quat": (3, 1, 4),
            "object_linvel": (3, 1, 3),
            "object_angvel": (3, 1, 3),
            "object_contact_force": (3, 1, 3),
        }

    def test_each_target_moves_its_own_joint(self) -> None:
        """In the scene's order, which is not the file's."""
        adapter = make()
        put(adapter)
        for _ in range(100):
            adapter.step(targets(hinge=0.4, slide=-0.2))
        assert torch.allclose(adapter.state["dof_pos"], targets(0.4, -0.2), atol=0.01)

    def test_bodies_go_with_their_joints(self) -> None:
        """Positions in the environment's frame, quaternions x, y, z, w."""
        adapter = make()
        put(adapter, hinge=1.0, slide=0.3)
        adapter.step(targets(hinge=1.0, slide=0.3))
        tip, palm = adapter.state["body_pos"][2]
        assert palm.tolist() == pytest.approx([0.5, 0.0, HEIGHT + 0.1], abs=0.01)
        tip_place = [0.6 + 0.1 * math.cos(1.0), 0.0, HEIGHT + 0.1 - 0.1 * math.sin(1.0)]
        assert tip.tolist() == pytest.approx(tip_place, abs=0.01)
        quat = adapter.state["body_quat"][2, 0].tolist()
        assert quat == pytest.approx([0.0, math.sin(0.5), 0.0, math.cos(0.5)], abs=0.02)

    def test_velocities_of_bodies_are_those_of_their_joints(self) -> None:
        adapter = make()
        put(adapter)
        adapter.step(targets(slide=0.5))
        palm, speed = adapter.state["body_linvel"][0, 1], float(adapter.state["dof_vel"][0, 1])
        assert speed > 0.01
        assert palm.tolist() == pytest.approx([speed, 0.0, 0.0], abs=1e-4)

    def test_a_falling_box_gains_speed_and_a_resting_one_feels_its_weight(self) -> None:
        """One step lasts ``calls_per_step * dt``."""
        adapter = make()
        put(adapter, height=0.8)
        adapter.step(targets())
        assert adapter.state["object_linvel"][0, 0].tolist() == pytest.approx([0.0, 0.0, -9.81 * DT], abs=1e-3)
        put(adapter)
        for _ in range(50):
            adapter.step(targets())
        force = adapter.state["object_contact_force"][0, 0].tolist()
        assert force == pytest.approx([0.0, 0.0, 0.2 * 9.81], abs=0.02)


class TestWriteBack:
    def test_only_the_environments_of_the_mask_change(self) -> None:
        adapter = make()
        put(adapter)
        adapter.step(targets())
        adapter.state["dof_pos"][:, 1] = 0.3
        adapter.write_back(torch.tensor([False, True, False]))
        adapter.step(torch.tensor([[0.0, 0.0], [0.0, 0.3], [0.0, 0.0]]))
        assert adapter.state["dof_pos"][:, 1].tolist() == pytest.approx([0.0, 0.3, 0.0], abs=0.01)

    def test_several_between_two_steps_all_count(self) -> None:
        """The engine takes one call of each kind between two steps: they go into one."""
        adapter = make()
        put(adapter)
        adapter.step(targets())
        slides = torch.tensor([[0.0, 0.0], [0.0, 0.3], [0.0, 0.2]])
        for env, value in ((1, 0.1), (2, 0.2), (1, 0.3)):
            adapter.state["dof_pos"][env, 1] = value
            adapter.write_back(torch.arange(3) == env)
        adapter.step(slides)
        assert adapter.state["dof_pos"][:, 1].tolist() == pytest.approx([0.0, 0.3, 0.2], abs=0.01)

    def test_a_saved_state_goes_on_with_the_same_bits(self) -> None:
        """On the stand-in; the real engine has contact caches that cannot be read."""
        adapter = make()
        put(adapter, height=0.3)
        adapter.step(targets(hinge=0.5))
        saved = {name: tensor.clone() for name, tensor in adapter.state.items()}
        ends = []
        for _ in range(2):
            for name, tensor in adapter.state.items():
                tensor.copy_(saved[name])
            adapter.write_back(torch.ones(3, dtype=torch.bool))
            for _ in range(5):
                adapter.step(targets(hinge=0.5, slide=0.1))
            ends.append({name: tensor.clone() for name, tensor in adapter.state.items()})
        assert all(torch.equal(ends[0][name], ends[1][name]) for name in saved)


class TestBuilding:
    def test_drives_are_the_scenes(self) -> None:
        """And dry friction is 0: PhysX means something else by it than the file."""
        adapter = make()
        properties = adapter._gym.get_actor_dof_properties(adapter._envs[1], 0)
        hinge = properties[adapter._gym.get_actor_dof_names(adapter._envs[1], 0).index("hinge")]
        fields = ("lower", "upper", "stiffness", "damping", "effort", "armature", "friction")
        assert [float(hinge[field]) for field in fields] == pytest.approx([0.0, 1.5, 20.0, 2.0, 50.0, 0.02, 0.0])

    def test_no_body_is_braked(self) -> None:
        """PhysX does so unless it is told otherwise."""
        for actor in make()._envs[0].actors:
            options = actor.asset.options
            assert (options.linear_damping, options.angular_damping) == (0.0, 0.0)
            assert (options.max_linear_velocity, options.max_angular_velocity) == (1000.0, 1000.0)

    def test_boxes_have_their_mass(self) -> None:
        adapter = make()
        (body,) = adapter._gym.get_actor_rigid_body_properties(adapter._envs[0], 1)
        assert body.mass == pytest.approx(0.2)

    def test_joints_that_the_file_does_not_have_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"reads the joints .* from .*toy_hand\.xml, expected"):
            make(changed("joints", name="elbow"))

    def test_bodies_that_the_hand_lacks_are_named(self) -> None:
        with pytest.raises(ValueError, match="lacks bodies sixth_finger"):
            make({"contact_bodies": ["finger", "sixth_finger"]})

    def test_a_file_that_the_engine_cannot_read_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The real one returns nothing then."""
        monkeypatch.setattr(gymapi.Gym, "load_asset", lambda *arguments: None)
        with pytest.raises(ValueError, match=r"cannot read .*toy_hand\.xml"):
            make()

    def test_a_simulation_that_is_not_created_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The real one returns nothing then."""
        monkeypatch.setattr(gymapi.Gym, "create_sim", lambda *arguments: None)
        with pytest.raises(RuntimeError, match="could not create a simulation on cpu"):
            make()

    def test_closing_twice_does_nothing(self) -> None:
        adapter = make(viewer=True)
        adapter.close()
        adapter.close()


class TestGraphics:
    def test_a_picture_is_rgb(self) -> None:
        adapter = make()
        put(adapter)
        adapter.step(targets())
        try:
            picture = adapter.render(0, "default", 64, 48)
        except CannotDraw:
            pytest.skip("this machine has no OpenGL library")
        assert picture.shape == (48, 64, 3)
        assert picture.std() > 1

    def test_without_a_graphics_device_there_is_none(self) -> None:
        """And stepping goes on."""
        adapter = make(graphics_device=-1)
        with pytest.raises(CannotDraw, match=r"sim\.isaacgym\.graphicsDevice"):
            adapter.render(0, "default", 64, 48)
        adapter.step(targets())

    def test_the_viewer_shows_every_step(self) -> None:
        """Until V is pressed, and again after it is pressed once more."""
        adapter = make(viewer=True)
        viewer: Any = adapter._viewer._viewer  # type: ignore[union-attr]
        counts = []
        for pressed in (False, False, True, False, True):
            if pressed:
                viewer.events.append(gymapi.ActionEvent("toggle_sync", 1.0))
            adapter.step(targets())
            counts.append(viewer.frames_drawn)
        assert counts == [1, 2, 2, 2, 3]
        adapter.close()
        assert viewer.is_destroyed

    @pytest.mark.parametrize("how", ["button", "escape"])
    def test_closing_the_window_does_not_stop_the_run(self, how: str) -> None:
        adapter = make(viewer=True)
        viewer: Any = adapter._viewer._viewer  # type: ignore[union-attr]
        if how == "button":
            viewer.has_closed = True
        else:
            viewer.events.append(gymapi.ActionEvent("quit", 1.0))
        adapter.step(targets())
        adapter.step(targets())
        assert viewer.is_destroyed
        adapter.close()

    def test_without_a_window_the_viewer_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gymapi.Gym, "create_viewer", lambda *arguments: None)
        with pytest.raises(RuntimeError, match="could not open a window"):
            make(viewer=True)


@pytest.mark.skipif(sys.version_info >= (3, 9), reason="lint-imports checks it where dexhand is installed")
def test_the_worker_needs_nothing_of_dexhand() -> None:
    """A fresh process imports it as a package of its own, Isaac Gym before torch."""
    code = (
        "import isaacgym_worker.standin as s; s.install(); import isaacgym_worker.adapter, sys;"
        "sys.exit(any(name.partition('.')[0] == 'dexhand' for name in sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(DEXHAND)}, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
