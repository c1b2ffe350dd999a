"""What is said when a configuration cannot work."""

import difflib
from collections.abc import Iterable


class ConfigError(ValueError):
    """The configuration cannot work. One line: the key, its value, what is allowed, what to do."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` for the nearest known word, or nothing where none is near."""
    nearest = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""
