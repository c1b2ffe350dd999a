"""GPU tests are never silently missing."""

import sys

import pytest

from dexhand.testing import plugin

GPU_TEST = """
import pytest

@pytest.mark.gpu
def test_on_the_gpu():
    pass

@pytest.mark.gpu("mujoco_warp")
def test_with_warp():
    pass

def test_elsewhere():
    pass
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project that uses the plugin on a machine with neither a GPU nor MuJoCo Warp."""
    monkeypatch.setitem(plugin.REQUIREMENTS, "cuda", lambda: "needs a GPU: there is none")
    monkeypatch.setitem(plugin.REQUIREMENTS, "mujoco_warp", lambda: "needs MuJoCo Warp: it is not installed")
    pytester.makeconftest('pytest_plugins = ["dexhand.testing.plugin"]')
    pytester.makepyfile(GPU_TEST)
    return pytester


def test_without_a_gpu_they_are_skipped_with_all_reasons(project: pytest.Pytester) -> None:
    """The others run."""
    result = project.runpytest("-rs", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(["*needs a GPU: there is none; needs MuJoCo Warp: it is not installed*"])


def test_with_require_gpu_they_fail_instead(project: pytest.Pytester) -> None:
    """For runners that are there to have one; the reason is the same."""
    result = project.runpytest("--require-gpu", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(["*--require-gpu=cuda: needs a GPU: there is none*"])


def test_a_gpu_alone_leaves_tests_of_a_missing_simulator_skipped(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless that simulator is required by name."""
    monkeypatch.setitem(plugin.REQUIREMENTS, "cuda", lambda: None)
    project.runpytest("--require-gpu", "-p", "no:cacheprovider").assert_outcomes(passed=2, skipped=1)
    result = project.runpytest("--require-gpu=mujoco_warp", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*--require-gpu=mujoco_warp: needs MuJoCo Warp: it is not installed*"])


def test_with_everything_they_run(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is skipped."""
    for need in ("cuda", "mujoco_warp"):
        monkeypatch.setitem(plugin.REQUIREMENTS, need, lambda: None)
    project.runpytest("--require-gpu=mujoco_warp", "-p", "no:cacheprovider").assert_outcomes(passed=3)


def test_an_unknown_requirement_is_refused(project: pytest.Pytester) -> None:
    """With those that are known."""
    result = project.runpytest("--require-gpu=isaacsim", "-p", "no:cacheprovider")
    result.stderr.fnmatch_lines(["*--require-gpu=isaacsim is unknown. Known: cuda, mujoco_warp, isaacgym*"])


def test_the_stand_in_does_not_count_as_isaac_gym() -> None:
    """What is verified against it is not verified on the real one."""
    if sys.modules["isaacgym"].__name__ == "isaacgym":
        pytest.skip("the real Isaac Gym is installed")
    assert "needs Isaac Gym" in (plugin.REQUIREMENTS["isaacgym"]() or "")
