"""Declaration of configuration keys."""

from collections.abc import Sequence
from dataclasses import field
from typing import Any, Literal

Names = Literal["code", "module", "files"]
"""What a value may name outside the configuration: ``path/to/file.py:Name``, a module, or files to read."""


def option(
    default: Any,
    help: str,
    *,
    unit: str = "",
    choices: Sequence[Any] | None = None,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    names: Names | None = None,
) -> Any:
    """Declare a configuration key. ``low`` and ``high`` are inclusive bounds, ``above`` is an exclusive lower bound.

    With ``names`` the value may name something of the user's own beside ``choices``; a run from somebody else may not
    (``dexhand.config.trust``).
    """
    metadata = {
        "help": help,
        "unit": unit,
        "choices": choices,
        "low": low,
        "high": high,
        "above": above,
        "names": names,
    }
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: default.copy(), metadata=metadata)
    if isinstance(default, type):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)
