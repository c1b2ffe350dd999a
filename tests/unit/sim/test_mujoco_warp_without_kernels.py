"""What MuJoCo Warp's simulator does around its kernels; ``tests/warp`` compiles them, which takes half a minute."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch

from dexhand.config.schema import MujocoWarpConfig, SimConfig
from dexhand.sim.mujoco import MujocoSimulator
from dexhand.testing.scenes import SCENE, boxes_at, dof_rows
from dexhand.testing.simulator_harness import mask_of

if TYPE_CHECKING:
    from dexhand.sim.mujoco_warp import MujocoWarpSimulator

Make = Callable[[int], "MujocoWarpSimulator"]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes a simulator of so many environments whose graphs are neither recorded nor replayed."""
    module = pytest.importorskip(  # only here: it takes seconds
        "dexhand.sim.mujoco_warp", reason="needs MuJoCo Warp: pip install 'dexhand[warp]'", exc_type=ImportError
    )
    monkeypatch.setattr(module.MujocoWarpSimulator, "_capture", lambda self, compute: None)
    monkeypatch.setattr(module.MujocoWarpSimulator, "_replay", lambda self, graph: None)
    settings = SimConfig(substeps=1, mujoco_warp=MujocoWarpConfig(nconmax=64, njmax=256))
    return lambda num_envs: module.MujocoWarpSimulator(
        SCENE, num_envs, settings, control_decimation=2, device=torch.device("cpu")
    )


def test_it_has_the_hand_of_mujoco(make: Make) -> None:
    """The same joints, limits, control period and physics."""
    warp, mujoco = make(3), MujocoSimulator(SCENE, 3, SimConfig(substeps=1), control_decimation=2)
    assert (warp.dof_names, warp.control_dt) == (mujoco.dof_names, mujoco.control_dt)
    assert torch.equal(warp.dof_limits, mujoco.dof_limits)
    assert warp.physics.keys() == mujoco.physics.keys()
    for name, values in warp.physics.items():
        assert torch.allclose(values, mujoco.physics[name]), name


def test_a_reset_writes_the_rows_of_its_mask(make: Make) -> None:
    """Positions and targets; other environments keep theirs."""
    sim = make(3)
    before = sim.state_dict()
    sim.reset(mask_of(sim, 1), dof_rows(sim, ARTz=0.3), boxes_at(sim, height=2.0))
    after = sim.state_dict()
    for name in ("qpos", "ctrl"):
        assert (before[name] != after[name]).any(dim=1).tolist() == [False, True, False], name


def test_a_saved_state_is_restored(make: Make) -> None:
    sim = make(3)
    sim.reset(mask_of(sim, 0, 2), dof_rows(sim, ARTz=0.3), boxes_at(sim, height=2.0))
    saved, other = sim.state_dict(), make(3)
    other.load_state_dict(saved)
    assert all(torch.equal(tensor, saved[name]) for name, tensor in other.state_dict().items())


def test_a_state_of_another_size_is_refused(make: Make) -> None:
    with pytest.raises(ValueError, match=r"saved qpos has shape \(3, 40\).*env\.numEnvs=4"):
        make(4).load_state_dict(make(3).state_dict())


@pytest.mark.parametrize(("flag", "key"), [("NARROWPHASE", "nconmax=64"), ("NEFC", "njmax=256"), ("ITERATIONS", "")])
def test_ignored_contacts_are_said_once(flag: str, key: str, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """With the key to raise; a solver at its limit of iterations is no lack of memory."""
    import mujoco_warp

    sim = make(3)
    sim._overflow.fill_(int(getattr(mujoco_warp.OverflowType, flag)))
    for _ in range(2):
        sim.step(dof_rows(sim))
    assert caplog.text.count("is too small: contacts were ignored") == bool(key)
    assert key in caplog.text
