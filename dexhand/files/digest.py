"""Text files that prove that they are complete: the last line is a digest, and the first one says that there is one."""

import hashlib
import re

_FIRST = "# The configuration of a run. Its last line proves that it is complete.\n"
_LAST = re.compile(r"# sha256 ([0-9a-f]{64})\s*")


def with_digest(text: str) -> str:
    """``text``, which ends with a newline, between a first line and the line of its digest; both are YAML comments."""
    return f"{_FIRST}{text}# sha256 {digest_of(text)}\n"


def digest_of(text: str) -> str:
    """SHA-256 of a text; what ``with_digest`` adds to it does not count."""
    return hashlib.sha256(_split(text)[0].encode()).hexdigest()


def has_digest(text: str) -> bool:
    """Whether ``text`` begins like what ``with_digest`` makes."""
    return text.startswith(_FIRST)


def is_cut(text: str) -> bool:
    """Whether ``text`` is the beginning of what ``with_digest`` made; never, for a text made without it."""
    has_begun = text.startswith(_FIRST) or (text != "" and _FIRST.startswith(text))
    return has_begun and _split(text)[1] is None


def is_changed(text: str) -> bool:
    """Whether ``text`` ends with a digest of something else."""
    return _split(text)[1] not in (None, digest_of(text))


def _split(text: str) -> tuple[str, str | None]:
    """The content of a file, and the digest at its end."""
    content = text.removeprefix(_FIRST)
    lines = content.splitlines(keepends=True)
    last = _LAST.fullmatch(lines[-1]) if lines else None
    return (content, None) if last is None else ("".join(lines[:-1]), last.group(1))
