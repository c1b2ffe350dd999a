"""The most used command lines of the user documents, and their walkthroughs, run for real in a small size."""

import re
from pathlib import Path

import pytest
from commands import BACKEND, TRAIN, run

from dexhand.workspace.workspace import Workspace

SMALL = ["numEnvs=2", "train.network.units=[8]", "train.ppo.horizon_length=4", "train.ppo.mini_epochs=1"]
BEGINNING = [*SMALL, "maxIter=2"]
PLAYING = ["testGamesNum=2", "task.episodeLength=5"]

TRAININGS = [
    "",
    "task=BoxGrasping",
    "task=BlindGrasping env.render=false",
    "config=train_headless",
    "headless=true logLevel=debug",
    "+defaults=[config,/physics/fast]",
    "sim.dt=0.01 sim.substeps=8",
    "task.episodeLength=300 task.rewardWeights.object_height=2.0",
    "training.seed=-1 training.torch_deterministic=true",
    "experiment.maxRecentRuns=3 logging.experiment_name=mine logging.log_interval=1",
    "experiment.useCleanWorkspace=false",
    "task=BaseTask checkpoint=latest train.resume=weights",
]
TESTS = [
    "test=true checkpoint=latest",
    "test=true checkpoint=latest render=false",
    "test=true checkpoint=latest_train testing.reloadInterval=1",
    "config=test",
    "train.test=true train.checkpoint=runs/latest_train/checkpoint.pth",
]


def succeed(words: list[str], folder: Path) -> str:
    """Run the training script; it must end well. Returns what it said."""
    done = run(words, folder)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which BoxGrasping has been trained."""
    folder = tmp_path_factory.mktemp("trained")
    succeed([*BEGINNING, "task=BoxGrasping", "sim.backend=mock", "env.controlDecimation=3"], folder)
    return folder


@pytest.mark.parametrize("backend", sorted({"mock", BACKEND}))
def test_trainings(backend: str, tmp_path: Path) -> None:
    """Each ends well and leaves its run."""
    for number, line in enumerate(TRAININGS, start=1):
        succeed([*line.split(), f"sim.backend={backend}", *BEGINNING], tmp_path)
        runs = {path.resolve() for place in ("runs", "runs_all") for path in (tmp_path / place).glob("*_train_*")}
        assert len(runs) == number, line
    assert list((tmp_path / "runs_all").glob("mine_train_*"))
    assert [path.is_symlink() for path in (tmp_path / "runs").glob("*_train_*")].count(False) == 1


@pytest.mark.parametrize("line", TESTS)
def test_tests(line: str, trained: Path) -> None:
    """The policy's own task is played, at the rate it was trained at."""
    succeed([*line.split(), "sim.backend=mock", *PLAYING], trained)
    config = (trained / "runs" / "latest_test" / "config.yaml").read_text()
    assert "name: BoxGrasping" in config
    assert "controlDecimation: 3" in config


def test_a_warning_level_leaves_warnings_alone(trained: Path) -> None:
    """``logLevel`` governs all that is said, in trainings and tests."""
    words = ["sim.backend=mock", "logLevel=warning"]
    assert succeed([*words, *BEGINNING], trained) == ""
    assert succeed([*words, "test=true", "checkpoint=latest", *PLAYING], trained) == ""
    assert "episode 2/2" in succeed(["sim.backend=mock", "test=true", "checkpoint=latest", *PLAYING], trained)


@pytest.mark.parametrize("line", ["config=test_viewer", "render=true"])
def test_a_window_without_a_display(line: str, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said at once, with what to do instead, and nothing is begun."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    before = sorted(Workspace(trained / "runs").archive.iterdir())
    done = run(line.split(), trained)
    assert done.returncode == 2
    assert re.search(r"error: env\.viewer=true: .*display.*videoStream=true.*videoRecord=true", done.stderr)
    assert sorted(Workspace(trained / "runs").archive.iterdir()) == before


class TestWalkthroughs:
    def test_a_learner_of_your_own(self, tmp_path: Path) -> None:
        """Copy a learner's file, change it, choose it."""
        ours = Path(TRAIN).parents[1] / "dexhand" / "tasks" / "base_task" / "cfg" / "train" / "BaseTaskPPO.yaml"
        (tmp_path / "mine" / "train").mkdir(parents=True)
        (tmp_path / "mine" / "train" / "MyTaskPPO.yaml").write_text(
            ours.read_text().replace("gamma: 0.9", "gamma: 0.95")
        )
        succeed(["--config-dir", "mine", "train=MyTaskPPO", "sim.backend=mock", *BEGINNING], tmp_path)
        assert "gamma: 0.95" in (tmp_path / "runs" / "latest_train" / "config.yaml").read_text()

    def test_rewards_of_your_own(self, tmp_path: Path) -> None:
        """Write weights into a task's file and terms into its class; train, play and go on."""
        (tmp_path / "mine" / "task").mkdir(parents=True)
        (tmp_path / "mine" / "task" / "MyTask.yaml").write_text(
            "defaults: [BaseTask, _self_]\n"
            "name: MyTask\n"
            "module: my_own_task\n"
            "reward:\n"
            "  alive: 1.0\n"
            "  height_safety: -10.0\n"
            "  my_custom_reward: 2.0\n"
            "  distance_penalty: -0.5\n"
        )
        (tmp_path / "my_own_task.py").write_text(
            "from dexhand.tasks import BaseTask, reward\n"
            "class MyTask(BaseTask):\n"
            "    @reward()\n"
            "    def my_custom_reward(self, state):\n"
            "        'A high wrist.'\n"
            "        return state.hand_pos[:, 2]\n"
            "    @reward()\n"
            "    def distance_penalty(self, state):\n"
            "        'Distance of the wrist from the axis.'\n"
            "        return state.hand_pos[:, :2].norm(dim=1)\n"
        )
        succeed(["--config-dir", "mine", "task=MyTask", "sim.backend=mock", *BEGINNING], tmp_path)
        succeed(["test=true", "checkpoint=latest", "sim.backend=mock", *PLAYING], tmp_path)
        succeed(["resume=latest", "maxIter=3"], tmp_path)

        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        run = next((tmp_path / "runs_all").glob("MyTask_train_*"))
        events = EventAccumulator(str(run / "summaries"))
        events.Reload()
        assert len(events.Scalars("rewards/my_custom_reward")) == 3
        assert events.Scalars("rewards/height_safety")[0].value < 0
