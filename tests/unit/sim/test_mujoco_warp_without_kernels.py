"""What MuJoCo Warp's simulator does around its kernels; ``tests/warp`` compiles them, which takes half a minute."""

import pytest
import torch

pytest.importorskip(
    "dexhand.sim.mujoco_warp", reason="needs MuJoCo Warp: pip install 'dexhand[warp]'", exc_type=ImportError
)

from dexhand.config.schema import MujocoWarpConfig, SimConfig
from dexhand.sim.mujoco import MujocoSimulator
from dexhand.sim.mujoco_warp import MujocoWarpSimulator
from dexhand.testing.scenes import SCENE, boxes_at, dof_rows
from dexhand.testing.simulator_harness import mask_of


@pytest.fixture(autouse=True)
def nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs are neither recorded nor replayed."""
    monkeypatch.setattr(MujocoWarpSimulator, "_capture", lambda self, compute: None)
    monkeypatch.setattr(MujocoWarpSimulator, "_replay", lambda self, graph: None)


def simulator(num_envs: int = 3) -> MujocoWarpSimulator:
    settings = SimConfig(substeps=1, mujoco_warp=MujocoWarpConfig(nconmax=64, njmax=256))
    return MujocoWarpSimulator(SCENE, num_envs, settings, control_decimation=2, device=torch.device("cpu"))


def test_it_has_the_hand_of_mujoco() -> None:
    """The same joints, limits, control period and physics."""
    warp, mujoco = simulator(), MujocoSimulator(SCENE, 3, SimConfig(substeps=1), control_decimation=2)
    assert (warp.dof_names, warp.control_dt) == (mujoco.dof_names, mujoco.control_dt)
    assert torch.equal(warp.dof_limits, mujoco.dof_limits)
    assert warp.physics.keys() == mujoco.physics.keys()
    for name, values in warp.physics.items():
        assert torch.allclose(values, mujoco.physics[name]), name


def test_a_reset_writes_the_rows_of_its_mask() -> None:
    """Positions and targets; other environments keep theirs."""
    sim = simulator()
    before = sim.state_dict()
    sim.reset(mask_of(sim, 1), dof_rows(sim, ARTz=0.3), boxes_at(sim, height=2.0))
    after = sim.state_dict()
    for name in ("qpos", "ctrl"):
        assert (before[name] != after[name]).any(dim=1).tolist() == [False, True, False], name


def test_a_saved_state_is_restored() -> None:
    sim = simulator()
    sim.reset(mask_of(sim, 0, 2), dof_rows(sim, ARTz=0.3), boxes_at(sim, height=2.0))
    saved, other = sim.state_dict(), simulator()
    other.load_state_dict(saved)
    assert all(torch.equal(tensor, saved[name]) for name, tensor in other.state_dict().items())


def test_a_state_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"saved qpos has shape \(3, 40\).*env\.numEnvs=4"):
        simulator(4).load_state_dict(simulator(3).state_dict())


@pytest.mark.parametrize(("flag", "key"), [("NARROWPHASE", "nconmax=64"), ("NEFC", "njmax=256"), ("ITERATIONS", "")])
def test_ignored_contacts_are_said_once(flag: str, key: str, caplog: pytest.LogCaptureFixture) -> None:
    """With the key to raise; a solver at its limit of iterations is no lack of memory."""
    import mujoco_warp

    sim = simulator()
    sim._overflow.fill_(int(getattr(mujoco_warp.OverflowType, flag)))
    for _ in range(2):
        sim.step(dof_rows(sim))
    assert caplog.text.count("is too small: contacts were ignored") == bool(key)
    assert key in caplog.text
