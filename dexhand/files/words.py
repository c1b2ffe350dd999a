"""Ages and sizes in words."""


def age_in_words(seconds: float | None) -> str:
    """Format an age in the largest unit of which it has at least two."""
    if seconds is None:
        return "?"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def size_in_words(size: int | None) -> str:
    """Format a size in powers of 1000 bytes."""
    if size is None:
        return "?"
    for exponent, unit in ((9, "GB"), (6, "MB"), (3, "kB")):
        if size >= 10**exponent:
            return f"{size / 10**exponent:.1f} {unit}"
    return f"{size} B"
