"""``--dexhand-env``: which factories are taken, and what a stranger reads of a faulty environment."""

import importlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dexhand.mock.env import MockEnv
from dexhand.testing import env_suite
from dexhand.testing.env_option import factory_of, with_a_number
from dexhand.testing.vec_env import VecEnvConformance

Check = Callable[..., pytest.RunResult]

STRANGER = """
import torch
from dexhand.mock.env import MockEnv

sound = MockEnv

class Late(MockEnv):
    def step(self, actions):
        observations, *rest = super().step(actions)
        return (rest[-1]["final_observation"], *rest)

    def reset(self, seed=None):
        return super().reset(seed)[0].double(), {}

    render = None

class Broken(MockEnv):
    def reset(self, seed=None):
        return self.positions, {}

NUMBER = 5
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stranger's folder, which is forgotten as a place of modules afterwards."""
    (tmp_path / "stranger.py").write_text(STRANGER)
    (tmp_path / "needy.py").write_text("\nimport no_such_package_anywhere\n")
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "modules", sys.modules.copy())
    return tmp_path


class TestFactory:
    @pytest.mark.parametrize("spec", ["stranger:sound", "stranger.py:sound"])
    def test_a_module_of_the_working_directory_is_found(self, spec: str, folder: Path) -> None:
        """By its name or its file."""
        assert factory_of(spec, folder) is MockEnv

    @pytest.mark.parametrize(
        ("spec", "words"),
        [
            ("stranger", r"--dexhand-env=stranger is unknown\. Expected package\.module:Name or path"),
            ("stranger:", "--dexhand-env=stranger: is unknown"),
            ("stranger:soud", "stranger has no soud. It has: Late, Broken"),
            ("stranger:NUMBER", "NUMBER is 5, which cannot be called"),
            ("strangers:sound", "cannot be imported: No module named 'strangers'. Start in the folder"),
            ("strangers.py:sound", "there is no file .*strangers.py"),
            ("needy:make", "No module named 'no_such_package_anywhere' .*needy.py, line 2"),
        ],
    )
    def test_what_names_no_factory_is_one_clear_line(self, spec: str, words: str, folder: Path) -> None:
        """With what there is, or where it failed."""
        with pytest.raises(pytest.UsageError, match=words) as error:
            factory_of(spec, folder)
        assert "\n" not in str(error.value)

    def test_the_number_is_handed_over_by_name_or_first(self) -> None:
        """Whatever the other parameters are."""

        def by_name(device: str = "cpu", *, num_envs: int) -> Any:
            return device, num_envs

        assert with_a_number(by_name)(4) == ("cpu", 4)
        assert with_a_number(lambda n: n + 1)(4) == 5
        assert with_a_number(MockEnv)(4).num_envs == 4

    def test_a_factory_without_a_number_skips_the_checks_that_need_another(self) -> None:
        """It is called for the suite's own."""
        factory = with_a_number(lambda: "three")
        assert factory(3) == "three"
        with pytest.raises(pytest.skip.Exception, match="takes no number of environments"):
            factory(5)


class TestReport:
    @pytest.fixture
    def check(self, folder: Path, pytester: pytest.Pytester) -> Check:
        """Runs pytest in the stranger's folder."""

        def run(*arguments: str) -> pytest.RunResult:
            os.chdir(folder)  # pytester returns to where it was
            importlib.reload(env_suite)  # the suite's class remembers what an environment did, for one run of pytest
            return pytester.runpytest_inprocess("-p", "dexhand.testing.plugin", "-p", "no:cacheprovider", *arguments)

        return run

    def test_failures_are_sentences_beside_reasons_for_skips(self, folder: Path, check: Check) -> None:
        """No line of the suite's own code; the folder's other tests are not run."""
        (folder / "test_other.py").write_text("def test_other():\n    raise SystemExit\n")
        result = check("--dexhand-env=stranger:Late", "-rs")
        assert result.ret == 1
        for words in (
            "dexhand: the environment that stranger:Late makes, against the contract VecEnv",
            "reset's observations must be torch.float32, not torch.float64 (in reset).",
            "After episode 1 of environment",
            "An environment whose episode ends is reset within the same step",
            "the environment has no render: it cannot be watched",
            "stranger:Late ",
        ):
            assert words in result.stdout.str()
        for words in ("def test_", "assert ", "Traceback", "test_other"):
            assert words not in result.stdout.str()

    def test_what_the_environment_raises_is_told_with_its_place(self, check: Check) -> None:
        """Once; everything else is skipped with a pointer to it."""
        result = check("--dexhand-env=stranger:Broken")
        assert (
            "env.reset(seed=1) raised AttributeError: 'Broken' object has no attribute 'positions'"
            in result.stdout.str()
        )
        line = 1 + STRANGER.splitlines().index("        return self.positions, {}")
        assert f"stranger.py, line {line})" in result.stdout.str()
        assert re.search(r"= 1 failed, \d+ skipped\b", result.stdout.str())

    def test_paths_that_are_given_are_run_too(self, folder: Path, check: Check) -> None:
        """And a sound environment passes; it has no critic observations to check."""
        (folder / "test_other.py").write_text("def test_other():\n    pass\n")
        result = check("--dexhand-env=stranger:sound", "test_other.py", "-q")
        checks = len([name for name in dir(VecEnvConformance) if name.startswith("test_")])
        assert f"{checks} passed, 1 skipped" in result.stdout.str()
        assert result.ret == 0
