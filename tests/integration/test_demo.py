"""``dexhand demo`` shows moving hands in the browser."""

import re
import urllib.request
from pathlib import Path

import pytest
from commands import Running, run

from dexhand.demo.main import main


def test_it_opens_a_page_and_ends_at_a_signal(tmp_path: Path) -> None:
    """And leaves no files."""

    def meanwhile(demo: Running) -> None:
        line = demo.wait_for("^Open http")
        (url,) = re.findall(r"http\S+", line)
        assert urllib.request.urlopen(url, timeout=30).status == 200
        demo.signal()

    done = run(["numEnvs=1"], tmp_path, meanwhile, main)
    assert (done.returncode, done.stderr) == (0, "")
    assert not [*tmp_path.iterdir()]


def test_it_ends_by_itself_after_some_seconds(tmp_path: Path) -> None:
    """``--seconds``, among settings."""
    done = run(["--seconds", "0.1", "numEnvs=1"], tmp_path, main=main)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", [["task=BaseTask"], ["numEnvs=none"], ["env.hand=nobody"]])
def test_settings_that_it_does_not_have(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """One line."""
    assert main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1
