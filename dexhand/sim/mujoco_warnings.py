"""MuJoCo's own warnings, which it would otherwise print and append to a file in the working folder."""

import logging
import re

import mujoco

log = logging.getLogger(__name__)

_logged: set[str] = set()


def log_mujoco_warnings() -> None:
    """Log each kind of MuJoCo's warnings once in this process."""
    mujoco.set_mju_user_warning(_log)


def _log(text: str) -> None:
    """Called by MuJoCo, also from its threads."""
    kind = re.sub(r"\d.*", "", text, flags=re.DOTALL)
    if kind not in _logged:
        _logged.add(kind)
        log.warning("MuJoCo: %s", " ".join(text.split()))
