"""Wrong calls planted in a copy of the adapter: the stand-in rejects them, or the contract's suite does."""

import types
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from isaacgym._records import IsaacGymMisuse

import dexhand.isaacgym_worker.adapter as real
from dexhand.config.schema import SimConfig
from dexhand.core.interfaces import RenderingUnavailable
from dexhand.hand_env.interfaces import Scene, Simulator
from dexhand.sim import isaacgym as client
from dexhand.testing.scenes import SCENE, boxes_at, dof_rows
from dexhand.testing.simulator import SimulatorConformance
from dexhand.testing.simulator_harness import mask_of, put

SOURCE = Path(real.__file__).read_text(encoding="utf-8")

REJECTED: dict[str, tuple[str, str]] = {
    "the default engine": ("            gymapi.SIM_PHYSX,\n", "            gymapi.SIM_FLEX,\n"),
    "a misspelt parameter": ("params.up_axis =", "params.upaxis ="),
    "gravity as a tuple": ("gymapi.Vec3(0.0, 0.0, -9.81)", "(0.0, 0.0, -9.81)"),
    "fixed joints merged": ("collapse_fixed_joints = False", "collapse_fixed_joints = True"),
    "no prepare_sim": ("        self._gym.prepare_sim(self._sim)\n", ""),
    "prepare_sim before the environments": (
        "        self._add_ground()\n",
        "        self._add_ground()\n        self._gym.prepare_sim(self._sim)\n",
    ),
    "no end_aggregate": ("            self._gym.end_aggregate(env)\n", ""),
    "an aggregate of the hand alone": (
        "for asset in assets)\n        num_envs",
        "for asset in assets[:1])\n        num_envs",
    ),
    "one collision group": ('"hand", index, 0)', '"hand", 0, 0)'),
    "a keyword the binding does not name": ("self._gym.end_aggregate(env)", "self._gym.end_aggregate(env=env)"),
    "arguments in the wrong order": (
        'create_actor(env, asset, pose, box["name"], index, 0)',
        'create_actor(env, pose, asset, box["name"], index, 0)',
    ),
    "a call that does not exist": ("refresh_net_contact_force_tensor", "refresh_contact_force_tensor"),
    "no fetch_results": ("                self._gym.fetch_results(self._sim, True)\n", "                pass\n"),
    "long actor indices": ("self._hand_actors = actors[:, 0].to(torch.int32)", "self._hand_actors = actors[:, 0]"),
    "actors of one environment only": (
        "gymapi.DOMAIN_SIM) for handle in handles",
        "gymapi.DOMAIN_ENV) for handle in handles",
    ),
    "dof indices where actors are asked for": (
        "self._hand_actors[envs], self._object",
        "self._hand_actors[envs] * 26, self._object",
    ),
    "a part of the dof buffer": ("unwrap_tensor(self._dof_buffer)", "unwrap_tensor(self._dof_buffer[:26])"),
    "indices that are freed": (
        "gymtorch.unwrap_tensor(hands), len(hands)",
        "gymtorch.unwrap_tensor(hands.clone()), len(hands)",
    ),
    "a view as targets": ("unwrap_tensor(self._targets)", "unwrap_tensor(self._targets.t())"),
    "one call for each reset": (
        "        self._pending |= mask\n        self._is_pending = True\n",
        "        self._pending |= mask\n        self._write_pending()\n",
    ),
    "rendering before step_graphics": ("        self._gym.step_graphics(self._sim)\n", ""),
    "a camera located env first": (
        "set_camera_location(sensor, self._envs[env_id], position",
        "set_camera_location(self._envs[env_id], sensor, position",
    ),
}
"""What is replaced by what; each must raise before one short use of the simulator is over."""
NEEDS_PICTURES = ("rendering before step_graphics", "a camera located env first")

