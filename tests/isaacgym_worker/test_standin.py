"""The stand-in for Isaac Gym: its names and signatures, its tensors, and what it refuses."""

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import pytest
import torch
from isaacgym import _engines, gymapi, gymtorch, torch_utils
from isaacgym._records import IsaacGymMisuse
from isaacgym._types import Struct

ROOT = Path(__file__).parents[2]
HAND = ROOT / "dexhand" / "hands" / "dexhand021_right" / "hand.xml"
PALM = "right_hand_base"
API = json.loads((ROOT / "typings" / "isaacgym_api.json").read_text(encoding="utf-8"))
MODULES = {"isaacgym.gymapi": gymapi, "isaacgym.gymtorch": gymtorch, "isaacgym.torch_utils": torch_utils}
OPAQUE = {"Asset", "Env", "Sim", "Viewer", "Gym"}
"""Handles: the interface says nothing of what is inside."""

needs_physics = pytest.mark.skipif(not _engines.has_physics(), reason="needs MuJoCo: kinematics have no forces")


# --- names and signatures ---------------------------------------------------------------------------------------------


def records(core: bool) -> List[Dict[str, Any]]:
    return [each for each in API["callables"] if each["core"] or not core]


def find(each: Dict[str, Any]) -> Any:
    module = MODULES.get(each["module"])
    return getattr(getattr(module, each["class"], None) if each["class"] else module, each["name"], None)


class TestInterface:
    def test_every_call_that_a_hand_environment_needs_is_there(self) -> None:
        assert [each["name"] for each in records(core=True) if find(each) is None] == []

    @pytest.mark.parametrize("each", [e for e in API["callables"] if find(e)], ids=lambda e: e["name"])
    def test_parameters_are_the_real_ones(self, each: Dict[str, Any]) -> None:
        """Number, order and optionality; names where they may be used, and no names where they may not."""
        parameters = [p for p in inspect.signature(find(each)).parameters.values() if p.name != "self"]
        assert len(parameters) == len(each["params"])
        for mine, real in zip(parameters, each["params"]):
            assert (mine.default is not inspect.Parameter.empty) == ("default" in real), real["name"]
            if each["positional_only"]:
                assert mine.kind is inspect.Parameter.POSITIONAL_ONLY, real["name"]
            else:
                assert mine.name == real["name"]

    def test_there_is_nothing_that_the_real_one_lacks(self) -> None:
        real = {each["name"] for each in API["callables"] if each["class"] == "Gym"}
        assert {name for name in dir(gymapi.Gym) if not name.startswith("_")} <= real
        top_level = {each["name"] for each in API["callables"] if each["class"] is None}
        top_level |= {each["name"] for key in ("classes", "enums") for each in API[key]} | OPAQUE
        for module in MODULES.values():
            assert set(module.__all__) <= top_level

    @pytest.mark.parametrize("record", API["classes"], ids=lambda record: record["name"])
    def test_structures_have_real_fields_only(self, record: Dict[str, Any]) -> None:
        mine = getattr(gymapi, record["name"], None)
        if mine is None or not issubclass(mine, Struct):
            return
        real = {field["name"]: field["type"] for field in record["fields"]}
        for name, kind in mine._fields.items():
            assert kind.__name__ == {"0": "int"}.get(real[name], real[name])

    @pytest.mark.parametrize("record", API["enums"], ids=lambda record: record["name"])
    def test_enumerations_have_real_members_only(self, record: Dict[str, Any]) -> None:
        mine = getattr(gymapi, record["name"], None)
        if mine is None:
            return
        assert {member.name for member in mine} <= set(record["members"])
        for name, value in record["values"].items():
            assert mine[name] == value
        for member in mine:
            assert getattr(gymapi, member.name) is member


class TestStructures:
    def test_an_unknown_field_is_refused(self) -> None:
        """As with compiled code; a typing error would otherwise change nothing."""
        with pytest.raises(AttributeError, match="no attribute 'solver'"):
            gymapi.PhysXParams().solver = 1

    @pytest.mark.parametrize(("name", "value"), [("dt", "0.01"), ("substeps", 2.0), ("gravity", (0, 0, -9.81))])
    def test_a_value_of_another_type_is_refused(self, name: str, value: Any) -> None:
        with pytest.raises(TypeError, match=f"SimParams.{name} must be"):
            setattr(gymapi.SimParams(), name, value)

    def test_a_new_world_is_y_up(self) -> None:
        """Who forgets to say otherwise finds out."""
        assert (gymapi.SimParams().gravity.y, gymapi.PlaneParams().normal.y) == (-9.8, 1.0)


