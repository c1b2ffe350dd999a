"""The error for a configuration that cannot work, and suggestions for misspelled words."""

import difflib
from collections.abc import Iterable


class ConfigError(ValueError):
    """A configuration cannot work. The message is one line: key, value, what is allowed, what to do."""


def unknown(given: str, word: object, known: Iterable[str], hint: str = "") -> ConfigError:
    """The error for ``word``, which is none of the ``known`` words, in ``given`` (``task=BaseTsk``)."""
    known = list(known)
    return ConfigError(
        f"{given} is unknown. Known: {', '.join(known) or 'none'}.{did_you_mean(str(word), known)}{hint}"
    )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` for the nearest known word, or an empty string if none is near."""
    nearest = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, or its type."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
