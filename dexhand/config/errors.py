"""The error for a configuration that cannot work, and suggestions for misspelled words."""

import difflib
from collections.abc import Iterable


class ConfigError(ValueError):
    """A configuration cannot work. The message is one line: key, value, what is allowed, what to do."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` for the nearest known word, or an empty string if none is near."""
    nearest = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""
