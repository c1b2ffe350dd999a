"""Ages and sizes are given in words."""

import pytest

from dexhand.files.words import age_in_words, size_in_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "?"), (-5, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172800, "2 d")],
)
def test_ages(seconds: float | None, words: str) -> None:
    """In the largest unit of which there are two."""
    assert age_in_words(seconds) == words


@pytest.mark.parametrize(
    ("size", "words"), [(None, "?"), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (3.6e6, "3.6 MB"), (2e9, "2.0 GB")]
)
def test_sizes(size: int | None, words: str) -> None:
    """In powers of 1000."""
    assert size_in_words(size) == words
