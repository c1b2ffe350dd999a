"""The documents name keys, files and places that exist; ``tests/journeys`` runs their commands."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dexhand import new
from dexhand.config.cli import SavedConfigs, parse
from dexhand.config.compose import compose, to_yaml
from dexhand.config.settings import SavedConfig

ROOT = Path(__file__).parents[3]
DOCUMENTS = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"^(?:python scripts/train\.py|dexhand (new|train|test))(| .*)$", re.MULTILINE)
FILE = re.compile(r"`([\w/]+\.(?:py|yaml))`[^`\n]*:\n\n```(?:python|yaml)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BUILT_IN_HAND = ROOT / "dexhand" / "hands" / "dexhand021_right"
ELSEWHERE = re.compile(r"path/to/\S+\.xml")
"""The file of a hand that the reader has."""
RUN = "runs/latest_train/config.yaml"


class OneRun(SavedConfigs):
    """A workspace in which every name means ``RUN``."""

    def to_resume(self, spec: str, runs_dir: str) -> Path:
        return Path(RUN).resolve()

    def behind(self, checkpoint: str, runs_dir: str) -> SavedConfig | None:
        return SavedConfig(Path(RUN).resolve())


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with the examples and a run."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / RUN).parent.mkdir(parents=True)
    (tmp_path / RUN).write_text(to_yaml(compose(["task=BaseTask"])))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name, module in [*sys.modules.items()]:  # another document may have a file of the same name
        if (getattr(module, "__file__", None) or "").startswith(f"{tmp_path}/"):
            del sys.modules[name]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_its_training_commands_are_understood(document: str, clone: Path) -> None:
    """Each composes; the files that the reader is to write are there."""
    text = (ROOT / document).read_text()
    for name, content in FILE.findall(text):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text(content)
    for block in re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for mode, line in COMMAND.findall(block.replace(" && ", "\n")):
            words = shlex.split(ELSEWHERE.sub(str(BUILT_IN_HAND / "hand.xml"), line), comments=True)
            if mode == "new":
                assert new.main(words) == 0, line
            else:
                assert parse([*words, "test=true"] if mode == "test" else words, OneRun()), line


@pytest.mark.parametrize("document", DOCUMENTS)
def test_its_links_lead_somewhere(document: str) -> None:
    """No link to a file that is not there."""
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / document).read_text()):
        assert ((ROOT / document).parent / target).exists(), f"{document} links to {target}, which does not exist"
