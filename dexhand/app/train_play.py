"""Train and play beside each other: the words of ``dexhand train-play`` in those of ``dexhand train``."""

import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from dexhand.app.logs import logging_to_console
from dexhand.app.main import Workspaces, exit_code_of, run_words
from dexhand.config.aliases import canonical_key
from dexhand.config.cli import Program
from dexhand.config.errors import ConfigError, unknown
from dexhand.config.overrides import read_overrides
from dexhand.config.schema import TrainConfig
from dexhand.config.sources import leaves, read_run_file
from dexhand.core.clock import SystemClock
from dexhand.core.stop import StopRequest
from dexhand.files.output import output_code
from dexhand.workspace.checkpoint_names import CheckpointNotFound, CheckpointSource, find_source
from dexhand.workspace.listing import found_runs
from dexhand.workspace.workspace import Run, Workspace

log = logging.getLogger(__name__)

_HELP = """\
Train a policy, and watch it in a second terminal while it learns.

usage: dexhand train-play [mode=train|play] [key=value ...] [options]

examples:
  dexhand train-play task=Ant mode=train                      prints "Training will save to: runs/..."
  dexhand train-play task=Ant mode=play experiment=Ant        in a second terminal, at any time
  torchrun --standalone --nnodes=1 --nproc_per_node=2 scripts/train_play.py task=Ant mode=train multi_gpu=True

words of its own:
  mode=train             (default) train without a window; the same as dexhand train
  mode=play              play the newest policy of a run until Ctrl-C, in real time, and each newer one that its
                         training saves; waits for the run and its first checkpoint. The same as dexhand train
                         test=true testGamesNum=0 videoStreamSpeed=1
  experiment=NAME        train: how the run's name begins, instead of the task's name (train.experimentName)
                         play: the run to play, by its name or a part of it, which selects the newest (train.checkpoint)
  enable_control_panel=True
                         play: a page in the browser, in which a panel chooses the checkpoint (env.videoStream=true)
  multi_gpu=True         the processes that torchrun starts train one policy

words of dexhand train that belong to it:
  checkpoint_save_freq=100        iterations between two numbered checkpoints (train.saveFrequency); latest.pth is also
                                  saved at each best return, and every train.saveInterval seconds
  checkpoint_reload_interval=30   seconds after which mode=play looks for a newer checkpoint (train.reloadInterval)
  num_envs=N                      environments; in mode=play 4 (env.numEnvs)
  sim_device=D rl_device=D        where physics and learner compute: auto, cpu, cuda:0 ... (env.device)
  graphics_device_id=N            of Isaac Gym (sim.isaacgym.graphicsDevice)
  headless=True                   no window (env.viewer=false); without it, mode=play shows a window where there is a
                                  display, else a page in the browser
  wandb_activate=True wandb_entity=E wandb_project=P      (train.wandb.*)

All other keys and options, such as --dry-run and config=, are those of dexhand train; --help task=NAME lists them.
"""

MODES = {"train": ("false", "0", "off", "no"), "play": ("true", "1", "on", "yes")}
"""The values of ``test=`` that each mode implies."""
OWN_WORDS = ("mode", "experiment", "enable_control_panel", "multi_gpu")
_PROGRAM = Program("dexhand train-play", "dexhand train-play {words}mode=play experiment={run}")
_LOOK_INTERVAL = 0.5
"""Seconds between two looks for the run to play."""


def main(argv: Sequence[str]) -> int:
    """Run a command line of ``dexhand train-play``; returns the exit code, as ``dexhand.app.main.main`` does."""
    return exit_code_of(lambda: _run(argv))


def _run(argv: Sequence[str]) -> int:
    own, words = _own_words(argv)
    if words in (["-h"], ["--help"]):  # with other words, the page of train.py, on a task for example
        print(_HELP, end="")  # noqa: T201
        return output_code()
    mode = own.get("mode", "train")
    if mode not in MODES:
        raise unknown(f"mode={mode}", mode, MODES)
    if _is_on("multi_gpu", own) and "WORLD_SIZE" not in os.environ:
        raise ConfigError(
            "multi_gpu=true needs several processes. Start them with torchrun: torchrun --standalone --nnodes=1 "
            "--nproc_per_node=2 scripts/train_play.py ... multi_gpu=True"
        )
    given = {canonical_key(key.lstrip("+")): value for key, _, value in (word.partition("=") for word in words)}
    if given.get("train.test", MODES[mode][0]).lower() not in MODES[mode]:
        raise ConfigError(f"mode={mode} and test={given['train.test']} contradict each other. Leave test= out")
    if mode == "train" and _is_on("enable_control_panel", own):
        raise ConfigError("enable_control_panel=true: the panel chooses what mode=play plays. Leave it out to train")
    if mode == "play":
        return _play(own, words, given)
    return run_words([*words, f"experimentName={own['experiment']}"] if "experiment" in own else words, _PROGRAM)


