"""Text files with a digest in the last line, which the first line announces, so that damage is detected."""

import hashlib
import re

_FIRST = "# The configuration of a run. Its last line proves that it is complete.\n"
_LAST = re.compile(r"# sha256 ([0-9a-f]{64})\s*")


def with_digest(text: str) -> str:
    """Add a first line and the line with the digest to ``text``, which ends with a newline; both are YAML comments."""
    return f"{_FIRST}{text}# sha256 {digest_of(text)}\n"


def digest_of(text: str) -> str:
    """SHA-256 of a text without the lines that ``with_digest`` adds."""
    return hashlib.sha256(_split(text)[0].encode()).hexdigest()


def has_digest(text: str) -> bool:
    """Whether ``text`` begins like what ``with_digest`` makes."""
    return text.startswith(_FIRST)


def is_cut(text: str) -> bool:
    """Whether ``text`` is a truncated result of ``with_digest``."""
    has_begun = text.startswith(_FIRST) or (text != "" and _FIRST.startswith(text))
    return has_begun and _split(text)[1] is None


def is_changed(text: str) -> bool:
    """Whether ``text`` has a digest that does not match."""
    return _split(text)[1] not in (None, digest_of(text))


def _split(text: str) -> tuple[str, str | None]:
    """Split a text into its content and its digest."""
    content = text.removeprefix(_FIRST)
    lines = content.splitlines(keepends=True)
    last = _LAST.fullmatch(lines[-1]) if lines else None
    return (content, None) if last is None else ("".join(lines[:-1]), last.group(1))
