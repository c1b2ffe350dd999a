"""Optional packages that a configuration needs, looked for without importing anything."""

import importlib.util

from dexhand.config.errors import ConfigError
from dexhand.config.schema import Config

_SIMULATORS = {
    "mujoco_warp": "MuJoCo Warp is not installed: pip install 'dexhand[warp]'",
    "isaacgym": "Isaac Gym needs Python 3.8, which this version cannot run in a separate process yet. Use "
    "sim.backend=mujoco_warp or mujoco, or try the back-end on a stand-in: python -m dexhand.mock.isaacgym "
    "scripts/train.py ... (docs/gpu.md)",
}
"""How to install each optional simulator."""


def is_installed(package: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(package) is not None


def check_installed(config: Config) -> None:
    """Raise ``ConfigError``, with the install command, if a package that ``config`` asks for is not installed."""
    backend, train = config.sim.backend, config.train
    if backend in _SIMULATORS and config.env.factory is None and not is_installed(backend):
        raise ConfigError(f"sim.backend={backend}: {_SIMULATORS[backend]}")
    if train.wandb.enabled and not is_installed("wandb"):
        raise ConfigError("train.wandb.enabled=true: Weights & Biases is not installed: pip install 'dexhand[wandb]'")
