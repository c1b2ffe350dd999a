"""MuJoCo Warp, on Warp's CPU device: the contract of every simulator, and agreement with MuJoCo."""

import math
from collections.abc import Callable
from typing import ClassVar

import pytest
import torch
from torch import Tensor

pytest.importorskip(
    "dexhand.sim.mujoco_warp", reason="needs MuJoCo Warp: pip install 'dexhand[warp]'", exc_type=ImportError
)

from dexhand.config.schema import MujocoConfig, MujocoWarpConfig, SimConfig
from dexhand.hand_env.interfaces import Scene, Simulator
from dexhand.sim.mujoco import MujocoSimulator
from dexhand.sim.mujoco_warp import MujocoWarpSimulator
from dexhand.testing.scenes import SCENE, boxes_at, dof_rows
from dexhand.testing.simulator import SimulatorConformance
from dexhand.testing.simulator_harness import mask_of, put

pytestmark = pytest.mark.timeout(600)  # the first run on a machine compiles kernels

POSE_TOLERANCE = 2e-5
"""Metres, radians and quaternion components after 100 control steps without contact: float32 against float64."""
VELOCITY_TOLERANCE = 1e-4
"""m/s and rad/s, likewise."""
FORCE_TOLERANCE = 0.1
"""Mean contact force of 32 hands that fumble on the ground, relative; seeds differ by 5 %, the engines by 1 %."""


def on_warp(scene: Scene = SCENE, num_envs: int = 4, nconmax: int = 64, njmax: int = 256) -> MujocoWarpSimulator:
    """Make one with steps of 5 ms, half as many as the default preset has."""
    return MujocoWarpSimulator(
        scene,
        num_envs,
        SimConfig(substeps=1, mujoco_warp=MujocoWarpConfig(nconmax, njmax)),
        control_decimation=2,
        device=torch.device("cpu"),
    )


def on_mujoco(scene: Scene = SCENE, num_envs: int = 4) -> MujocoSimulator:
    """Make one with the same steps."""
    return MujocoSimulator(scene, num_envs, SimConfig(substeps=1), control_decimation=2)


class Reused(MujocoWarpSimulator):
    """Serves another test once it is closed, in the state that it began with: making one takes longer than most tests.

    ``TestAgreementWithMujoco`` makes new ones.
    """

    _idle: ClassVar[list["Reused"]] = []
    beginning: dict[str, Tensor]

    @classmethod
    def lend(cls, scene: Scene, num_envs: int) -> "Reused":
        """Return one with steps of 2.5 ms, as the default preset has them."""
        for sim in cls._idle:
            if (sim.scene, sim.num_envs) == (scene, num_envs):
                cls._idle.remove(sim)
                sim.load_state_dict(sim.beginning)
                return sim
        sim = cls(scene, num_envs, SimConfig(), control_decimation=2, device=torch.device("cpu"))
        sim.beginning = sim.state_dict()
        return sim

    def close(self) -> None:
        """See ``Simulator.close``."""
        super().close()
        if self not in self._idle:
            self._idle.append(self)


class TestMujocoWarpSimulator(SimulatorConformance):
    def make_simulator(self, scene: Scene, num_envs: int) -> Simulator:
        """New or as good as new."""
        return Reused.lend(scene, num_envs)


class TestAgreementWithMujoco:
    @pytest.mark.parametrize("factor", [1.0, 1.2])
    def test_without_contact_trajectories_are_the_same(self, factor: float) -> None:
        """100 control steps of a waving hand and falling boxes, to float32 accuracy, in the scene's physics or not."""
        pair: tuple[Simulator, Simulator] = on_warp(), on_mujoco()
        for sim in pair:
            sim.randomize(mask_of(sim, 1, 3), {name: value * factor for name, value in sim.physics.items()})
            put(sim, dof_rows(sim, ARTz=0.3), boxes_at(sim, height=8.0))
        phase = 6.0 * torch.rand(4, 26, generator=torch.Generator().manual_seed(0))
        apart = dict.fromkeys(vars(pair[0].state), 0.0)
        for step in range(100):
            targets = waving(pair[1], phase + 0.08 * step)
            for sim in pair:
                sim.step(targets)
            for name, tensor in vars(pair[0].state).items():
                difference = float((tensor - getattr(pair[1].state, name)).abs().max())
                apart[name] = max(apart[name], difference)
        assert not pair[1].state.contact_force.any()
        for name, difference in apart.items():
            assert difference < (VELOCITY_TOLERANCE if "vel" in name else POSE_TOLERANCE), name

    def test_with_contact_they_agree_on_average(self) -> None:
        """Same mean forces on fumbling fingers, same mean joint positions; boxes come to rest alike."""
        forces, positions, objects = zip(*(fumble(make) for make in (on_warp, on_mujoco)))
        assert float(forces[0]) == pytest.approx(float(forces[1]), rel=FORCE_TOLERANCE)
        assert float(forces[1]) > 10.0
        assert torch.allclose(positions[0], positions[1], atol=0.03)
        assert torch.allclose(objects[0], objects[1], atol=1e-4)


