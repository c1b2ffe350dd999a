"""Outsiders: the example project and the documented check of a faulty environment, as pytest runs of their own."""

import importlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dexhand.testing import env_suite

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "examples" / "outside_project"

Run = Callable[[str, Path], pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, trained_checkpoint: Path) -> Run:
    """Runs a command that begins with ``pytest`` in a folder, with the plugin that an installation has.

    All this in this process; pytester makes it forget what the run imports, which torch's compiler would not survive.
    The training behind ``trained_checkpoint`` has imported that.
    """

    def run_here(command: str, folder: Path) -> pytest.RunResult:
        os.chdir(folder)  # pytester returns to where it was
        importlib.reload(env_suite)  # its class remembers what an environment did, for one run of pytest
        return pytester.runpytest_inprocess("-p", "dexhand.testing.plugin", *command.split()[1:])

    return run_here


def test_the_commands_of_its_readme_work(run: Run, tmp_path: Path) -> None:
    """Somewhere else, with nothing of this repository's own settings."""
    project = Path(shutil.copytree(PROJECT, tmp_path / "outside"))
    blocks = re.findall(r"```bash\n(.*?)\n```", (project / "README.md").read_text())
    assert blocks[0].startswith("pip install")
    assert blocks[1:] == ["pytest", "pytest --dexhand-env=pendulum.env:PendulumEnv"]
    for command in blocks[1:]:
        result = run(command, project)
        assert result.ret == 0
        assert result.parseoutcomes()["passed"] > 30


def test_the_document_shows_what_is_said_of_a_faulty_environment(run: Run, tmp_path: Path) -> None:
    """Word for word, but for the numbers: every line of the excerpt is in the output."""
    document = (ROOT / "docs" / "testing.md").read_text()
    (program,) = re.findall(r"in `drone.py`:\n\n```python\n(.*?)```", document, re.DOTALL)
    (excerpt,) = re.findall(r"```text\n(.*?)```", document, re.DOTALL)
    (tmp_path / "drone.py").write_text(program)
    result = run("pytest --dexhand-env=drone:Drone", tmp_path)
    assert result.ret == 1
    said = without_numbers(result.stdout.str()).splitlines()
    missing = [line for line in without_numbers(excerpt).splitlines() if line not in said]
    assert not missing


def without_numbers(text: str) -> str:
    """The same on every machine."""
    return re.sub(r"-?\d+\.\d+", "0.0", text)
