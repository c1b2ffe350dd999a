"""Isaac Gym must be imported before torch; everything else here can be imported in any order."""

import importlib
import sys

from dexhand.config.errors import ConfigError


def import_simulator_before_torch(backend: str) -> None:
    """Import Isaac Gym if ``backend`` is that. Call it before anything imports torch.

    Raises ``ConfigError`` where it is too late, or where Isaac Gym is not installed.
    """
    if backend != "isaacgym" or "isaacgym.gymapi" in sys.modules:
        return
    if "torch" in sys.modules:
        raise ConfigError(
            "sim.backend=isaacgym: torch has been imported before Isaac Gym, which then cannot work in this process. "
            "Put `import isaacgym` before the first `import torch` of your program"
        )
    try:
        importlib.import_module("isaacgym.gymapi")
    except ImportError as error:
        raise ConfigError(
            f"sim.backend=isaacgym: Isaac Gym cannot be imported ({error}). docs/gpu.md tells how to set it up "
            f"(Python 3.8, here {sys.version_info.major}.{sys.version_info.minor}); without it, "
            "`python -m dexhand.mock.isaacgym scripts/train.py ...` runs the same code on a stand-in"
        ) from None
