"""Scripts that run with the stand-in in place of Isaac Gym, and the types that the adapter is checked against."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def test_a_script_can_be_run_with_the_stand_in(tmp_path: Path) -> None:
    """``python -m dexhand.mock.isaacgym SCRIPT ARGUMENTS``; modules beside the script are found."""
    (tmp_path / "beside.py").write_text("from isaacgym import gymapi\n")
    script = tmp_path / "script.py"
    script.write_text("import sys\nfrom beside import gymapi\nprint(gymapi.__name__, sys.argv[1:])\n")
    result = subprocess.run(
        [sys.executable, "-m", "dexhand.mock.isaacgym", str(script), "a=1"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    assert result.stdout.strip() == "isaacgym.gymapi ['a=1']", result.stderr


def test_the_type_stubs_are_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """``python typings/generate_isaacgym.py`` writes them."""
    monkeypatch.syspath_prepend(ROOT / "typings")
    import generate_isaacgym

    api = json.loads((ROOT / "typings" / "isaacgym_api.json").read_text(encoding="utf-8"))
    for name, content in generate_isaacgym.stubs(api).items():
        assert (ROOT / "typings" / "isaacgym" / name).read_text(encoding="utf-8") == content, name
