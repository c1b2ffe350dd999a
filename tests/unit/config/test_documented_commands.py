"""Every command line of the user documents means what they promise.

Each is run with ``--dry-run`` in this process, in a folder that holds the runs and files that the documents name.
"""

from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from dexhand.app.main import Workspaces, main, run
from dexhand.config.cli import Invocation, parse
from dexhand.config.compose import compose, to_yaml

NEWEST_TRAIN = "runs_all/BlindGrasping_train_20260301_120000"
RUNS = {
    "runs_all/BaseTask_train_20260101_120000": "BaseTask",
    NEWEST_TRAIN: "BlindGrasping",
    "runs_all/old_experiment_20231201_100000": "BaseTask",
    "runs/BoxGrasping_20250707_183716": "BoxGrasping",
    "runs/BaseTask_20240101_120000": "BaseTask",
    "runs/MyExperiment": "BlindGrasping",
    "runs/best_policy": "BlindGrasping",
    "runs/experiment_dir": "BaseTask",
}
"""Folders of runs, with their tasks."""
FILES = [
    *("path/to/checkpoint.pth", "checkpointA.pth", "checkpointB.pth", "base_checkpoint.pth", "grasp_checkpoint.pth"),
    *("checkpoint_1000.pth", "checkpoint_2000.pth", "checkpoint_3000.pth", "latest_release.pth"),
    "runs/BaseTask_20240101_120000/nn/checkpoint_1000.pth",
]
"""Checkpoints that lie about."""


