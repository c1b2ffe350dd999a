"""GPU tests are never silently missing."""

import pytest

from dexhand.testing import plugin

GPU_TEST = """
import pytest

@pytest.mark.gpu
def test_on_the_gpu():
    pass

def test_elsewhere():
    pass
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project that uses the plugin on a machine without a GPU."""
    monkeypatch.setattr(plugin, "missing_gpu", lambda: "needs an NVIDIA GPU: there is none")
    pytester.makeconftest('pytest_plugins = ["dexhand.testing.plugin"]')
    pytester.makepyfile(GPU_TEST)
    return pytester


def test_without_a_gpu_they_are_skipped_with_the_reason(project: pytest.Pytester) -> None:
    """The others run."""
    result = project.runpytest("-rs", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*needs an NVIDIA GPU: there is none*"])


def test_with_require_gpu_they_fail_instead(project: pytest.Pytester) -> None:
    """For runners that are there to have one; the reason is the same."""
    result = project.runpytest("--require-gpu", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*--require-gpu: needs an NVIDIA GPU: there is none*"])


def test_with_a_gpu_they_run(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is skipped."""
    monkeypatch.setattr(plugin, "missing_gpu", lambda: None)
    project.runpytest("--require-gpu", "-p", "no:cacheprovider").assert_outcomes(passed=2)
