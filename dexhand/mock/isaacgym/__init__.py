"""A stand-in for Isaac Gym Preview 4, which is closed, needs Python 3.8 and a GPU, and cannot run in CI.

Its names and signatures are the real ones. Underneath is MuJoCo where it is installed, the mock simulator's kinematics
elsewhere. What the real one answers with a crash or with garbage (a call out of order, an index of the wrong domain, a
tensor on the wrong device) raises ``IsaacGymMisuse``.

``install()`` makes ``import isaacgym`` find it; ``python -m dexhand.mock.isaacgym SCRIPT ...`` runs a script that way.
"""

import importlib
import sys

_MODULES = ("gymapi", "gymtorch", "torch_utils")


def install() -> None:
    """Make ``import isaacgym`` find the stand-in in this process.

    Raises ``ImportError`` if torch has been imported before, as the real package does.
    """
    package = sys.modules[__name__]
    if sys.modules.get("isaacgym") is package:
        return
    if "torch" in sys.modules:
        raise ImportError("torch was imported before isaacgym: import isaacgym first")
    sys.modules["isaacgym"] = package
    for name in _MODULES:
        sys.modules[f"isaacgym.{name}"] = importlib.import_module(f"{__name__}.{name}")
