"""Parts of the user's own: what the code that ``sim.backend``, ``env.factory``, ``train.algorithm`` and
``train.sinks`` name makes.

``sim.backend`` is called as ``simulator(scene, num_envs, control_dt=..., device=...)`` and returns a ``Simulator``.
``env.factory`` is called as ``factory(num_envs=..., device=..., seed=...)`` and returns a ``VecEnv``.
``train.algorithm`` is an ``AlgorithmClass``. A sink is called with the run's folder and returns a ``MetricSink``; one
that has the method of ``HardExampleSink`` too is given the worst episodes.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from dexhand.config.errors import ConfigError
from dexhand.config.plugins import load_plugin
from dexhand.config.schema import ALGORITHMS, BACKENDS, SINKS, Config


def load_plugins(config: Config) -> None:
    """Import all code that ``config`` names. Raises ``ConfigError``."""
    if config.sim.backend not in BACKENDS:
        load_plugin("sim.backend", config.sim.backend)
    if config.env.factory is not None:
        load_plugin("env.factory", config.env.factory)
    if config.train.algorithm not in ALGORITHMS:
        load_plugin("train.algorithm", config.train.algorithm)
    for sink in config.train.sinks:
        if sink not in SINKS:
            load_plugin("train.sinks", sink)


def make(key: str, spec: str, contract: type, *args: Any, optional: Sequence[str] = (), **kwargs: Any) -> Any:
    """Call what ``spec`` names; what it returns has the members of ``contract`` but for ``optional`` ones.

    Raises ``ConfigError`` where it takes other arguments or its result lacks a member.
    """
    plugin = load_plugin(key, spec)
    check_call(f"{key}={spec}", plugin, *args, **kwargs)
    made = plugin(*args, **kwargs)
    missing = [name for name in _members(contract) if name not in optional and not hasattr(made, name)]
    if missing:
        raise ConfigError(
            f"{key}={spec}: what it makes, a {type(made).__name__}, lacks {', '.join(missing)}. "
            f"{contract.__name__} in dexhand/core/interfaces.py describes them"
        )
    return made


def check_call(where: str, plugin: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Raise ``ConfigError`` where ``plugin`` cannot be called with these arguments."""
    try:
        inspect.signature(plugin).bind(*args, **kwargs)
    except TypeError as error:
        given = ", ".join([*(type(value).__name__ for value in args), *(f"{name}=..." for name in kwargs)])
        raise ConfigError(f"{where} is called with ({given}), which it does not take: {error}") from None


def _members(contract: type) -> list[str]:
    return [name for name in (*contract.__annotations__, *vars(contract)) if not name.startswith("_")]
