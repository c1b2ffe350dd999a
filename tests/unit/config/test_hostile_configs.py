"""Configurations and command lines made to exhaust memory or time, or that once ended in a traceback."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from attack.hostile_files import CONFIGS, WORDS, symlink_loop, write_config

from dexhand.app.main import main
from dexhand.config.compose import compose
from dexhand.config.errors import ConfigError
from dexhand.hands.spec import HandError, load_hand


def refusal(words: Sequence[str], capfd: pytest.CaptureFixture[str]) -> str:
    """What the program prints on standard error for a command line that is refused."""
    assert main([*words, "--dry-run"]) == 2
    return capfd.readouterr().err


@pytest.mark.parametrize("name", CONFIGS)
def test_a_hostile_configuration_is_refused_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    """Without reading more of it than a configuration has."""
    write_config(tmp_path / f"{name}.yaml", name)
    (line,) = refusal([f"config={tmp_path / name}.yaml"], capfd).splitlines()
    assert line.startswith("error: ")
    assert len(line) < 1000


@pytest.mark.parametrize("name", ["alias_bomb", "deep_flow", "long_integer", "long_file", "no_text"])
@pytest.mark.parametrize(
    "entry", ["other", "mine/other", "{mine: other}", "{override /mine@train: other}", "/mine/other"]
)
def test_a_hostile_file_that_another_one_names_is_refused(tmp_path: Path, name: str, entry: str) -> None:
    """Hydra would read it."""
    (tmp_path / "mine").mkdir()
    for folder in (tmp_path, tmp_path / "mine"):
        write_config(folder / "other.yaml", name)
    (tmp_path / "first.yaml").write_text(f"defaults: [config, {entry}, _self_]\n")
    with pytest.raises(ConfigError, match=r"other\.yaml"):
        compose(config=str(tmp_path / "first.yaml"))


@pytest.mark.parametrize("name", ["alias_bomb", "deep_flow", "long_integer", "long_file", "no_text"])
def test_a_hostile_hand_is_refused(tmp_path: Path, name: str) -> None:
    """Its spec.yaml is read as a configuration is."""
    write_config(tmp_path / "spec.yaml", name)
    with pytest.raises(HandError, match=r"spec\.yaml cannot be read"):
        load_hand(str(tmp_path))


@pytest.mark.parametrize("word", [word for word in WORDS if word not in ("numEnvs=null",)], ids=lambda word: word[:30])
def test_a_hostile_word_is_refused_in_one_line(capfd: pytest.CaptureFixture[str], word: str) -> None:
    """Whatever it asks for."""
    (line,) = refusal([word], capfd).splitlines()
    assert line.startswith("error: ")


@pytest.mark.parametrize("key", ["config", "--config-dir", "checkpoint", "resume", "env.hand", "env.handAsset"])
def test_a_link_to_itself_is_refused_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str], key: str) -> None:
    """Wherever a path is given."""
    symlink_loop(tmp_path / "loop.yaml")
    (line,) = refusal([f"{key}={tmp_path / 'loop.yaml'}"], capfd).splitlines()
    assert "loop" in line


def test_aliases_and_long_comments_of_a_usual_size_are_read(tmp_path: Path) -> None:
    """The limits are far above what a person writes."""
    comments = "# a comment\n" * 1000
    (tmp_path / "usual.yaml").write_text(
        f"{comments}defaults: [config, _self_]\nsim: {{dt: &dt 0.01}}\ntrain: {{ppo: {{kl_threshold: *dt}}}}\n"
    )
    assert compose(config=str(tmp_path / "usual.yaml")).train.ppo.kl_threshold == 0.01