@pytest.fixture(scope="module")
def configurations() -> dict[str, str]:
    """What runs of each task left in their ``config.yaml``."""
    return {task: to_yaml(compose([f"task={task}"])) for task in set(RUNS.values())}


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configurations: dict[str, str]) -> Path:
    """A folder with ``RUNS`` and ``FILES``; a test run played ``path/to/checkpoint.pth``.

    The machine has a GPU and a display.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for folder, task in RUNS.items():
        (tmp_path / folder / "nn").mkdir(parents=True)
        (tmp_path / folder / "nn" / "latest.pth").touch()
        (tmp_path / folder / "config.yaml").write_text(configurations[task])
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    test = tmp_path / "runs_all" / "BaseTask_test_20260201_120000"
    test.mkdir()
    (test / "checkpoint.txt").write_text(f"{tmp_path}/path/to/checkpoint.pth\n")
    for kind, name in (("train", Path(NEWEST_TRAIN).name), ("test", test.name)):
        (tmp_path / "runs" / f"latest_{kind}").symlink_to(f"../runs_all/{name}")
    return tmp_path


class Documented(NamedTuple):
    """A command line, without ``dexhand train``, and what comes of it."""

    line: str
    keys: dict[str, Any]
    checkpoint: str | None = None
    """What it starts from or plays."""


def endless(**keys: Any) -> dict[str, Any]:
    """What a test without end has, and more; ``__`` is a dot."""
    return {
        "train.test": True,
        "train.testGamesNum": 0,
        **{name.replace("__", "."): value for name, value in keys.items()},
    }


TEST = {"train.test": True}
LATEST = f"{NEWEST_TRAIN}/nn/latest.pth"
MINE = "runs/MyExperiment/nn/latest.pth"
BLIND = {"task.name": "BlindGrasping"}
INDEFINITE = "train.test=true train.testGamesNum=0"

COMMANDS: list[Documented] = [
    # indefinite testing
    Documented("train.testGamesNum=0", {"train.testGamesNum": 0, "train.test": False}),
    Documented(f"{INDEFINITE} train.checkpoint=path/to/checkpoint.pth", endless(), "path/to/checkpoint.pth"),
    Documented(
        f"{INDEFINITE} train.checkpoint=runs/MyExperiment/checkpoint.pth train.reloadInterval=30 env.viewer=true",
        endless(env__viewer=True, train__reloadInterval=30.0, task__name="BlindGrasping"),
        MINE,
    ),
    Documented(
        f"{INDEFINITE} train.checkpoint=runs/MyExperiment/checkpoint.pth env.numEnvs=16 env.viewer=true",
        endless(env__viewer=True, env__numEnvs=16),
        MINE,
    ),
    Documented(
        f"{INDEFINITE} train.checkpoint=runs/MyExperiment/checkpoint.pth headless=true env.numEnvs=32",
        endless(env__numEnvs=32, env__viewer=False),
        MINE,
    ),
    Documented("task=BlindGrasping env.numEnvs=4096", {**BLIND, "env.numEnvs": 4096}),
    Documented(
        f"{INDEFINITE} train.reloadInterval=30 train.checkpoint=runs/latest_train/checkpoint.pth env.viewer=true "
        "env.numEnvs=4",
        endless(env__viewer=True, env__numEnvs=4, task__name="BlindGrasping"),
        "runs/latest_train/nn/latest.pth",
    ),
    Documented(
        f"{INDEFINITE} train.checkpoint=runs/MyExperiment/checkpoint.pth env.viewer=false env.videoRecord=true "
        "env.videoMaxDuration=300",
        endless(env__viewer=False, env__videoRecord=True, env__videoMaxDuration=300.0),
        MINE,
    ),
    Documented(
        f"{INDEFINITE} train.checkpoint=runs/MyExperiment/checkpoint.pth env.videoStream=true env.videoStreamPort=8080",
        endless(env__videoStream=True, env__videoStreamPort=8080),
        MINE,
    ),
    Documented(f"{INDEFINITE} train.checkpoint=checkpointA.pth", endless(), "checkpointA.pth"),
    Documented(f"{INDEFINITE} train.checkpoint=checkpointB.pth", endless(), "checkpointB.pth"),
    Documented(f"{INDEFINITE} train.checkpoint=checkpoint_1000.pth headless=true", endless(), "checkpoint_1000.pth"),
    Documented(f"{INDEFINITE} train.checkpoint=checkpoint_2000.pth headless=true", endless(), "checkpoint_2000.pth"),
    Documented(f"{INDEFINITE} train.checkpoint=checkpoint_3000.pth headless=true", endless(), "checkpoint_3000.pth"),
    Documented(
        f"task=BaseTask {INDEFINITE} train.checkpoint=base_checkpoint.pth",
        endless(task__name="BaseTask"),
        "base_checkpoint.pth",
    ),
    Documented(
        f"task=BlindGrasping {INDEFINITE} train.checkpoint=grasp_checkpoint.pth",
        endless(task__name="BlindGrasping"),
        "grasp_checkpoint.pth",
    ),
    Documented("task=BlindGrasping env.numEnvs=8192", {**BLIND, "env.numEnvs": 8192}),
    Documented(
        f"{INDEFINITE} train.checkpoint=runs/best_policy/checkpoint.pth env.videoStream=true env.viewer=true "
        "env.numEnvs=1",
        endless(env__viewer=True, env__numEnvs=1),
        "runs/best_policy/nn/latest.pth",
    ),
    Documented(
        f"{INDEFINITE} train.checkpoint=latest_release.pth headless=true env.numEnvs=64",
        endless(env__viewer=False, env__numEnvs=64),
        "latest_release.pth",
    ),
    # the same in the newer spelling
    Documented("train.test=true testGamesNum=0 train.checkpoint=runs/MyExperiment", endless(), MINE),
    Documented("config=train_headless task=BlindGrasping", {**BLIND, "env.viewer": False, "env.numEnvs": 8192}),
    Documented(
        "config=test_viewer testGamesNum=0 checkpoint=latest",
        endless(env__viewer=True, env__numEnvs=4, train__reloadInterval=30.0, task__name="BlindGrasping"),
        LATEST,
    ),
    Documented(
        "config=test_stream testGamesNum=0 checkpoint=latest streamBindAll=true",
        endless(env__videoStream=True, env__videoStreamBindAll=True, env__viewer=False),
        LATEST,
    ),
    Documented("config=test_viewer testGamesNum=0 numEnvs=1", endless(env__viewer=True, env__numEnvs=1), LATEST),
    Documented("config=test", {**TEST, "train.testGamesNum": 50}, LATEST),
    # training
    Documented("", {"task.name": "BaseTask", "env.numEnvs": 1024, "train.seed": 42, "train.maxIterations": 10000}),
    Documented("task=BoxGrasping numEnvs=2048", {"task.name": "BoxGrasping", "env.numEnvs": 2048}),
    Documented("render=true numEnvs=64", {"env.viewer": True, "env.numEnvs": 64}),
    Documented("config=train_headless", {"env.viewer": False, "train.test": False}),
    Documented("test=true checkpoint=latest", {**TEST, **BLIND}, LATEST),
    Documented(
        "task=BoxGrasping test=true checkpoint=runs/BoxGrasping_20250707_183716",
        {**TEST, "task.name": "BoxGrasping"},
        "runs/BoxGrasping_20250707_183716/nn/latest.pth",
    ),
    Documented("test=true checkpoint=latest render=false", {**TEST, "env.viewer": False}, LATEST),
    Documented(
        "test=true checkpoint=path/to/checkpoint.pth testing.reloadInterval=30",
        {**TEST, "train.reloadInterval": 30.0},
        "path/to/checkpoint.pth",
    ),
    Documented("task=BoxGrasping numEnvs=1024 render=true", {"env.viewer": True, "env.numEnvs": 1024}),
    Documented("logLevel=debug", {"train.logLevel": "debug"}),
    Documented("logLevel=warning", {"train.logLevel": "warning"}),
    Documented("task=BoxGrasping env.numEnvs=1024 env.render=true", {"env.viewer": True, "env.numEnvs": 1024}),
    Documented("task=BlindGrasping checkpoint=latest", {"train.test": False}, LATEST),
    Documented("task=BlindGrasping checkpoint=latest_train", {"train.test": False}, LATEST),
    Documented("checkpoint=latest_test", {"train.test": False}, "path/to/checkpoint.pth"),
    Documented("checkpoint=runs/experiment_dir", {"train.test": False}, "runs/experiment_dir/nn/latest.pth"),
    # physics
    Documented("task=BoxGrasping", {"task.name": "BoxGrasping", "sim.physx.substeps": 16}),
    Documented("-cn test_render", {"env.viewer": True, **TEST, "sim.physx.substeps": 2}, LATEST),
    Documented("+defaults=[config,/physics/accurate]", {"sim.physx.substeps": 16}),
    Documented("+defaults=[config,/physics/fast] render=true", {"env.viewer": True, "sim.physx.substeps": 2}),
    Documented("task=BaseTask", {"sim.physx.substeps": 4}),
    Documented("+defaults=[config,/physics/fast]", {"sim.physx.substeps": 2}),
    Documented("test=true render=true -cn test_render", {"env.viewer": True, **TEST, "sim.physx.substeps": 2}, LATEST),
    Documented(
        "task=BoxGrasping numEnvs=512 +defaults=[config,/physics/accurate]",
        {"task.name": "BoxGrasping", "env.numEnvs": 512, "sim.physx.substeps": 16},
    ),
    # overrides by section
    Documented("sim.dt=0.01 sim.substeps=8", {"sim.dt": 0.01, "sim.substeps": 8}),
    Documented("env.numEnvs=2048 env.render=true", {"env.viewer": True, "env.numEnvs": 2048}),
    Documented(
        "task.episodeLength=300 task.rewardWeights.object_height=2.0",
        {"task.episodeLength": 300, "task.reward_weights.object_height": 2.0},
    ),
    Documented("train.seed=123 train.maxIterations=5000", {"train.seed": 123, "train.maxIterations": 5000}),
    Documented(
        "task=BoxGrasping env.numEnvs=1024 sim.dt=0.005 task.episodeLength=400",
        {"task.name": "BoxGrasping", "env.numEnvs": 1024, "sim.dt": 0.005, "task.episodeLength": 400},
    ),
    # from a checkpoint
    Documented(
        "task=BaseTask checkpoint=runs/BaseTask_20240101_120000",
        {"train.test": False},
        "runs/BaseTask_20240101_120000/nn/latest.pth",
    ),
    Documented(
        "task=BaseTask training.checkpoint=runs/BaseTask_20240101_120000/nn/checkpoint_1000.pth",
        {"train.test": False},
        "runs/BaseTask_20240101_120000/nn/checkpoint_1000.pth",
    ),
    Documented("task=BaseTask test=true checkpoint=latest", TEST, LATEST),
    Documented(
        "task=BaseTask test=true checkpoint=runs/BaseTask_20240101_120000",
        {**TEST, "task.name": "BaseTask"},
        "runs/BaseTask_20240101_120000/nn/latest.pth",
    ),
    Documented(
        "task=BaseTask test=true checkpoint=runs/BaseTask_20240101_120000 testing.reloadInterval=30",
        {**TEST, "train.reloadInterval": 30.0},
        "runs/BaseTask_20240101_120000/nn/latest.pth",
    ),
    Documented(
        "task=BoxGrasping training.test=true training.checkpoint=latest env.render=false env.recordVideo=true",
        {**TEST, "env.viewer": False, "env.videoRecord": True},
        LATEST,
    ),
    Documented(
        "task=BoxGrasping training.test=true training.checkpoint=latest env.render=true env.recordVideo=true",
        {"env.viewer": True, **TEST, "env.videoRecord": True},
        LATEST,
    ),
    Documented(
        "test=true checkpoint=runs_all/old_experiment_20231201_100000",
        {**TEST, "task.name": "BaseTask"},
        "runs_all/old_experiment_20231201_100000/nn/latest.pth",
    ),
    # keys that the documents explain
    Documented(
        "env.device=cpu env.graphicsDeviceId=0 env.render=null env.recordVideo=false",
        {"env.device": "cpu", "sim.isaacgym.graphicsDevice": 0, "env.viewer": None},
    ),
    Documented(
        "training.seed=7 training.torch_deterministic=true training.test=false training.max_iterations=20 maxIter=20",
        {"train.seed": 7, "train.torchDeterministic": True, "train.maxIterations": 20},
    ),
    Documented(
        "logging.experiment_name=mine logging.log_interval=10 logging.logLevel=info",
        {"train.experimentName": "mine", "train.logInterval": 10, "train.logLevel": "info"},
    ),
    Documented(
        "experiment.maxRecentRuns=9 experiment.useCleanWorkspace=true experiment.maxTrainRuns=5 maxTestRuns=4",
        {"train.maxRecentRuns": 9, "train.useCleanWorkspace": True, "train.maxTrainRuns": 5, "train.maxTestRuns": 4},
    ),
    Documented("experiment.useCleanWorkspace=false", {"train.useCleanWorkspace": False}),
    Documented("device=cuda:0 seed=5", {"env.device": "cuda:0", "train.seed": 5}),
]


@pytest.mark.parametrize("documented", COMMANDS, ids=[command.line for command in COMMANDS])
def test_it_means_what_the_documents_say(
    documented: Documented, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plan names the values and the checkpoint."""
    asked = parse([*documented.line.split(), "--dry-run"], Workspaces())
    assert isinstance(asked, Invocation)
    assert run(asked) == 0
    page = capsys.readouterr().out
    assert page.endswith(to_yaml(asked.config))
    assert {name: attrgetter(name)(asked.config) for name in documented.keys} == documented.keys
    if documented.checkpoint is not None:
        assert str(workplace / documented.checkpoint) in page or documented.checkpoint in page
    elif not asked.config.train.test:
        assert "# from scratch" in page


DOCUMENTED_KEYS = sorted(
    {word.partition("=")[0] for command in COMMANDS for word in command.line.split() if "=" in word}
)


@pytest.mark.parametrize("key", [key for key in DOCUMENTED_KEYS if not key.startswith("+")])
def test_a_typo_in_a_documented_key_is_refused_with_what_was_meant(
    key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One letter too many: exit code 2 and one line."""
    assert main([f"{key}q=1"]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert f"{key}q=1" in line
    assert "Did you mean" in line
