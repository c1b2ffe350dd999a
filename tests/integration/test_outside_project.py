"""Outsiders: the example project and the documented check of a faulty environment, in processes of their own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "examples" / "outside_project"


def run(command: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command that begins with ``pytest``, with the plugin that an installation has."""
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", *command.split(), "-p", "dexhand.testing.plugin"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
        text=True,
        stdout=subprocess.PIPE,
        check=False,
    )


def test_the_commands_of_its_readme_work(tmp_path: Path) -> None:
    """Somewhere else, with nothing of this repository's own settings."""
    project = Path(shutil.copytree(PROJECT, tmp_path / "outside"))
    blocks = re.findall(r"```bash\n(.*?)\n```", (project / "README.md").read_text())
    assert blocks[0].startswith("pip install")
    assert blocks[1:] == ["pytest", "pytest --dexhand-env=pendulum.env:PendulumEnv"]
    for command in blocks[1:]:
        result = run(command, project)
        assert result.returncode == 0, result.stdout
        assert int(re.findall(r"(\d+) passed", result.stdout)[0]) > 30


def test_the_document_shows_what_is_said_of_a_faulty_environment(tmp_path: Path) -> None:
    """Word for word, but for the numbers: every line of the excerpt is in the output."""
    document = (ROOT / "docs" / "testing.md").read_text()
    (program,) = re.findall(r"in `drone.py`:\n\n```python\n(.*?)```", document, re.DOTALL)
    (excerpt,) = re.findall(r"```text\n(.*?)```", document, re.DOTALL)
    (tmp_path / "drone.py").write_text(program)
    result = run("pytest --dexhand-env=drone:Drone", tmp_path)
    assert result.returncode == 1
    said = without_numbers(result.stdout).splitlines()
    missing = [line for line in without_numbers(excerpt).splitlines() if line not in said]
    assert not missing


def without_numbers(text: str) -> str:
    """The same on every machine."""
    return re.sub(r"-?\d+\.\d+", "0.0", text)