# --- a small world ----------------------------------------------------------------------------------------------------


class World:
    """Two environments with the hand and a box, built step by step."""

    def __init__(self, gpu: bool = False, graphics_device: int = 0) -> None:
        self.gym = gymapi.acquire_gym()
        params = gymapi.SimParams()
        params.dt, params.substeps, params.up_axis = 0.01, 2, gymapi.UP_AXIS_Z
        params.gravity = gymapi.Vec3(0.0, 0.0, -9.81)
        params.use_gpu_pipeline = params.physx.use_gpu = gpu
        params.physx.contact_collection = gymapi.CC_LAST_SUBSTEP
        self.params = params
        self.sim = self.gym.create_sim(0, graphics_device, gymapi.SIM_PHYSX, params)
        plane = gymapi.PlaneParams()
        plane.normal = gymapi.Vec3(0.0, 0.0, 1.0)
        self.gym.add_ground(self.sim, plane)
        options = gymapi.AssetOptions()
        options.fix_base_link, options.default_dof_drive_mode = True, int(gymapi.DOF_MODE_POS)
        self.hand = self.gym.load_asset(self.sim, str(HAND.parent), HAND.name, options)
        options = gymapi.AssetOptions()
        options.density = 800.0
        self.box = self.gym.create_box(self.sim, 0.05, 0.05, 0.05, options)
        self.envs: List[gymapi.Env] = []

    def add_env(self) -> gymapi.Env:
        lower, upper = gymapi.Vec3(-1.0, -1.0, 0.0), gymapi.Vec3(1.0, 1.0, 1.0)
        self.envs.append(self.gym.create_env(self.sim, lower, upper, 2))
        return self.envs[-1]

    def add_actors(self, env: gymapi.Env) -> None:
        number = self.envs.index(env)
        at = gymapi.Transform(gymapi.Vec3(0.0, 0.0, 0.5))
        self.gym.create_actor(env, self.hand, at, "hand", number, 0)
        at = gymapi.Transform(gymapi.Vec3(-0.5, 0.1 * number, 0.3))
        self.gym.create_actor(env, self.box, at, "box", number, 0)

    def prepare(self) -> "World":
        for _ in range(2):
            env = self.add_env()
            self.gym.create_actor(
                env, self.hand, gymapi.Transform(gymapi.Vec3(0.0, 0.0, 0.5)), "hand", len(self.envs), 0
            )
            self.gym.create_actor(
                env, self.box, gymapi.Transform(gymapi.Vec3(-0.5, 0.1, 0.3)), "box", len(self.envs), 0
            )
        self.gym.prepare_sim(self.sim)
        return self

    def wrap(self, name: str) -> torch.Tensor:
        return gymtorch.wrap_tensor(getattr(self.gym, f"acquire_{name}_tensor")(self.sim))

    def step(self) -> None:
        self.gym.simulate(self.sim)
        self.gym.fetch_results(self.sim, True)


@pytest.fixture
def world() -> World:
    return World().prepare()


