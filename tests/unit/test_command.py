"""The command ``dexhand``, and what ``import dexhand`` offers."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import dexhand
from dexhand.app import main as app
from dexhand.command import COMMANDS, run


def test_help_lists_every_command_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    """The same without a word."""
    for words in ([], ["--help"]):
        assert run(words) == 0
        page = capsys.readouterr().out
        assert all(f"\n  {name} " in page and f"dexhand {name}" in page for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """``--help`` gives the usage and no error."""
    with pytest.raises(SystemExit) as end:
        sys.exit(run([name, "--help"]))
    assert not end.value.code
    assert "usage: dexhand" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["trian"], "Did you mean 'train'?"),
        (["task=BaseTask", "maxIter=2"], "Write dexhand train task=BaseTask ..."),
        (["--dry-run"], "Write dexhand train --dry-run ..."),
        (["--verison"], "Did you mean '--version'?"),
        (["train", "BlindGrasping"], "Write task=BlindGrasping"),
        (["test", "latest"], "such as task=BaseTask or checkpoint=latest"),
        (["train", "--numEnvs", "4"], "keys have no dashes. Write numEnvs=VALUE"),
        (["test", "test=false"], "two spellings of train.test with different values"),
    ],
)
def test_mistakes_are_refused(words: list[str], answer: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line that says what to write."""
    assert run(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert answer in error


def test_train_is_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    """The words mean the same, and so does a mistake in them."""
    pages = []
    for main, words in ((run, ["train"]), (app.main, [])):
        assert main([*words, "task=BoxGrasping", "numEnvs=3", "--dry-run"]) == 0
        assert main([*words, "numEnvz=3"]) == 2
        pages.append(capsys.readouterr())
    assert pages[0] == pages[1]


def test_test_and_watch_begin_with_a_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    """Which the user's own replaces; the run is a test all the same."""
    shown = {}
    for words in (["test"], ["watch"], ["test", "config=debug"]):
        assert run([*words, "--cfg", "job"]) == 0
        shown[" ".join(words)] = capsys.readouterr().out.splitlines()
    assert all("  test: true" in lines for lines in shown.values())
    assert "  checkpoint: latest" in shown["test"]
    assert {"  testGamesNum: 0", "  videoStream: true"} <= set(shown["watch"])
    assert "  checkpoint: null" in shown["test config=debug"]


def test_an_exported_configuration_can_be_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``config=FILE`` composes what was printed."""
    assert run(["export-config", "task=BlindGrasping", "physics=fast"]) == 0
    exported = capsys.readouterr().out
    (tmp_path / "mine.yaml").write_text(exported)
    assert run(["export-config", f"config={tmp_path / 'mine.yaml'}"]) == 0
    assert capsys.readouterr().out == exported


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """That of the installed package."""
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"dexhand {version('dexhand')}\n"
    assert dexhand.__version__ == version("dexhand")


def test_the_package_shows_what_is_public() -> None:
    """And imports nothing slow for it."""
    code = (
        "import sys, dexhand; print(dir(dexhand), *{'torch', 'hydra', 'numpy'} & {*sys.modules}); dexhand.ConfigError"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['ConfigError', '__version__', 'load_policy', 'make']\n"
    assert all(hasattr(dexhand, name) for name in dexhand.__all__)
    with pytest.raises(AttributeError, match="no attribute 'mak'"):
        _ = dexhand.mak
