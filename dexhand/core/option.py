"""Declaration of configuration keys."""

from collections.abc import Sequence
from dataclasses import field
from typing import Any


def option(
    default: Any,
    help: str,
    *,
    unit: str = "",
    choices: Sequence[Any] | None = None,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    plugin: bool = False,
) -> Any:
    """Declare a configuration key. ``low`` and ``high`` are inclusive bounds, ``above`` is an exclusive lower bound.

    With ``plugin`` the value is one of ``choices`` or names user-defined code, ``path/to/file.py:Name``.
    """
    metadata = {
        "help": help,
        "unit": unit,
        "choices": choices,
        "low": low,
        "high": high,
        "above": above,
        "plugin": plugin,
    }
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: default.copy(), metadata=metadata)
    if isinstance(default, type):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)