class TestTensors:
    def test_layouts(self, world: World) -> None:
        """Flat over environments, in the order of creation."""
        bodies = world.gym.get_asset_rigid_body_count(world.hand) + 1
        assert world.wrap("actor_root_state").shape == (4, 13)
        assert world.wrap("dof_state").shape == (2 * 26, 2)
        assert world.wrap("rigid_body_state").shape == (2 * bodies, 13)
        assert world.wrap("net_contact_force").shape == (2 * bodies, 3)
        assert world.wrap("dof_force").shape == (2 * 26,)
        assert world.gym.get_actor_index(world.envs[1], 1, gymapi.DOMAIN_SIM) == 3
        assert world.gym.get_actor_index(world.envs[1], 1, gymapi.DOMAIN_ENV) == 1
        assert world.gym.find_actor_rigid_body_index(world.envs[1], 1, "box", gymapi.DOMAIN_SIM) == 2 * bodies - 1

    def test_a_wrapped_tensor_shows_new_values_after_refresh(self, world: World) -> None:
        """The memory is the same all along."""
        roots = world.wrap("actor_root_state")
        world.gym.refresh_actor_root_state_tensor(world.sim)
        before = roots[1].clone()
        world.step()
        assert torch.equal(roots[1], before)
        world.gym.refresh_actor_root_state_tensor(world.sim)
        assert roots[1, 2] < before[2]
        assert roots[1, 9] == pytest.approx(-9.81 * 0.01, rel=1e-3)

    def test_quaternions_are_x_y_z_w(self, world: World) -> None:
        world.step()
        world.gym.refresh_rigid_body_state_tensor(world.sim)
        index = world.gym.find_actor_rigid_body_index(world.envs[0], 0, PALM, gymapi.DOMAIN_SIM)
        quat = world.wrap("rigid_body_state")[index, 3:7]
        assert quat.tolist() == pytest.approx([0.0, 0.5**0.5, 0.0, 0.5**0.5], abs=0.01)

    def test_what_is_set_takes_effect_in_the_next_simulate(self, world: World) -> None:
        """Of the listed actors, and of no other."""
        world.step()
        world.gym.refresh_actor_root_state_tensor(world.sim)
        roots = world.wrap("actor_root_state")
        others = roots[1].clone()
        states = roots.clone()
        states[:, :3] = torch.tensor([0.3, 0.4, 0.5])
        actors = torch.tensor([3], dtype=torch.int32)
        world.gym.set_actor_root_state_tensor_indexed(
            world.sim, gymtorch.unwrap_tensor(states), gymtorch.unwrap_tensor(actors), 1
        )
        world.gym.refresh_actor_root_state_tensor(world.sim)
        assert torch.equal(roots[1], others)
        world.step()
        world.gym.refresh_actor_root_state_tensor(world.sim)
        assert roots[3, :2].tolist() == pytest.approx([0.3, 0.4], abs=1e-4)
        assert roots[1, :2].tolist() == pytest.approx([-0.5, 0.1], abs=1e-4)

    def test_dof_setters_are_indexed_by_actor(self, world: World) -> None:
        """The buffer is the whole one."""
        states, targets = torch.zeros(52, 2), torch.zeros(52)
        dof = world.gym.find_asset_dof_index(world.hand, "r_f_joint2_2")
        states[dof::26, 0] = targets[dof::26] = 0.4
        actors = torch.tensor([2], dtype=torch.int32)
        for setter, values in (("dof_state", states), ("dof_position_target", targets)):
            getattr(world.gym, f"set_{setter}_tensor_indexed")(
                world.sim, gymtorch.unwrap_tensor(values), gymtorch.unwrap_tensor(actors), 1
            )
        world.step()
        world.gym.refresh_dof_state_tensor(world.sim)
        positions = world.wrap("dof_state").view(2, 26, 2)[:, dof, 0]
        assert positions.tolist() == pytest.approx([0.0, 0.4], abs=0.01)

    @needs_physics
    def test_forces_and_sensors(self) -> None:
        """A lifted box falls upwards; a drive works against gravity; a wrist sensor feels the hand's weight."""
        world = World()
        palm = world.gym.find_asset_rigid_body_index(world.hand, PALM)
        assert world.gym.create_asset_force_sensor(world.hand, palm, gymapi.Transform()) == 0
        for index in range(2):
            env = world.add_env()
            at = gymapi.Transform(gymapi.Vec3(0.0, 0.0, 0.5))
            actor = world.gym.create_actor(env, world.hand, at, "hand", index, 0)
            assert world.gym.enable_actor_dof_force_sensors(env, actor)
            properties = world.gym.get_actor_dof_properties(env, actor)
            properties["stiffness"][6:], properties["effort"][6:] = 20.0, 2.0
            world.gym.set_actor_dof_properties(env, actor, properties)
            world.gym.create_actor(env, world.box, gymapi.Transform(gymapi.Vec3(-0.5, 0.0, 0.3)), "box", index, 0)
        world.gym.prepare_sim(world.sim)
        bodies = world.gym.get_asset_rigid_body_count(world.hand) + 1
        forces = torch.zeros(2 * bodies, 3)
        forces[bodies - 1 :: bodies, 2] = 2 * 0.1 * 9.81
        for _ in range(100):
            world.gym.apply_rigid_body_force_tensors(world.sim, gymtorch.unwrap_tensor(forces), None, gymapi.ENV_SPACE)
            world.step()
        world.gym.refresh_actor_root_state_tensor(world.sim)
        world.gym.refresh_dof_force_tensor(world.sim)
        world.gym.refresh_force_sensor_tensor(world.sim)
        assert world.wrap("actor_root_state")[1, 2] > 1.0
        lift = world.wrap("dof_force").view(2, 26)[0, world.gym.find_asset_dof_index(world.hand, "ARTz")]
        assert float(lift) == pytest.approx(9.81 * 0.703, rel=0.1)
        assert float(world.wrap("force_sensor")[0, :3].norm()) == pytest.approx(9.81 * 0.64, rel=0.1)

    def test_euler_angles(self) -> None:
        """Roll, pitch, yaw about fixed axes; rotating there and back changes nothing."""
        angles = torch.tensor([[0.3], [-0.4], [0.5]])
        quat = torch_utils.quat_from_euler_xyz(*angles)
        x_axis = torch_utils.quat_rotate(quat, torch.tensor([[1.0, 0.0, 0.0]]))[0]
        yaw, pitch = torch.atan2(x_axis[1], x_axis[0]), -torch.asin(x_axis[2])
        assert [float(yaw), float(pitch)] == pytest.approx([0.5, -0.4], abs=1e-6)
        vector = torch.tensor([[0.1, 0.2, 0.3]])
        back = torch_utils.quat_rotate_inverse(quat, torch_utils.quat_rotate(quat, vector))
        assert torch.allclose(back, vector, atol=1e-6)
        identity = torch_utils.quat_mul(quat, torch_utils.quat_conjugate(quat))
        assert torch.allclose(identity, torch.tensor([[0.0, 0.0, 0.0, 1.0]]), atol=1e-6)


