"""Every command and every Python example in the documents works.

Commands run one after the other, as a reader would type them, in a folder that looks like a clone; trainings are made
small. They run in this process, which has the slow imports behind it.
"""

import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import ForkedJob, Main, Running
from commands import run as run_here
from tensorboard.backend.event_processing import event_file_inspector

from dexhand import command
from dexhand.app import main as app
from dexhand.app import sweep, train_play
from dexhand.core import program
from dexhand.core.interfaces import RenderingUnavailable
from dexhand.mock import isaacgym

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/getting-started.md",
    "docs/gymnasium.md",
    "docs/configuration.md",
    "docs/new-task.md",
    "docs/hands.md",
    "docs/hot-reload.md",
    "docs/comparing.md",
    "docs/mock-training.md",
    "docs/plugins.md",
    "docs/workspace.md",
    "docs/architecture.md",
    "docs/gpu.md",
    "docs/python.md",
    "docs/testing.md",
    "docs/train-play.md",
    "docs/watching.md",
]

FILE = r"`([\w/]+\.(?:py|yaml))`[^`\n]*:\n\n```(?:python|yaml)\n(.*?)^```"
"""A file that the reader is to write: its name, then a block with its text."""

DONE_BY_CI = (
    "python3 -m venv .venv",
    ". .venv/bin/activate",
    "pip install torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu",
    "pip install -c constraints.txt -e .",
    "pip install -c constraints.txt -e '.[test]'",
    "pip install tox",
    "tox",
    'pytest -m "not gpu"',
)
"""CI's own script installs the package in fresh environments and runs the tests."""
IN_ANOTHER_TEST = ("pytest --dexhand-env=examples/outside_project/pendulum/env.py:PendulumEnv",)
"""``test_outside_project.py`` does so."""
BUILT_IN_HAND = ROOT / "dexhand" / "hands" / "dexhand021_right" / "hand.xml"


