"""Walking through folders."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dexhand.files.folders import entries_below


def test_links_are_not_followed(tmp_path: Path) -> None:
    """One may lead back to where it is."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    (tmp_path / "folder" / "link").symlink_to(tmp_path)
    found = sorted(os.path.relpath(entry.path, tmp_path) for entry in entries_below(tmp_path))
    assert found == ["folder", "folder/file", "folder/link"]


@pytest.fixture
def few_calls() -> Iterator[int]:
    """Calls nest to this depth, so that not so many folders are needed."""
    before, limit = sys.getrecursionlimit(), 250
    sys.setrecursionlimit(limit)
    yield limit
    sys.setrecursionlimit(before)


def test_more_levels_than_calls_nest(tmp_path: Path, few_calls: int) -> None:
    """A run folder from somebody else may have them."""
    deepest = str(tmp_path)
    for _ in range(few_calls):
        deepest += "/a"
        os.mkdir(deepest)
    assert sum(1 for _ in entries_below(tmp_path)) == few_calls