# --- what it refuses --------------------------------------------------------------------------------------------------


def keep(tensor: torch.Tensor, kept: List[torch.Tensor] = []) -> gymapi.Tensor:  # noqa: B006
    kept.append(tensor)
    return gymtorch.unwrap_tensor(tensor)


def int32(*numbers: int) -> gymapi.Tensor:
    return keep(torch.tensor(numbers, dtype=torch.int32))


def set_roots(world: World, *actors: int) -> None:
    world.gym.set_actor_root_state_tensor_indexed(world.sim, keep(torch.zeros(4, 13)), int32(*actors), len(actors))


def forget_a_tensor(world: World) -> None:
    world.gym.set_dof_position_target_tensor(world.sim, gymtorch.unwrap_tensor(torch.zeros(52)))
    world.gym.simulate(world.sim)


def simulate_twice(world: World) -> None:
    world.gym.simulate(world.sim)
    world.gym.simulate(world.sim)


def read_too_early(world: World) -> None:
    world.gym.simulate(world.sim)
    world.gym.refresh_dof_state_tensor(world.sim)


def set_roots_twice(world: World) -> None:
    set_roots(world, 1)
    set_roots(world, 3)


def use_after_destroy(world: World) -> None:
    world.gym.destroy_sim(world.sim)
    world.gym.simulate(world.sim)


def render_without_step_graphics(world: World) -> None:
    world.gym.create_camera_sensor(world.envs[0], gymapi.CameraProperties())
    world.step()
    world.gym.render_all_camera_sensors(world.sim)


def look_without_rendering(world: World) -> None:
    camera = world.gym.create_camera_sensor(world.envs[0], gymapi.CameraProperties())
    world.gym.step_graphics(world.sim)
    world.gym.get_camera_image(world.sim, world.envs[0], camera, gymapi.IMAGE_COLOR)


def draw_without_step_graphics(world: World) -> None:
    viewer = world.gym.create_viewer(world.sim, gymapi.CameraProperties())
    world.step()
    world.gym.draw_viewer(viewer, world.sim, True)


def destroy_the_sim_before_its_viewer(world: World) -> None:
    world.gym.create_viewer(world.sim, gymapi.CameraProperties())
    world.gym.destroy_sim(world.sim)