def waving(sim: Simulator, phase: Tensor) -> Tensor:
    """Targets (N, D) that keep the fingers side by side, where they do not touch."""
    targets = dof_rows(sim, ARTz=0.3) + 0.15 * torch.sin(phase)
    can_bend = sim.dof_limits[6:, 1] > 1
    targets[:, 6:] = (0.3 + 0.3 * torch.sin(phase[:, :1])) * can_bend
    return targets


def fumble(make: Callable[[Scene, int], Simulator]) -> tuple[Tensor, Tensor, Tensor]:
    """32 hands poke at the ground at random: mean force on all fingers (N), mean joints, mean places of the boxes."""
    sim = make(SCENE, 32)
    put(sim, dof_rows(sim, ARRy=math.pi / 2, ARTz=-0.22), boxes_at(sim, height=0.05, quat=(0.1, 0.2, 0.05, 0.973)))
    noise = torch.rand(60, 32, 26, generator=torch.Generator().manual_seed(1))
    forces: list[Tensor] = []
    for row in noise:
        sim.step(dof_rows(sim, ARRy=math.pi / 2, ARTz=-0.23) + 0.3 * (row - 0.5))
        forces.append(sim.state.contact_force.norm(dim=-1).sum(-1).mean())
    return torch.stack(forces).mean(), sim.state.dof_pos.mean(0), sim.state.object_pos.mean(0)


def test_a_recorded_step_is_the_step_itself() -> None:
    """Replaying the graph gives the bits that the calls give."""
    replayed, called = on_warp(), on_warp()
    for sim in (replayed, called):
        put(sim, dof_rows(sim, ARRy=math.pi / 2, ARTz=-0.22), boxes_at(sim, height=0.1))
    called._replay = lambda graph: called._compute_step()  # type: ignore[method-assign]
    for _ in range(10):
        for sim in (replayed, called):
            sim.step(dof_rows(sim, ARRy=math.pi / 2, ARTz=-0.25))
    assert replayed.state.contact_force.any()
    for name, tensor in vars(replayed.state).items():
        assert torch.equal(tensor, getattr(called.state, name)), name


class TestMemory:
    @pytest.mark.parametrize(("key", "sizes"), [("nconmax=4", {"nconmax": 4}), ("njmax=8", {"njmax": 8})])
    def test_running_out_of_it_is_said_once(
        self, caplog: pytest.LogCaptureFixture, key: str, sizes: dict[str, int]
    ) -> None:
        """With the key to raise; contacts that are ignored must not go unnoticed."""
        sim = on_warp(**sizes)
        put(sim)
        for _ in range(6):
            sim.step(dof_rows(sim))
        assert caplog.text.count(f"sim.mujoco_warp.{key} is too small") == 1

    def test_a_solver_at_its_limit_is_no_lack_of_memory(self, caplog: pytest.LogCaptureFixture) -> None:
        """That is what physics=fast accepts."""
        settings = SimConfig(mujoco=MujocoConfig(iterations=1, ls_iterations=1))
        sim = MujocoWarpSimulator(SCENE, 4, settings, control_decimation=2, device=torch.device("cpu"))
        put(sim, dof_rows(sim, ARRy=math.pi / 2, ARTz=-0.22))
        for _ in range(5):
            sim.step(dof_rows(sim, ARRy=math.pi / 2, ARTz=-0.25))
        assert sim._overflow.any()
        assert "too small" not in caplog.text

    def test_the_default_memory_is_enough_for_a_fumbling_hand(self) -> None:
        sim = on_warp(num_envs=4)
        put(sim, dof_rows(sim, ARRy=math.pi / 2, ARTz=-0.22))
        for _ in range(30):
            sim.step(dof_rows(sim, ARRy=math.pi / 2, ARTz=-0.25))
        assert not sim._has_warned

    def test_a_state_of_another_size_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"saved qpos has shape \(3, 40\).*env\.numEnvs=4"):
            on_warp().load_state_dict(on_warp(num_envs=3).state_dict())