def blocks(document: str, language: str) -> list[str]:
    """The code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL)


def commands(document: str) -> list[str]:
    """The shell commands of a document that nothing else runs anyway."""
    lines = [line for block in blocks(document, "bash") for line in block.splitlines()]
    parts = [part.strip() for line in lines for part in line.split("&&")]
    return [part for part in parts if part and part not in (*DONE_BY_CI, *IN_ANOTHER_TEST)]


def made_small(arguments: list[str]) -> list[str]:
    """The same training with few environments, a small network and few iterations; the same test with two episodes.

    A test leaves a short replay.
    """
    keys = [argument.partition("=")[0] for argument in arguments]
    small = [re.sub(r"^numEnvs=.*", "numEnvs=4", argument) for argument in arguments]
    small = [re.sub(r"^env.handAsset=.*", f"env.handAsset={BUILT_IN_HAND}", argument) for argument in small]
    small = [re.sub(r"^testGamesNum=[1-9].*", "testGamesNum=2", argument) for argument in small]
    small = [re.sub(r"^maxIter=(\d+)$", a_tenth, argument) for argument in small]
    if "train.hardExamples.enabled" in keys:
        small.append("train.hardExamples.keep=2")
    if "--multirun" in keys:  # test_sweeps.py trains
        small.append("--dry-run")
    defaults = {"numEnvs": "4", "train.network.units": "[16]", "maxIter": "2"}
    defaults |= {"train.ppo.horizon_length": "8", "train.ppo.mini_epochs": "1"}
    is_hand = not any(re.match("task=(Ant|Humanoid|gymnasium)", argument) for argument in arguments)
    length = "task.episodeLength" if is_hand else "task.max_episode_steps"
    defaults[length] = "20"  # tests play what was trained
    if {"test", "resume", "--dry-run", "--help", "--cfg"} & set(keys) or "config=test" in " ".join(arguments):
        defaults = {}
    if "test" in keys or "config=test" in " ".join(arguments):
        defaults = {"numEnvs": "2", "replayDuration": "1"}
    return small + [f"{key}={value}" for key, value in defaults.items() if key not in keys]


def fewer_steps(script: str, arguments: list[str]) -> list[str]:
    """The same mock training with a tenth of the steps."""
    flag = "--num_train_steps" if "training" in script else "--steps"
    if flag not in arguments:
        arguments = [*arguments, flag, "100"]
    steps = int(arguments[arguments.index(flag) + 1])
    return [*arguments, flag, str(steps // 10)]


def a_tenth(iterations: "re.Match[str]") -> str:
    """A run that is continued still goes beyond where it was."""
    return f"maxIter={max(1, int(iterations.group(1)) // 10)}"


def play_and_interrupt(arguments: list[str], main: Main = app.main) -> None:
    """A test without end, ended by Ctrl-C once it plays."""

    def meanwhile(player: Running) -> None:
        player.wait_for("^Playing")
        player.signal()

    done = run_here(arguments, Path.cwd(), meanwhile, main)
    assert done.returncode == 0, done.stderr


def small_command(words: list[str]) -> list[str]:
    """The same command of dexhand, made small."""
    if words[0] in ("train", "train-play"):
        return [words[0], *made_small(words[1:])]
    return ["test", *made_small(["test=true", *words[1:]])] if words[0] == "test" else words


def run(line: str) -> None:
    """Run one documented command; fails where it does not exit with 0."""
    words = shlex.split(line)
    if words[0] == "tensorboard":
        event_file_inspector.inspect(words[words.index("--logdir") + 1])  # what tensorboard --inspect does
    elif words[0] == "eval":
        subprocess.run(["bash", "-c", line], check=True)
    elif "mode=play" in words:
        play_and_interrupt([*words[2:], "numEnvs=2", "replayDuration=0"], train_play.main)
    elif words[:2] == ["dexhand", "watch"] or "testGamesNum=0" in words:
        play_and_interrupt([*words[1:], "numEnvs=2", "replayDuration=0"], command.run)
    elif words[0] == "dexhand":
        assert command.run(["demo", "--seconds", "1"] if words[1] == "demo" else small_command(words[1:])) == 0
    elif words[0] == "pytest":
        subprocess.run([sys.executable, "-m", *words, "-p", "dexhand.testing.plugin"], check=True)
    elif words[:3] == ["python", "-m", "dexhand.mock.isaacgym"]:
        isaacgym.install()
        run(shlex.join(["python", *words[3:]]))
    elif words[0] == "python":
        arguments = made_small(words[2:]) if words[1].startswith("scripts/train") else words[2:]
        if words[1].startswith("examples/scripted"):
            overrides = [argument for argument in arguments if "=" in argument]
            arguments = [argument for argument in arguments if "=" not in argument]
            arguments += ["--num-envs", "4", "--sim", "mock", "physics=fast", "env.controlDecimation=4", *overrides]
        if words[1].startswith("scripts/test_"):
            arguments = fewer_steps(words[1], arguments)
        if words[1] == "benchmarks/mock.py":
            arguments = ["--runs", "1", "--lines", "1", "--steps", "5"]
        elif words[1].startswith("benchmarks/"):
            arguments = ["--num-envs", "4", "--steps", "32", "--rounds", "1"]
            arguments += ["--reloads", "2"] if words[1].endswith("reload.py") else []
        sys.argv = [words[1], *arguments]
        try:
            with pytest.raises(SystemExit) as end:
                runpy.run_path(words[1], run_name="__main__")
        except RenderingUnavailable:  # says which package to install, as the README does
            return
        assert not end.value.code, f"{line!r} ended with exit code {end.value.code}"
    else:
        subprocess.run(words, check=True)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with the repository's files in it."""
    for name in ("dexhand", "scripts", "benchmarks", "constraints.txt"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")  # a link would not be the user's own code
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(sweep, "subprocess", SimpleNamespace(Popen=ForkedJob))
    monkeypatch.setattr(program, "run_program", lambda main: sys.exit(main()))  # which would end this process
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name, module in list(sys.modules.items()):  # another test may write a file of the same name
        if (getattr(module, "__file__", None) or "").startswith(f"{tmp_path}/"):
            del sys.modules[name]


@pytest.mark.timeout(600)  # MuJoCo Warp compiles its kernels the first time on a machine
@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_of_a_document_works(document: str, clone: Path) -> None:
    """In the document's order, with the files that it says to write."""
    for name, text in re.findall(FILE, (ROOT / document).read_text(), re.MULTILINE | re.DOTALL):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text(text)
    for line in commands(document):
        run(line)


def test_the_python_example_of_the_readme_works(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints the shape that its comments promise."""
    (example,) = blocks("README.md", "python")
    exec(compile(example, "README.md", "exec"), {})
    assert "(16, 224)" in capsys.readouterr().out


def test_the_examples_from_python_work(clone: Path) -> None:
    """Environments, a policy that was trained before, and Stable-Baselines3."""
    run("dexhand train task=BlindGrasping maxIter=1")
    names: dict[str, object] = {}
    for example in blocks("docs/python.md", "python"):
        exec(compile(example, "docs/python.md", "exec"), names)