RUNNING: Dict[str, Callable[[World], Any]] = {
    "actors after prepare_sim": lambda w: w.add_actors(w.envs[-1]),
    "another environment after prepare_sim": lambda w: w.add_env(),
    "prepare_sim twice": lambda w: w.gym.prepare_sim(w.sim),
    "dof properties after prepare_sim": lambda w: w.gym.set_actor_dof_properties(
        w.envs[0], 0, w.gym.get_actor_dof_properties(w.envs[0], 0)
    ),
    "simulate twice without fetch_results": simulate_twice,
    "refresh before fetch_results": read_too_early,
    "actor indices that are not int32": lambda w: w.gym.set_dof_state_tensor_indexed(
        w.sim, keep(torch.zeros(52, 2)), keep(torch.tensor([0])), 1
    ),
    "dof indices instead of actor indices": lambda w: w.gym.set_dof_state_tensor_indexed(
        w.sim, keep(torch.zeros(52, 2)), int32(26), 1
    ),
    "an actor without degrees of freedom": lambda w: w.gym.set_dof_state_tensor_indexed(
        w.sim, keep(torch.zeros(52, 2)), int32(1), 1
    ),
    "an actor listed twice": lambda w: set_roots(w, 1, 1),
    "a part of the buffer": lambda w: w.gym.set_dof_state_tensor_indexed(w.sim, keep(torch.zeros(26, 2)), int32(0), 1),
    "another count than indices": lambda w: w.gym.set_dof_state_tensor_indexed(
        w.sim, keep(torch.zeros(52, 2)), int32(0), 2
    ),
    "root states set twice": set_roots_twice,
    "a tensor that is freed before simulate": forget_a_tensor,
    "a tensor that is not contiguous": lambda w: gymtorch.unwrap_tensor(torch.zeros(2, 52)[:, ::2]),
    "a tensor of doubles": lambda w: gymtorch.unwrap_tensor(torch.zeros(52, dtype=torch.float64)),
    "a raw torch tensor's description used as a buffer": lambda w: gymtorch.wrap_tensor(keep(torch.zeros(3))),
    "anything after destroy_sim": use_after_destroy,
    "render without step_graphics": render_without_step_graphics,
    "an image without render_all_camera_sensors": look_without_rendering,
    "draw_viewer without step_graphics": draw_without_step_graphics,
    "destroy_sim before destroy_viewer": destroy_the_sim_before_its_viewer,
    "image tensors without render_all_camera_sensors": lambda w: w.gym.start_access_image_tensors(w.sim),
    "a camera that does not exist": lambda w: w.gym.set_camera_location(7, w.envs[0], gymapi.Vec3(), gymapi.Vec3()),
}


def two_envs_interleaved(world: World) -> None:
    first, _ = world.add_env(), world.add_env()
    world.add_actors(first)


def an_open_aggregate(world: World) -> None:
    env = world.add_env()
    world.gym.begin_aggregate(env, 100, 100, True)
    world.add_actors(env)
    world.add_env()


def a_small_aggregate(world: World) -> None:
    env = world.add_env()
    world.gym.begin_aggregate(env, 3, 3, True)
    world.add_actors(env)
    world.gym.end_aggregate(env)


def one_group_for_all(world: World) -> None:
    for _ in range(2):
        world.gym.create_actor(world.add_env(), world.box, gymapi.Transform(), "box", 0, 0)


def late_ground(world: World) -> None:
    world.add_env()
    world.gym.add_ground(world.sim, gymapi.PlaneParams())


def wrap_before_prepare(world: World) -> None:
    gymtorch.wrap_tensor(world.gym.acquire_dof_state_tensor(world.sim))


BUILDING: Dict[str, Callable[[World], Any]] = {
    "the default engine, Flex": lambda w: w.gym.create_sim(0, 0),
    "rest_offset above contact_offset": lambda w: (
        setattr(w.params.physx, "rest_offset", 0.03),
        w.gym.create_sim(0, 0, gymapi.SIM_PHYSX, w.params),
    ),
    "a GPU pipeline with physics on the CPU": lambda w: (
        setattr(w.params, "use_gpu_pipeline", True),
        w.gym.create_sim(0, 0, gymapi.SIM_PHYSX, w.params),
    ),
    "an asset that is not there": lambda w: w.gym.load_asset(w.sim, "/nowhere", "hand.xml"),
    "simulate before prepare_sim": lambda w: w.gym.simulate(w.sim),
    "refresh before prepare_sim": lambda w: w.gym.refresh_dof_state_tensor(w.sim),
    "wrapping before prepare_sim": wrap_before_prepare,
    "a viewer before prepare_sim": lambda w: w.gym.create_viewer(w.sim, gymapi.CameraProperties()),
    "an environment begun before the last one was complete": two_envs_interleaved,
    "an aggregate that is not closed": an_open_aggregate,
    "an aggregate that is too small": a_small_aggregate,
    "one collision group for all environments": one_group_for_all,
    "the ground after an environment": late_ground,
    "an empty world": lambda w: w.gym.prepare_sim(w.sim),
}