NOTICED: dict[str, tuple[str, str, str]] = {
    "gravity left at its default": (
        "        params.gravity = gymapi.Vec3(0.0, 0.0, -9.81)\n",
        "",
        "test_a_step_takes_control_dt",
    ),
    "a ground that stands upright": (
        "        plane.normal = gymapi.Vec3(0.0, 0.0, 1.0)\n",
        "",
        "test_resting_boxes_stay_where_they_are",
    ),
    "no contacts": ("gymapi.CC_LAST_SUBSTEP", "gymapi.CC_NEVER", "test_resting_boxes_feel_their_weight"),
    "no refresh of dof states": (
        "        self._gym.refresh_dof_state_tensor(self._sim)\n",
        "",
        "test_targets_are_reached_and_held",
    ),
    "one simulate call for a control step": (
        'for _ in range(self._settings["calls_per_step"])',
        "for _ in range(1)",
        "test_a_step_takes_control_dt",
    ),
    "no hand-over of resets": (
        "            self._write_pending()\n",
        "            pass\n",
        "test_a_step_takes_control_dt",
    ),
    "joints in an order of their own": (
        'names.index(joint["name"]) for joint in self._scene["joints"]]',
        'names.index(name) for name in sorted(joint["name"] for joint in self._scene["joints"])]',
        "test_each_target_moves_its_own_joint",
    ),
    "velocities for positions": (
        "(source[..., 7:10])",
        "(source[..., 10:13])",
        "test_falling_boxes_gain_downward_velocity",
    ),
}
"""What is replaced by what, and a check of the contract's suite that must find it (MuJoCo or kinematics alike)."""


def with_fault(old: str, new: str) -> types.ModuleType:
    assert SOURCE.count(old) >= 1, f"the adapter no longer has {old!r}: plant the fault elsewhere"
    module = types.ModuleType("faulty_adapter")
    module.__package__ = real.__package__
    exec(compile(SOURCE.replace(old, new), "faulty_adapter.py", "exec"), module.__dict__)
    return module


def build(module: types.ModuleType, scene: Scene = SCENE, num_envs: int = 3) -> Simulator:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "IsaacGymAdapter", module.IsaacGymAdapter)
        return client.IsaacGymSimulator(scene, num_envs, SimConfig(substeps=2), 2, torch.device("cpu"))


def can_draw() -> bool:
    sim = build(real)
    try:
        sim.render(0, width=32, height=24)
    except RenderingUnavailable:
        return False
    return True


def use(sim: Simulator) -> None:
    """Two resets, steps, a picture where this machine can draw one."""
    put(sim)
    sim.step(dof_rows(sim))
    sim.reset(mask_of(sim, 1), dof_rows(sim), boxes_at(sim))
    sim.reset(mask_of(sim, 2), dof_rows(sim), boxes_at(sim))
    sim.step(dof_rows(sim))
    with suppress(RenderingUnavailable):
        sim.render(0, width=64, height=48)
    sim.step(dof_rows(sim))


def test_the_copy_itself_works() -> None:
    """Or nothing that follows would mean anything."""
    use(build(with_fault("import math\n", "import math\n")))


@pytest.mark.parametrize("what", REJECTED)
def test_a_wrong_call_is_rejected(what: str) -> None:
    if what in NEEDS_PICTURES and not can_draw():
        pytest.skip("this machine has no OpenGL library")
    with pytest.raises((IsaacGymMisuse, TypeError, AttributeError)):
        use(build(with_fault(*REJECTED[what])))


@pytest.mark.parametrize("what", NOTICED)
def test_a_wrong_value_is_noticed_by_the_suite(what: str) -> None:
    old, new, check = NOTICED[what]
    module = with_fault(old, new)

    class Suite(SimulatorConformance):
        settling_time = 0.8

        def make_simulator(self, scene: Scene, num_envs: int) -> Simulator:
            return build(module, scene, num_envs)

    with pytest.raises((AssertionError, RuntimeError)):
        getattr(Suite(), check)()
