"""Run folders from somebody else whose configuration names code: none of it is executed."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from findings import Attack
from forks import TINY, program, run, tiny

from dexhand.config.keys import all_keys
from dexhand.files.digest import with_digest

CANARY = """
import pathlib
pathlib.Path({sign!r}).touch()
from dexhand.mock.task import MockTask as Task, MockTask as Thing
"""
"""A module that leaves a sign when it is imported."""
OTHER_PLACES = ("hydra.searchpath", "hydra.job.chdir", "_target_", "env._target_", "defaults", "train.trustCheckpoint")
"""Keys of Hydra, and the key that trusts."""
TASKS = {
    "hand": TINY,
    "gymnasium": ["task=gymnasium:Pendulum-v1", *(word for word in tiny() if not word.startswith(("sim.", "task.")))],
}
"""A training of each kind of task."""


@pytest.fixture(params=TASKS)
def run_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A run in ``theirs/``, with the module ``canary`` beside its configuration and as a package."""
    assert run(program(*TASKS[request.param], "maxIter=1"), tmp_path).code == 0
    folder = tmp_path / "theirs"
    shutil.move((tmp_path / "runs" / "latest_train").resolve(), folder)
    shutil.rmtree(tmp_path / "runs")
    shutil.rmtree(tmp_path / "runs_all")
    code = CANARY.format(sign=str(tmp_path / "executed"))
    (folder / "canary.py").write_text(code)
    (folder / "__init__.py").write_text(code)
    (folder / "hand").mkdir()
    (folder / "hand" / "spec.yaml").write_text(f"x: !!python/object/apply:os.mknod [{tmp_path / 'executed'}]\n")
    return folder


def with_value(config: Mapping[str, Any], name: str, value: Any) -> str:
    """A run's ``config.yaml`` with another value of a key."""
    changed = yaml.safe_load(yaml.safe_dump(config))
    *path, last = name.split(".")
    section = changed
    for part in path:
        section = section.setdefault(part, {})
    section[last] = value
    return with_digest(yaml.safe_dump(changed))


def test_nothing_that_a_run_names_is_executed(attack: Attack, run_folder: Path, tmp_path: Path) -> None:
    """Under any key, however it is named, whatever is done with the run; with trust, it is, which shows that it could.

    One in four is used from another working folder.
    """
    config = yaml.safe_load((run_folder / "config.yaml").read_text())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    executed = tmp_path / "executed"
    named = [key.name for key in all_keys().values() if key.names is not None]
    texts = [key.name for key in all_keys().values() if key.type is str or "str" in str(key.type)]
    texts += ["task.id", "task.kwargs.x", "task.kwargs.xml_file"] * (config["task"]["name"] == "gymnasium")
    count, trusted = attack.times(300), 0
    for number in range(count):
        key = attack.draw.choice((named, named, named, texts, OTHER_PLACES)[number % 5])
        file = attack.draw.choice(("theirs/canary.py", str(run_folder / "canary.py"), "canary.py"))
        spelled = [f"{file}:Thing", file, "theirs.canary:Thing", "theirs:Thing", "theirs.canary", "pkg://theirs"]
        others = [str(run_folder / "hand"), "theirs/hand", f"${{oc.env:{file}}}", "theirs.canary:Pendulum-v1"]
        value: Any = attack.draw.choice((*spelled, *spelled, *others))
        is_list = key in all_keys() and all_keys()[key].is_list
        (run_folder / "config.yaml").write_text(with_value(config, key, [value] if is_list else value))
        folder = tmp_path if number % 4 else elsewhere
        place = attack.draw.choice((run_folder, run_folder / "nn" / "latest.pth"))
        commands = [
            ["test=true", f"checkpoint={place}", "testGamesNum=1", "reloadInterval=0"],
            [f"resume={place}", "maxIter=2"],
            [f"config={run_folder / 'config.yaml'}", "maxIter=1"],
        ]
        words = attack.draw.choice(commands)
        words += attack.draw.choice(([], ["--dry-run"]))
        end = run(program(*words), folder)
        if executed.exists():
            attack.found(f"{key}={value}, {' '.join(words)}: executed, {end.tail[-200:]}")
            executed.unlink()
        if end.problem:
            attack.found(f"{key}={value}, {' '.join(words)}: {end.problem}")
        if key in named and "--dry-run" not in words:
            run(program(*words, "train.trustCheckpoint=true"), folder)
            trusted += executed.exists()
            executed.unlink(missing_ok=True)
        for left in ("runs", "runs_all"):
            shutil.rmtree(folder / left, ignore_errors=True)
    attack.report("foreign runs that name code", count)
    attack.report("foreign runs: executed, with trust", trusted)
    if attack.share >= 0.3 and not trusted:
        attack.found("no code was executed even with trust: the attack reaches nothing")
    attack.conclude()