class TestMisuse:
    @pytest.mark.parametrize("what", BUILDING)
    def test_while_building(self, what: str) -> None:
        with pytest.raises(IsaacGymMisuse):
            BUILDING[what](World())

    @pytest.mark.parametrize("what", RUNNING)
    def test_while_running(self, what: str, world: World) -> None:
        with pytest.raises(IsaacGymMisuse):
            RUNNING[what](world)

    def test_tensors_may_be_acquired_before_prepare_sim(self) -> None:
        """One of the two public users does; only wrapping must wait."""
        world = World()
        tensor = world.gym.acquire_dof_state_tensor(world.sim)
        world.prepare()
        assert gymtorch.wrap_tensor(tensor).shape == (52, 2)

    def test_the_gpu_pipeline_refuses_tensors_of_the_host(self) -> None:
        world = World(gpu=True).prepare()
        with pytest.raises(IsaacGymMisuse, match="must be on the GPU"):
            world.gym.set_dof_position_target_tensor(world.sim, keep(torch.zeros(52)))

    def test_the_gpu_pipeline_needs_no_fetch_results(self) -> None:
        world = World(gpu=True).prepare()
        simulate_twice(world)
        assert world.gym.get_frame_count(world.sim) == 2

    @needs_physics
    def test_environments_that_differ_are_refused(self) -> None:
        """A limit of the stand-in, not of the real one."""
        world = World()
        world.add_actors(world.add_env())
        world.gym.create_actor(world.add_env(), world.box, gymapi.Transform(), "box", 1, 0)
        with pytest.raises(IsaacGymMisuse, match="environments 0 and 1 differ"):
            world.gym.prepare_sim(world.sim)


class TestGraphics:
    def test_colour_images_are_rows_of_rgba(self, world: World) -> None:
        properties = gymapi.CameraProperties()
        properties.width, properties.height = 64, 48
        camera = world.gym.create_camera_sensor(world.envs[0], properties)
        if camera < 0:
            pytest.skip("this machine has no OpenGL library")
        world.gym.set_camera_location(camera, world.envs[0], gymapi.Vec3(0.9, -0.7, 0.8), gymapi.Vec3(0.2, 0.0, 0.4))
        world.gym.step_graphics(world.sim)
        world.gym.render_all_camera_sensors(world.sim)
        image = world.gym.get_camera_image(world.sim, world.envs[0], camera, gymapi.IMAGE_COLOR)
        assert image.shape == (48, 64 * 4)
        assert image.dtype == np.uint8
        assert (image.reshape(48, 64, 4)[..., 3] == 255).all()
        assert image.reshape(-1, 4)[:, 0].std() > 1

    def test_without_a_graphics_device_there_is_no_camera(self) -> None:
        world = World(graphics_device=-1).prepare()
        assert world.gym.create_camera_sensor(world.envs[0], gymapi.CameraProperties()) == -1


# --- importing it -----------------------------------------------------------------------------------------------------


def run_python(code: str) -> "subprocess.CompletedProcess[str]":
    folder = str(Path(gymapi.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": folder}, capture_output=True, text=True, timeout=60
    )


def test_importing_its_api_leaves_torch_alone() -> None:
    """Or nobody could keep the order."""
    result = run_python("from isaacgym import gymapi; import sys; assert 'torch' not in sys.modules")
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(sys.version_info >= (3, 9), reason="the real package runs on Python 3.8 and older only")
def test_after_torch_it_is_too_late() -> None:
    """As with the real one."""
    result = run_python("import torch, isaacgym")
    assert result.stderr.splitlines()[-1].startswith("ImportError: PyTorch was imported before isaacgym")
