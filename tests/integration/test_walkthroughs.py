"""The most used command lines of the user documents, and their walkthroughs, run for real in a small size.

In this process, which has the slow imports behind it; ``test_commands.py`` starts real processes.
"""

import runpy
import sys
from pathlib import Path
from typing import List

import pytest
from commands import BACKEND, TRAIN

from dexhand.core.workspace import Workspace

SMALL = ["numEnvs=2", "train.network.units=[8]", "train.ppo.horizon_length=4"]
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
    "logging.experiment_name=mine logging.log_interval=1",
    "task=BaseTask checkpoint=latest train.resume=weights",
]
TESTS = [
    "test=true checkpoint=latest",
    "test=true checkpoint=latest render=false",
    "test=true checkpoint=latest_train testing.reloadInterval=1",
    "config=test",
    "train.test=true train.checkpoint=runs/latest_train/checkpoint.pth",
]


def train(words: List[str]) -> int:
    """The exit code of ``scripts/train.py``."""
    sys.argv = [str(TRAIN), *words]
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(TRAIN), run_name="__main__")
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which BoxGrasping has been trained."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("trained")
        patch.chdir(folder)
        patch.setattr(sys, "argv", sys.argv)
        assert train([*BEGINNING, "task=BoxGrasping", "sim.backend=mock", "env.controlDecimation=3"]) == 0
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    return tmp_path


@pytest.mark.parametrize("backend", sorted({"mock", BACKEND}))
def test_trainings(backend: str, here: Path) -> None:
    """Each ends well and leaves its run."""
    for number, line in enumerate(TRAININGS, start=1):
        words = [*line.split(), f"sim.backend={backend}", *BEGINNING]
        assert train(words) == 0, line
        assert len(list((here / "runs_all").glob("*_train_*"))) == number, line
    assert list((here / "runs_all").glob("mine_train_*"))


@pytest.mark.parametrize("line", TESTS)
def test_tests(line: str, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy's own task is played, at the rate it was trained at."""
    monkeypatch.chdir(trained)
    monkeypatch.setattr(sys, "argv", sys.argv)
    assert train([*line.split(), "sim.backend=mock", *PLAYING]) == 0
    config = (trained / "runs" / "latest_test" / "config.yaml").read_text()
    assert "name: BoxGrasping" in config
    assert "controlDecimation: 3" in config


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("config=test_viewer", "env.viewer=true: this version has no window yet"),
        ("render=true", "env.viewer=true: this version has no window yet"),
        ("config=test_stream", "env.videoStream=true: this version has no live stream yet"),
        ("config=test_record", "env.videoRecord=true: this version does not record videos yet"),
    ],
)
def test_what_this_version_does_not_have(
    line: str, missing: str, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said at once, and nothing is begun."""
    monkeypatch.chdir(trained)
    monkeypatch.setattr(sys, "argv", sys.argv)
    before = sorted(Workspace(trained / "runs").archive.iterdir())
    assert train(line.split()) == 2
    assert missing in capsys.readouterr().err
    assert sorted(Workspace(trained / "runs").archive.iterdir()) == before


class TestWalkthroughs:
    def test_a_learner_of_your_own(self, here: Path) -> None:
        """Copy a learner's file, change it, choose it."""
        ours = Path(TRAIN).parents[1] / "dexhand" / "config" / "cfg" / "train" / "BaseTaskPPO.yaml"
        (here / "mine" / "train").mkdir(parents=True)
        (here / "mine" / "train" / "MyTaskPPO.yaml").write_text(ours.read_text().replace("gamma: 0.9", "gamma: 0.95"))
        assert train(["--config-dir", "mine", "train=MyTaskPPO", "sim.backend=mock", *BEGINNING]) == 0
        assert "gamma: 0.95" in (here / "runs" / "latest_train" / "config.yaml").read_text()

    def test_rewards_of_your_own(self, here: Path) -> None:
        """Write weights into a task's file and terms into its class; train, play and go on."""
        (here / "mine" / "task").mkdir(parents=True)
        (here / "mine" / "task" / "MyTask.yaml").write_text(
            "defaults: [BaseTask, _self_]\n"
            "name: MyTask\n"
            "module: my_own_task\n"
            "reward:\n"
            "  alive: 1.0\n"
            "  height_safety: -10.0\n"
            "  my_custom_reward: 2.0\n"
            "  distance_penalty: -0.5\n"
        )
        (here / "my_own_task.py").write_text(
            "from dataclasses import dataclass\n"
            "from dexhand.config.option import option\n"
            "from dexhand.config.task_schema import BaseRewardWeights, BaseTaskConfig\n"
            "from dexhand.tasks.base_task import BaseTask\n"
            "@dataclass\n"
            "class Weights(BaseRewardWeights):\n"
            "    my_custom_reward: float = option(0.0, 'a high wrist')\n"
            "    distance_penalty: float = option(0.0, 'distance of the wrist from the axis')\n"
            "@dataclass\n"
            "class Config(BaseTaskConfig):\n"
            "    reward_weights: Weights = option(Weights, 'weights')\n"
            "class MyTask(BaseTask):\n"
            "    config_class = Config\n"
            "    def reward_table(self):\n"
            "        return {\n"
            "            **super().reward_table(),\n"
            "            'my_custom_reward': lambda s: s.hand_pos[:, 2],\n"
            "            'distance_penalty': lambda s: s.hand_pos[:, :2].norm(dim=1),\n"
            "        }\n"
        )
        assert train(["--config-dir", "mine", "task=MyTask", "sim.backend=mock", *BEGINNING]) == 0
        assert train(["test=true", "checkpoint=latest", "sim.backend=mock", *PLAYING]) == 0
        assert train(["resume=latest", "maxIter=3"]) == 0

        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        run = next((here / "runs_all").glob("MyTask_train_*"))
        events = EventAccumulator(str(run / "summaries"))
        events.Reload()
        assert len(events.Scalars("rewards/my_custom_reward")) == 3
        assert events.Scalars("rewards/height_safety")[0].value < 0
