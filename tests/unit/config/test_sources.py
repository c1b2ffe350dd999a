"""Reading the YAML files of configurations."""

import io
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from dexhand.config.errors import ConfigError
from dexhand.config.sources import BUILT_IN, read_yaml

BUILT_IN_FILES = sorted(file for folder in BUILT_IN for file in folder.rglob("*.yaml"))
SCALARS = """\
1e3 1E-3 1_000 1_000.5 .5 -.5e+3 1. +.inf .nan 0x1F 0o17 017 0b101 1:30 1:30.5 12e03 -0 2024-01-01
2024-01-01T10:00:00Z yes off True null ~ '' '1e3' "\\u00e9" ${a.b} é""".split()  # noqa: SIM905
COMPOSITE = ["[1e3, {b: 2}]", "&x {b: 1}\nc: *x", "{<<: {b: 1}, c: 2}", "|\n  text\n"]


@pytest.mark.parametrize("file", BUILT_IN_FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_built_in_files_are_read_as_omegaconf_reads_them(file: Path) -> None:
    """With the same values of the same types in the same order."""
    assert repr(read_yaml(file)) == repr(OmegaConf.to_container(OmegaConf.load(file)))


@pytest.mark.parametrize("scalar", [*SCALARS, *COMPOSITE])
def test_values_are_read_as_omegaconf_reads_them(tmp_path: Path, scalar: str) -> None:
    """Not as plain YAML: 1e3 is a number and 2024-01-01 a word."""
    text = f"a: {scalar}\n"
    (tmp_path / "my.yaml").write_text(text, encoding="utf-8")
    assert repr(read_yaml(tmp_path / "my.yaml")) == repr(OmegaConf.to_container(OmegaConf.load(io.StringIO(text))))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: found duplicate key a"),
        ("a: [1\nb: 2\n", "line 2: "),
        (
            "a: !!python/name:os.system x\n",
            "line 1: the tag 'tag:yaml.org,2002:python/name:os.system' is not supported",
        ),
        ("a: 1\n---\nb: 2\n", "line 2: but found another document"),
        ("5\n", "expected keys with values"),
        ("[1, 2]\n", "expected keys with values"),
    ],
)
def test_what_omegaconf_does_not_read_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    """With the line, where there is one."""
    (tmp_path / "my.yaml").write_text(text)
    with pytest.raises(ConfigError) as error:
        read_yaml(tmp_path / "my.yaml")
    assert problem in str(error.value)
