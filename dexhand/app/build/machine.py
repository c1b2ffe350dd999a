"""Simulator and device that a configuration selects on this machine, and process-wide settings."""

import importlib.util
import random

import numpy as np
import torch

from dexhand.app.build.plugins import load_plugins
from dexhand.config.errors import ConfigError
from dexhand.config.schema import Config


def backend_of(config: Config) -> str:
    """Return the simulator to use. Raises ``ConfigError``, with the install command, if it is not installed."""
    backend = config.sim.backend
    if backend == "auto":
        on_gpu = config.env.device != "cpu" and _has_gpu()
        backend = "mujoco_warp" if on_gpu and is_installed("mujoco_warp") else "mujoco"
    if backend in INSTALL and not is_installed(backend):
        raise ConfigError(f"sim.backend={config.sim.backend}: {INSTALL[backend]}")
    return backend


INSTALL = {
    "mujoco_warp": "MuJoCo Warp is not installed: pip install 'dexhand[warp]'",
    "isaacgym": "Isaac Gym needs Python 3.8, which this version cannot run in a separate process yet. Use "
    "sim.backend=mujoco_warp or mujoco, or try the back-end on a stand-in: python -m dexhand.mock.isaacgym "
    "scripts/train.py ... (docs/gpu.md)",
}
"""How to install each optional simulator."""


def is_installed(package: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(package) is not None


def _has_gpu() -> bool:
    return torch.cuda.is_available()


def device_of(config: Config) -> torch.device:
    """Return the device of all tensors. Raises ``ConfigError`` if this machine or the simulator does not support it."""
    wanted = config.env.device
    backend = backend_of(config) if config.env.factory is None else "env.factory"
    if wanted == "auto":
        return torch.device("cuda:0" if backend in ("mujoco_warp", "isaacgym") and _has_gpu() else "cpu")
    device = torch.device(wanted)
    if device.type == "cpu":
        return device
    count = torch.cuda.device_count() if _has_gpu() else 0
    index = device.index or 0
    if index >= count:
        raise ConfigError(
            f"env.device={wanted}: torch finds {count} NVIDIA GPUs here. Use env.device=auto or env.device=cpu"
        )
    if backend == "mujoco":
        raise ConfigError(
            f"env.device={wanted}: sim.backend=mujoco works on the CPU. Use env.device=cpu, or sim.backend=mujoco_warp"
        )
    return torch.device("cuda", index)


def check_machine(config: Config) -> None:
    """Raise ``ConfigError`` if this machine lacks something that the configuration needs; builds nothing."""
    load_plugins(config)
    device_of(config)
    if config.train.wandb.enabled and not config.train.test and not is_installed("wandb"):
        raise ConfigError("train.wandb.enabled=true: Weights & Biases is not installed: pip install 'dexhand[wandb]'")


def set_up_process(config: Config) -> None:
    """Apply process-wide settings: torch's thread count and determinism, and the global seeds."""
    torch.set_num_threads(config.train.torchThreads)
    torch.set_deterministic_debug_mode("error" if config.train.torchDeterministic else "default")
    torch.manual_seed(config.train.seed)
    np.random.seed(config.train.seed)
    random.seed(config.train.seed)
