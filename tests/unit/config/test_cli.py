"""The command line."""

import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

from dexhand.config import cli
from dexhand.config.aliases import ALIASES
from dexhand.config.compose import to_yaml
from dexhand.config.keys import all_keys
from dexhand.config.task_schema import BASE_OBSERVATIONS


def parse(argv: List[str]) -> cli.Invocation:
    """Read a command line; the run that ``resume=`` names left its configuration in ``<its name>/config.yaml``."""
    return cli.parse(argv, lambda resume, runs_dir: Path(resume, "config.yaml"))


def test_help_names_every_key_alias_and_choice(capsys: pytest.CaptureFixture) -> None:
    """The page is complete and exits 0."""
    with pytest.raises(SystemExit) as end:
        parse(["--help"])
    page = capsys.readouterr().out
    assert end.value.code == 0
    missing = [
        word
        for word in [*all_keys(), *ALIASES, *BASE_OBSERVATIONS, "physics=", "--dry-run", "--config-name", "-cd"]
        if word not in page
    ]
    assert missing == []


def test_every_key_is_explained() -> None:
    """No key without a meaning."""
    assert [name for name, key in all_keys().items() if len(key.help) < 5] == []


@pytest.mark.parametrize(
    "argv", [["config=test", "checkpoint=x"], ["-cn", "test", "checkpoint=x"], ["--config-name=test", "checkpoint=x"]]
)
def test_a_whole_configuration_is_chosen_in_each_way(argv: List[str]) -> None:
    """As in the user documents."""
    assert parse(argv).config.train.testGamesNum == 50


def test_a_runs_folder_runs_again(tmp_path: Path) -> None:
    """The saved configuration is used, not ours of the same name."""
    first = parse(["numEnvs=7", "seed=-1"]).config
    (tmp_path / "config.yaml").write_text(to_yaml(first))
    assert parse(["--config-dir", str(tmp_path), "--config-name", "config"]).config == first
    assert parse(["-cd", str(tmp_path)]).config == first


def test_dry_run_is_noted() -> None:
    """It is a flag, not a key."""
    assert parse(["--dry-run"]).dry_run
    assert not parse([]).dry_run


def test_a_run_that_goes_on_has_its_own_configuration(tmp_path: Path) -> None:
    """Keys on the command line change it."""
    first = parse(["task=BlindGrasping", "numEnvs=7", "train.resume=weights"]).config
    (tmp_path / "config.yaml").write_text(to_yaml(first))
    invocation = parse([f"resume={tmp_path}", "maxIter=77", "task=BlindGrasping"])
    assert invocation.resume == str(tmp_path)
    first.train.maxIterations = 77
    assert invocation.config == first


def test_a_run_of_another_task_does_not_go_on(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Naming the task is a check, not a choice."""
    (tmp_path / "config.yaml").write_text(to_yaml(parse(["task=BlindGrasping"]).config))
    with pytest.raises(SystemExit):
        parse([f"resume={tmp_path}", "task=BaseTask"])
    assert "is a run of task=BlindGrasping, not task=BaseTask" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["env.numEnvs=abc"], "env.numEnvs=abc"),
        (["--dryrun"], "Did you mean '--dry-run'?"),
        (["-cn"], "-cn needs a value"),
        (["--config-dir", "/nowhere"], "no such folder"),
        (["--config-dir="], "no such folder"),
        (["config=test", "-cn", "debug"], "config=test and config=debug"),
        (["resume=latest", "config=test"], "exclude each other"),
        (["resume=latest", "checkpoint=latest"], "train.checkpoint= cannot be given with it"),
        (["resume=latest", "physics=fast"], "physics= cannot be given with it"),
        (["resume=weights"], "train.resume=weights"),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(argv: List[str], words: str, capsys: pytest.CaptureFixture) -> None:
    """Nothing on standard output."""
    with pytest.raises(SystemExit) as end:
        parse(argv)
    printed = capsys.readouterr()
    assert end.value.code == 2
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert words in printed.err


def test_no_slow_import_is_needed() -> None:
    """Neither composing nor refusing imports torch, numpy or a simulator."""
    code = (
        "import sys; from dexhand.config.cli import parse; parse(['--dry-run'], print)\n"
        "print([name for name in ('torch', 'numpy', 'mujoco', 'rl_games', 'gymnasium') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
