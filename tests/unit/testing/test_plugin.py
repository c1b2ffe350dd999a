"""Fixtures for everyone, GPU tests that are never silently missing, and a plugin that costs nothing elsewhere."""

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from dexhand.checkpoints.store import CheckpointError, load_checkpoint
from dexhand.mock.clock import FakeClock
from dexhand.mock.env import MockEnv
from dexhand.sinks.memory import MemorySink
from dexhand.testing import corruption, plugin
from dexhand.workspace.workspace import Workspace

ROOT = Path(__file__).parents[3]

GPU_TEST = """
import pytest

@pytest.mark.gpu
def test_on_the_gpu():
    pass

@pytest.mark.gpu("mujoco_warp")
def test_with_warp():
    pass

def test_elsewhere():
    pass
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project that uses the plugin on a machine with neither a GPU nor MuJoCo Warp."""
    monkeypatch.setitem(plugin.REQUIREMENTS, "cuda", lambda: "needs a GPU: there is none")
    monkeypatch.setitem(plugin.REQUIREMENTS, "mujoco_warp", lambda: "needs MuJoCo Warp: it is not installed")
    pytester.makeconftest('pytest_plugins = ["dexhand.testing.plugin"]')
    pytester.makepyfile(GPU_TEST)
    return pytester


def test_without_a_gpu_they_are_skipped_with_all_reasons(project: pytest.Pytester) -> None:
    """The others run."""
    result = project.runpytest("-rs", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(["*needs a GPU: there is none; needs MuJoCo Warp: it is not installed*"])


def test_with_require_gpu_they_fail_instead(project: pytest.Pytester) -> None:
    """For runners that are there to have one; the reason is the same."""
    result = project.runpytest("--require-gpu", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(["*--require-gpu=cuda: needs a GPU: there is none*"])


def test_a_gpu_alone_leaves_tests_of_a_missing_simulator_skipped(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless that simulator is required by name."""
    monkeypatch.setitem(plugin.REQUIREMENTS, "cuda", lambda: None)
    project.runpytest("--require-gpu", "-p", "no:cacheprovider").assert_outcomes(passed=2, skipped=1)
    result = project.runpytest("--require-gpu=mujoco_warp", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*--require-gpu=mujoco_warp: needs MuJoCo Warp: it is not installed*"])


def test_with_everything_they_run(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is skipped."""
    for need in ("cuda", "mujoco_warp"):
        monkeypatch.setitem(plugin.REQUIREMENTS, need, lambda: None)
    project.runpytest("--require-gpu=mujoco_warp", "-p", "no:cacheprovider").assert_outcomes(passed=3)


def test_an_unknown_requirement_is_refused(project: pytest.Pytester) -> None:
    """With those that are known."""
    result = project.runpytest("--require-gpu=isaacsim", "-p", "no:cacheprovider")
    result.stderr.fnmatch_lines(["*--require-gpu=isaacsim is unknown. Known: cuda, mujoco_warp, isaacgym*"])


def test_the_stand_in_does_not_count_as_isaac_gym() -> None:
    """What is verified against it is not verified on the real one."""
    import isaacgym

    assert "standin" in str(isaacgym.__file__)
    assert "needs Isaac Gym" in (plugin.REQUIREMENTS["isaacgym"]() or "")


class TestFixtures:
    def test_time_stands_still(self, fake_clock: FakeClock) -> None:
        """Until somebody sleeps."""
        before = fake_clock.monotonic()
        fake_clock.sleep(5.0)
        assert fake_clock.monotonic() == before + 5.0

    def test_a_workspace_is_the_tests_own(
        self, tmp_workspace: Workspace, fake_clock: FakeClock, tmp_path: Path
    ) -> None:
        """Nothing is made before a run is."""
        assert list(tmp_path.iterdir()) == []
        run = tmp_workspace.create_run("BaseTask", "train", fake_clock)
        assert run.path.parent == tmp_path / "runs_all"

    def test_metrics_are_remembered(self, memory_sink: MemorySink) -> None:
        """By name."""
        memory_sink.scalars(1, {"losses/actor": 0.5})
        assert memory_sink.series("losses/actor") == [0.5]

    def test_there_is_an_environment(self, mock_env: MockEnv) -> None:
        """Of eight."""
        assert mock_env.reset(seed=0)[0].shape == (8, 3)

    @pytest.mark.parametrize("again", [False, True])
    def test_a_checkpoint_is_a_copy_for_each_test(self, trained_checkpoint: Path, again: bool) -> None:
        """Of a real training; what one test does to it no other sees."""
        state = load_checkpoint(trained_checkpoint)
        assert (state["epoch"], state["dexhand"]["env_kind"]) == (2, "mock:BaseTask:4")
        assert state["optimizer"]["state"]
        trained_checkpoint.unlink()

    @pytest.mark.parametrize("way", corruption.WAYS)
    def test_a_damaged_checkpoint_is_noticed(self, way: str, trained_checkpoint: Path, corrupt: ModuleType) -> None:
        """However it was damaged."""
        corrupt.WAYS[way](trained_checkpoint)
        with pytest.raises(CheckpointError):
            load_checkpoint(trained_checkpoint)


def test_it_imports_nothing_slow() -> None:
    """Pytest loads it wherever dexhand is installed."""
    program = "import sys, dexhand.testing.plugin; print(sorted({'torch', 'numpy', 'gymnasium'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("conftest", ["", 'pytest_plugins = ["dexhand.testing.plugin"]'])
def test_installed_it_is_loaded_once(conftest: str, pytester: pytest.Pytester) -> None:
    """By its entry point, whether a conftest names it too or not."""
    (entry_point,) = re.findall(r"pytest11\]\n(.*)", (ROOT / "pyproject.toml").read_text())
    installed = pytester.mkdir("installed") / "outsider-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: outsider\nVersion: 1\n")
    (installed / "entry_points.txt").write_text("[pytest11]\n" + entry_point.replace('"', "") + "\n")
    pytester.syspathinsert(installed.parent)
    pytester.makeconftest(conftest)
    result = pytester.runpytest_inprocess("--fixtures", "-p", "no:cacheprovider")
    assert result.ret == 0
    assert result.stdout.str().count("\ntrained_checkpoint --") == 1