def _own_words(argv: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The words that ``dexhand train`` does not know, and the others."""
    own: dict[str, str] = {}
    others = []
    for word in argv:
        key, equals, value = word.partition("=")
        if key not in OWN_WORDS or not equals:
            others.append(word)
        elif own.setdefault(key, value) != value:
            raise ConfigError(f"{key}={own[key]} and {word} exclude each other. Give one of them")
    return own, others


def _is_on(key: str, own: Mapping[str, str]) -> bool:
    value = own.get(key, "false").lower()
    if value not in ("true", "false"):
        raise ConfigError(f"{key}={own[key]}: expected true or false")
    return value == "true"


# --- playing ----------------------------------------------------------------------------------------------------------


def _play(own: Mapping[str, str], words: Sequence[str], given: Mapping[str, str]) -> int:
    runs_dir = given.get("train.runsDir", TrainConfig.runsDir).strip("\"'")
    experiment = own.get("experiment")
    if not experiment:
        raise ConfigError(f"mode=play needs experiment=NAME, a run's name or a part of it. {_trainings(runs_dir)}")
    if "\0" in experiment:
        raise ConfigError(f"experiment={experiment}: a run's name has no NUL character")
    if "train.checkpoint" in given:
        raise ConfigError(f"mode=play plays experiment={experiment}; checkpoint= cannot be given with it. Leave it out")
    source = _look(experiment, runs_dir) if "--dry-run" in words else _wait(experiment, runs_dir)
    if source is None:
        return 0
    checkpoint = str(source.place or experiment)
    task = [word for word in words if re.match(r"\+*task=", word)]
    if _is_trained_for(task, checkpoint, runs_dir):
        words = [word for word in words if word not in task]  # the task with the run's own settings
    quoted = "'" + checkpoint.replace("'", "\\'") + "'"  # a path may have characters of Hydra's grammar
    defaults = {"train.testGamesNum": "0", "env.videoStreamSpeed": "1"}
    if _is_on("enable_control_panel", own):
        defaults["env.videoStream"] = "true"
    others = [f"{key}={value}" for key, value in defaults.items() if key not in given]
    return run_words([*words, "test=true", f"checkpoint={quoted}", *others], _PROGRAM)


def _look(experiment: str, runs_dir: str) -> CheckpointSource:
    try:
        return find_source(experiment, Path(runs_dir))
    except CheckpointNotFound as error:
        raise ConfigError(f"experiment={experiment}: {error.problem}") from None


def _wait(experiment: str, runs_dir: str) -> CheckpointSource | None:
    """Wait until the run has a checkpoint; ``None`` if a signal arrives before. It says what it waits for."""
    clock, said = SystemClock(), ""
    with logging_to_console(Console(highlight=False), "info"), StopRequest() as stop:
        while not stop.requested:
            try:
                source = find_source(experiment, Path(runs_dir))
                if source.checkpoints():
                    return source
                missing = f"checkpoint in {source}"
            except CheckpointNotFound as error:
                missing = f"a run named {experiment}: {error.problem}"
            if missing != said:
                log.info("Waiting for %s (Ctrl-C stops)", missing)
                said = missing
            clock.sleep(_LOOK_INTERVAL)
        log.info("Stopped before there was a checkpoint to play")
    return None


def _trainings(runs_dir: str) -> str:
    """A sentence that lists the trainings, the newest first."""
    runs = found_runs(Workspace(Path(runs_dir)).view)
    found = [run.name for run in runs if not Run(run.path).played_file.is_file()]
    if not found:
        return f"There is none in {runs_dir} yet"
    more = f" and {len(found) - 10} more" if len(found) > 10 else ""
    return f"In {runs_dir}: {', '.join(found[:10])}{more}"


def _is_trained_for(task: Sequence[str], checkpoint: str, runs_dir: str) -> bool:
    """Whether it is known that ``checkpoint`` was trained for ``task=NAME``. Raises ``ConfigError`` if for another."""
    saved = Workspaces().behind(checkpoint, runs_dir)
    trained = {} if saved is None else dict(leaves(read_run_file(saved.path, saved.text)))
    for key, override in read_overrides(task).items():
        of_run = trained.get("task.name" if key == "task" else key)
        if of_run not in (None, override.value):
            raise ConfigError(f"{task[-1]}: {checkpoint} is of task={of_run}. Leave task= out, or name another run")
    return "task.name" in trained
