"""Training, testing and throughput on every simulator that runs on a GPU in this process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dexhand.app.build import build_algorithm, build_env, policy_loader
from dexhand.checkpoints.reload import ReloadWatcher
from dexhand.checkpoints.store import CheckpointStore
from dexhand.config.compose import compose
from dexhand.core.clock import SystemClock
from dexhand.core.stop import StopRequest
from dexhand.workspace.checkpoint_names import find_source

ROOT = Path(__file__).parents[2]
BACKENDS = [
    pytest.param("mock", marks=pytest.mark.gpu),
    pytest.param("mujoco_warp", marks=pytest.mark.gpu("mujoco_warp")),
]
ON_GPU = ("env.device=cuda:0", "train.network.units=[64,32]")

pytestmark = [pytest.mark.parametrize("backend", BACKENDS), pytest.mark.timeout(1200)]


def run_script(path: str, *arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """In a process of its own."""
    command = [sys.executable, str(ROOT / path), *arguments]
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=1000)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result


def test_training_and_then_testing_work(backend: str, tmp_path: Path) -> None:
    """20 iterations with 512 environments; the checkpoint plays 8 games."""
    common = ("task=BlindGrasping", f"sim.backend={backend}", *ON_GPU)
    result = run_script("scripts/train.py", *common, "numEnvs=512", "maxIter=20", cwd=tmp_path)
    assert "Stopped after 20 iterations" in result.stdout
    result = run_script(
        "scripts/train.py", *common, "test=true", "checkpoint=latest", "testGamesNum=8", "numEnvs=8", cwd=tmp_path
    )
    (results,) = tmp_path.glob("runs_all/*_test_*/results.json")
    assert json.loads(results.read_text())["summary"]["games"] == 8


def test_throughput_can_be_measured(backend: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The table goes to the terminal; nothing is asserted of the numbers."""
    arguments = ("--backends", backend, "--num-envs", "1024", "--steps", "32", "--rounds", "3", "task=BlindGrasping")
    table = run_script("benchmarks/throughput.py", *arguments, "env.device=cuda:0", cwd=tmp_path).stdout
    assert "TaskEnv.step" in table
    with capsys.disabled():
        print("\n" + table)  # noqa: T201


def test_the_script_finds_the_box(backend: str, tmp_path: Path) -> None:
    """The scripted expert holds at least nine of ten boxes within reach."""
    table = run_script(
        "examples/scripted_grasp.py", "--sim", backend, "--num-envs", "128", "env.device=cuda:0", cwd=tmp_path
    ).stdout
    share = int(table.split("within reach:")[1].split("%")[0].split()[-1])
    assert share >= 90, table


def test_a_newer_checkpoint_acts_between_two_steps(backend: str, tmp_path: Path) -> None:
    """Loaded in a thread while the environments stand still, so that any other change of theirs would be seen."""
    config = compose([f"sim.backend={backend}", *ON_GPU, "numEnvs=16", "task.episodeLength=50"])
    env = build_env(config)
    algorithm = build_algorithm(config, env)
    store = CheckpointStore(tmp_path / "nn")
    store.save(algorithm.state_dict(), iteration=0)
    watcher = ReloadWatcher(
        find_source(str(tmp_path), tmp_path / "runs"), policy_loader(config, env), clock=SystemClock(), interval=0.01
    )
    first = watcher.wait(StopRequest())
    assert first is not None
    algorithm.iterate()
    observations, _ = env.reset(seed=0)
    before = first.policy.act(observations)
    moment = {name: tensor.clone() for name, tensor in vars(env.simulator.state).items()}
    store.save(algorithm.state_dict(), iteration=1)
    newer = next(loaded for loaded in iter(watcher.poll, store) if loaded is not None)
    assert newer.iteration == 1
    assert not torch.equal(before, newer.policy.act(observations))
    assert torch.equal(newer.policy.act(observations), algorithm.policy().act(observations))
    for name, tensor in vars(env.simulator.state).items():
        assert torch.equal(tensor, moment[name]), name
    watcher.close()
    algorithm.close()


def test_memory_stays_flat_over_resets(backend: str) -> None:
    """A thousand resets leave nothing behind on the device, whoever allocated it."""
    env = build_env(compose([f"sim.backend={backend}", *ON_GPU, "numEnvs=64"]))
    assert bytes_used_by_resets(env, 1000) <= 0


def bytes_used_by_resets(env: "object", count: int) -> int:
    """Device memory after ``count`` resets minus before, after a warm-up, bytes."""
    actions = torch.zeros(env.num_envs, 18, device="cuda:0")  # type: ignore[attr-defined]

    def reset(times: int) -> int:
        for _ in range(times):
            env.reset()  # type: ignore[attr-defined]
            env.step(actions)  # type: ignore[attr-defined]
        torch.cuda.synchronize()
        return torch.cuda.mem_get_info()[0]

    before = reset(50)
    return before - reset(count)
