"""``dexhand new`` writes files that work as they are."""

import contextlib
from pathlib import Path

import pytest
from commands import SMALL, run

from dexhand import new


def write(folder: Path, *words: str) -> int:
    """Run ``dexhand new``."""
    with contextlib.chdir(folder):
        return new.main(words)


@pytest.mark.parametrize(
    ("kind", "name", "files"),
    [
        ("task", "TurnHand", ["conf/task/TurnHand.yaml", "turn_hand.py"]),
        ("env", "line", ["line.py"]),
        ("train", "MyPPO", ["conf/train/MyPPO.yaml"]),
        ("hand", "my_hand", ["my_hand/hand.xml", "my_hand/spec.yaml"]),
    ],
)
def test_what_is_written_trains(
    kind: str, name: str, files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the command that is printed."""
    assert write(tmp_path, kind, name) == 0
    assert sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.*")) == files
    *_, hint = capsys.readouterr().out.splitlines()
    program, command, *words = hint.removeprefix("Try it: ").split()
    assert (program, command) == ("dexhand", "train")
    done = run([*words, *SMALL, "maxIter=1"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor half of it written."""
    (tmp_path / "conf" / "task").mkdir(parents=True)
    (tmp_path / "conf" / "task" / "Mine.yaml").write_text("mine")
    assert write(tmp_path, "task", "Mine") == 2
    assert capsys.readouterr().err == (
        "error: conf/task/Mine.yaml is there already. Give another name, or move it away\n"
    )
    assert not (tmp_path / "mine.py").exists()


@pytest.mark.parametrize("name", ["3rd", "my task", "../there", "é", "BaseTask"])
def test_names_that_cannot_be(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says why."""
    assert write(tmp_path, "task", name) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not [*tmp_path.iterdir()]
