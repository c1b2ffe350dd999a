"""Tab completion."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dexhand.config.completion import candidates, complete
from dexhand.config.errors import ConfigError

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("ph", ["physics="]),
        ("train.ppo.le", ["train.ppo.learning_rate="]),
        ("task=B", ["task=BaseTask", "task=BlindGrasping", "task=BoxGrasping"]),
        ("numEnvs=4 physics=f", ["physics=fast"]),
        ("config=test_r", ["config=test_record", "config=test_render"]),
        ("sim.backend=mujoco", ["sim.backend=mujoco", "sim.backend=mujoco_warp"]),
        ("test=", ["test=false", "test=true"]),
        ("train.resume=", ["train.resume=exact", "train.resume=weights"]),
        ("--dr", ["--dry-run"]),
        ("nothing", []),
    ],
)
def test_words_that_the_last_one_may_become(line: str, offered: list[str]) -> None:
    """Groups, keys, short forms, presets, choices, flags."""
    assert candidates(line) == offered


def test_keys_come_section_by_section() -> None:
    """A section is offered before all that is below it."""
    assert {"sim.", "task.", "train.", "env.", "task=", "numEnvs="} <= set(candidates(""))
    assert {"env.actuators.", "env.numEnvs="} <= set(candidates("env."))
    assert not {name for name in candidates("") if name.startswith("train.ppo")}


def test_runs_are_offered_as_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that ``runs/`` shows."""
    (tmp_path / "runs" / "BaseTask_train_20260101_000000").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert candidates("checkpoint=") == ["checkpoint=BaseTask_train_20260101_000000", "checkpoint=latest"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("line", "offered"), [("dexhand tes", "test"), ("dexhand train task=Bl", "task=BlindGrasping")]
)
def test_bash_completes(line: str, offered: str, tmp_path: Path) -> None:
    """The shell function that ``dexhand -sc install=bash`` prints asks ``dexhand -sc query=bash``."""
    program = tmp_path / "dexhand"  # as pip installs it
    program.write_text(f"#!{sys.executable}\nfrom dexhand.__main__ import main\nmain()\n")
    program.chmod(0o755)
    script = (
        'eval "$(dexhand -sc install=bash)"\n'
        f'COMP_LINE="{line}"; COMP_POINT=${{#COMP_LINE}}; COMP_CWORD={line.count(" ")}\n'
        'hydra_bash_completion; echo "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == offered


@pytest.mark.parametrize("request_", ["install=tcsh", "delete=bash", "install"])
def test_what_is_not_offered(request_: str) -> None:
    """One line says what is."""
    with pytest.raises(ConfigError, match="SHELL one of bash, fish, zsh"):
        complete(request_)
