"""Simulator and device that a configuration selects on this machine, and process-wide settings."""

import logging
import os
import random

import numpy as np
import torch

from dexhand.app.build.plugins import load_plugins
from dexhand.app.installed import check_installed, is_installed
from dexhand.config.errors import ConfigError
from dexhand.config.schema import BACKENDS, Config

log = logging.getLogger(__name__)


def backend_of(config: Config) -> str:
    """Return the simulator to use, or the kind of a task that needs none.

    Raises ``ConfigError``, with the install command, if it is not installed.
    """
    check_installed(config)
    if config.task.kind != "hand":
        return config.task.kind
    backend = config.sim.backend
    if backend == "auto":
        on_gpu = config.env.device != "cpu" and _has_gpu()
        backend = "mujoco_warp" if on_gpu and is_installed("mujoco_warp") else "mujoco"
    return backend


def _has_gpu() -> bool:
    return torch.cuda.is_available()


def device_of(config: Config) -> torch.device:
    """Return the device of all tensors that environments and learner exchange.

    Raises ``ConfigError`` if this machine or the simulator does not support it.
    """
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
    """Raise ``ConfigError`` if this machine lacks something that the configuration needs; builds nothing.

    Logs the simulator and the device.
    """
    load_plugins(config)
    device = check_device(config)
    is_own = config.env.factory is not None or config.sim.backend not in BACKENDS
    maker = f"task={config.task.subject}" if config.task.kind != "hand" else f"sim.backend={backend_of(config)}"
    maker = maker if config.env.factory is None else f"env.factory={config.env.factory}"
    choice = "; for code of your own, env.device=auto is the CPU" if is_own and config.env.device == "auto" else ""
    place = f": physics on the CPU, network on {device}" if _has_gymnasiums_physics(config) else f" on {device}"
    log.info("%s%s%s", maker, place, choice)


def check_device(config: Config) -> torch.device:
    """Return the device; raises ``ConfigError`` if it, a package or a display is missing. Imports no code of users."""
    check_installed(config)
    if config.env.viewer and not has_own_window(config) and not has_display():
        raise no_window("there is no display here (DISPLAY and WAYLAND_DISPLAY are not set)")
    return device_of(config)


def _has_gymnasiums_physics(config: Config) -> bool:
    return config.env.factory is None and config.task.kind == "gymnasium"


def has_display() -> bool:
    """Whether this process can show windows to somebody."""
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def has_own_window(config: Config) -> bool:
    """Whether the simulator opens the window of ``env.viewer`` itself."""
    return config.env.factory is None and backend_of(config) == "isaacgym"


def no_window(problem: str) -> ConfigError:
    """Return the error for ``env.viewer=true`` where no window can be opened."""
    return ConfigError(
        f"env.viewer=true: {problem}. Watch in a browser with env.viewer=false env.videoStream=true, or record with "
        "env.viewer=false env.videoRecord=true"
    )


def set_up_process(config: Config) -> None:
    """Apply process-wide settings: torch's thread count and determinism, and the global seeds."""
    torch.set_num_threads(config.train.torchThreads)
    torch.set_deterministic_debug_mode("error" if config.train.torchDeterministic else "default")
    torch.manual_seed(config.train.seed)
    np.random.seed(config.train.seed)
    random.seed(config.train.seed)
