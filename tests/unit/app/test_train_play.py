"""The words of ``scripts/train_play.py``, in this process."""

import os
import signal
import subprocess
import sys
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from dexhand.app import train_play
from dexhand.app.main import Workspaces
from dexhand.app.train_play import main
from dexhand.config.cli import Invocation, Program, parse
from dexhand.config.compose import compose, to_yaml
from dexhand.config.schema import Config
from dexhand.workspace.workspace import Run, lock_run

OLD, MINE, NEW = (
    "Ant_train_20250113_080000",
    "my_ant_experiment_train_20250114_090000",
    "Ant_train_20250114_103045",
)
HUMANOID = "humanoid_v1_train_20250115_120000"
TASKS = {OLD: "Ant", MINE: "Ant", NEW: "Ant", HUMANOID: "Humanoid"}
"""Runs, each with its task."""


@pytest.fixture(scope="module")
def configurations() -> dict[str, str]:
    """What a training of each task leaves in ``config.yaml``."""
    return {task: to_yaml(compose([f"task={task}", "task.frame_skip=4"])) for task in set(TASKS.values())}


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configurations: dict[str, str]) -> Path:
    """A folder with these runs."""
    monkeypatch.chdir(tmp_path)
    for name, task in TASKS.items():
        run = Run(tmp_path / "runs_all" / name)
        run.checkpoints.mkdir(parents=True)
        (run.checkpoints / "latest.pth").touch()
        run.config_file.write_text(configurations[task])
    return tmp_path


