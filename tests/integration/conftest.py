"""Here Python programs are forks, but where a test asks for ``real_python``."""

import sys

import pytest

PYTHON = sys.executable


@pytest.fixture(autouse=True)
def programs_are_forks(forked_python: None) -> None:
    """What they do takes less time than their imports."""


@pytest.fixture
def real_python(programs_are_forks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program makes its imports itself, as a user's does, and what it starts are its children."""
    monkeypatch.setattr(sys, "executable", PYTHON)