def meaning(line: str, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The configuration that a command line of ``train_play.py`` stands for."""
    found: list[Config] = []

    def run_words(words: list[str], program: Program) -> int:
        invocation = parse(words, Workspaces())
        assert isinstance(invocation, Invocation)
        found.append(invocation.config)
        return 0

    monkeypatch.setattr(train_play, "run_words", run_words)
    assert main(line.split()) == 0
    (config,) = found
    return config


TRAIN = {"train.test": False, "env.viewer": None, "task.name": "Ant"}
PLAY = {
    "train.test": True,
    "train.testGamesNum": 0,
    "train.reloadInterval": 30.0,
    "env.numEnvs": 4,
    "env.viewer": None,
    "env.videoStreamSpeed": 1.0,
}

COMMANDS: list[tuple[str, dict[str, Any], str | None]] = [
    ("task=Ant mode=train", {**TRAIN, "train.saveFrequency": 100, "train.experimentName": None}, None),
    ("task=Ant", TRAIN, None),
    ("task=Ant mode=train checkpoint_save_freq=50", {**TRAIN, "train.saveFrequency": 50}, None),
    (
        "task=Ant mode=train experiment=my_ant_experiment",
        {**TRAIN, "train.experimentName": "my_ant_experiment"},
        None,
    ),
    (
        "task=Humanoid mode=train experiment=humanoid_v1 checkpoint_save_freq=50",
        {"task.name": "Humanoid", "train.experimentName": "humanoid_v1", "train.saveFrequency": 50},
        None,
    ),
    ("task=Ant mode=train num_envs=8192", {**TRAIN, "env.numEnvs": 8192}, None),
    ("task=Ant mode=train checkpoint_save_freq=100 num_envs=4096", {**TRAIN, "env.numEnvs": 4096}, None),
    (
        "task=Ant mode=train wandb_activate=True wandb_entity=your_entity wandb_project=isaacgym_training "
        "checkpoint_save_freq=100",
        {"train.wandb.enabled": True, "train.wandb.entity": "your_entity", "train.wandb.project": "isaacgym_training"},
        None,
    ),
    (
        "task=Ant mode=train experiment=Ant sim_device=cuda:0 rl_device=cuda:0",
        {**TRAIN, "env.device": "cuda:0"},
        None,
    ),
    ("task=Ant sim_device=cuda:0 rl_device=cpu", {**TRAIN, "env.device": "cpu"}, None),
    ("task=Ant rl_device=cuda:1 sim_device=cpu", {**TRAIN, "env.device": "cuda:1"}, None),
    ("mode=train task=Ant headless=True test=False", {**TRAIN, "env.viewer": False}, None),
    ("task=Ant mode=play experiment=Ant_2025-01-14_10-30-45", {**PLAY, "task.name": "Ant"}, NEW),
    ("task=Ant mode=play experiment=Ant", PLAY, NEW),
    (f"task=Ant mode=play experiment={OLD}", PLAY, OLD),
    (f"mode=play experiment={OLD} videoStreamSpeed=0 testGamesNum=5", {"env.videoStreamSpeed": 0.0}, OLD),
    ("task=Ant mode=play experiment=Ant num_envs=2", {**PLAY, "env.numEnvs": 2}, NEW),
    (
        "task=Ant mode=play experiment=Ant enable_control_panel=True",
        {**PLAY, "env.videoStream": True},
        NEW,
    ),
    (
        "task=Ant mode=play experiment=Ant checkpoint_reload_interval=60",
        {**PLAY, "train.reloadInterval": 60.0},
        NEW,
    ),
    ("task=Ant mode=play experiment=Ant num_envs=4 checkpoint_reload_interval=30", PLAY, NEW),
    ("task=Ant mode=play experiment=my_ant_experiment", PLAY, MINE),
    ("task=Humanoid mode=play experiment=humanoid_v1 num_envs=2", {"task.name": "Humanoid"}, HUMANOID),
    (
        "task=Ant mode=play experiment=Ant sim_device=cuda:1 rl_device=cuda:1 graphics_device_id=1",
        {**PLAY, "env.device": "cuda:1", "sim.isaacgym.graphicsDevice": 1},
        NEW,
    ),
    ("mode=play experiment=humanoid_v1 test=True testGamesNum=5 headless=False", {"train.testGamesNum": 5}, HUMANOID),
]
"""The command lines of the users' document and some more, what they stand for, and the run that they play."""


@pytest.mark.parametrize(("line", "values", "played"), COMMANDS, ids=[line for line, *_ in COMMANDS])
def test_command_lines_stand_for_settings(
    line: str, values: dict[str, Any], played: str | None, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training starts from scratch; what is played has the settings that it was trained with."""
    config = meaning(line, monkeypatch)
    assert {key: attrgetter(key)(config) for key in values} == values
    assert config.train.checkpoint == (None if played is None else str(workplace / "runs_all" / played))
    assert config.task.frame_skip == (5 if played is None else 4)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("mode=watch", "mode=watch is unknown. Known: train, play."),
        ("mode=train mode=play", "mode=train and mode=play exclude each other"),
        ("mode=train test=True", "mode=train and test=True contradict each other"),
        ("mode=train test=1", "mode=train and test=1 contradict each other"),
        ("mode=play experiment=Ant testing.test=false", "mode=play and test=false contradict each other"),
        ("mode=play experiment=a\0b", "a run's name has no NUL character"),
        ("mode=play experiment=Ant checkpoint=latest", "checkpoint= cannot be given with it"),
        ("mode=play experiment=Ant resume=latest", "resume=latest continues a run with its own configuration"),
        ("mode=play experiment=Ant task=Humanoid", f"{NEW} is of task=Ant. Leave task= out"),
        ("mode=play experiment=Ant task=gymnasium:Pendulum-v1", f"{NEW} is of task=Ant. Leave task= out"),
        ("mode=play experiment=nothing --dry-run", "error: experiment=nothing: no file, folder or run has this name"),
        ("enable_control_panel=True", "the panel chooses what mode=play plays"),
        ("multi_gpu=True", "multi_gpu=true needs several processes. Start them with torchrun"),
        ("multi_gpu=2", "multi_gpu=2: expected true or false"),
        ("sim_device=cpu rl_device=cuda:0", "two spellings of env.device with different values"),
        ("task=Ant device=cpu rl_device=cuda:0", "two spellings of env.device with different values"),
        ("mod=play", "there is no key mod"),
    ],
)
def test_words_that_cannot_be_are_refused_in_one_line(
    line: str, error: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code 2."""
    assert main(line.split()) == 2
    said = capsys.readouterr().err
    assert error in said
    assert said.count("\n") == 1


def test_play_without_a_run_lists_those_there_are(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The newest first, without tests."""
    test = Run(workplace / "runs_all" / "Ant_test_20250116_000000")
    test.path.mkdir()
    test.played_file.touch()
    assert main(["mode=play"]) == 2
    assert f"experiment=NAME, a run's name or a part of it. In runs: {HUMANOID}, {NEW}, {MINE}, {OLD}\n" in (
        capsys.readouterr().err
    )
    assert main(["mode=play", "runsDir=elsewhere"]) == 2
    assert capsys.readouterr().err.endswith("There is none in elsewhere yet\n")


def test_a_training_that_has_saved_nothing_yet_is_waited_for_and_one_that_died_is_not(
    workplace: Path,
    configurations: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A part of a name stands for the newest training that is running or has checkpoints."""
    newest = Run(workplace / "runs_all" / "Ant_train_20250117_000000")
    newest.path.mkdir()
    newest.config_file.write_text(configurations["Ant"])
    assert meaning("mode=play experiment=Ant", monkeypatch).train.checkpoint.endswith(NEW)

    class SavesMeanwhile:
        def sleep(self, seconds: float) -> None:
            newest.checkpoints.mkdir()
            (newest.checkpoints / "latest.pth").touch()

    monkeypatch.setattr(train_play, "SystemClock", SavesMeanwhile)
    with lock_run(newest):
        assert meaning("mode=play experiment=Ant", monkeypatch).train.checkpoint == str(newest.path)
    assert f"Waiting for checkpoint in {newest.path} (Ctrl-C stops)" in capsys.readouterr().out


def test_ctrl_c_ends_the_wait(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In good order; it has said what it waits for, and what runs there are."""

    class InterruptedMeanwhile:
        def sleep(self, seconds: float) -> None:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(train_play, "SystemClock", InterruptedMeanwhile)
    assert main(["mode=play", "experiment=nothing"]) == 0
    said = capsys.readouterr().out
    assert "Waiting for a run named nothing: no file, folder or run has this name. Nearest in " in said
    assert f"{HUMANOID}, {NEW}, {MINE}" in said
    assert "Stopped before there was a checkpoint to play\n" in said


def test_processes_of_torchrun_train_with_multi_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The word says what torchrun has started."""
    monkeypatch.setitem(os.environ, "WORLD_SIZE", "2")
    assert meaning("multi_gpu=True num_envs=4", monkeypatch).env.numEnvs == 4


def test_the_script_explains_every_word_of_its_own(tmp_path: Path) -> None:
    """On the page that ``--help`` prints."""
    script = Path(__file__).parents[3] / "scripts" / "train_play.py"
    page = subprocess.run(
        [sys.executable, script, "mode=play", "-h"], capture_output=True, text=True, check=True
    ).stdout
    for word in train_play.OWN_WORDS:
        assert f"\n  {word}=" in page


def test_help_with_a_task_is_about_the_task(capsys: pytest.CaptureFixture[str]) -> None:
    """As with ``scripts/train.py``."""
    assert train_play.main(["mode=train", "--help", "task=Ant"]) == 0
    assert "task.healthy_reward" in capsys.readouterr().out


def test_a_path_with_characters_of_hydras_grammar(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user does not quote it, because it is no value of a key."""
    odd = workplace / "it's,(mine)={1}"
    (workplace / "runs_all" / OLD).rename(odd)
    config = meaning(f"mode=play experiment={odd}", monkeypatch)
    assert (config.train.checkpoint, config.task.name) == (str(odd), "Ant")
