"""User-defined simulators, environments, learners and sinks, named by configuration keys.

``sim.backend`` is called as ``simulator(scene, num_envs, control_dt=..., device=...)`` and returns a ``Simulator``.
``env.factory`` is called as ``factory(num_envs=..., device=..., seed=...)`` and returns a ``VecEnv``.
``train.algorithm`` is an ``AlgorithmClass``. Each entry of ``train.sinks`` is called with the run's folder and returns
a ``MetricSink``; one that also implements ``HardExampleSink`` receives the worst episodes.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from dexhand.config.errors import ConfigError
from dexhand.config.plugins import load_plugin
from dexhand.config.schema import ALGORITHMS, BACKENDS, SINKS, Config


def load_plugins(config: Config) -> None:
    """Import all user-defined code that ``config`` names. Raises ``ConfigError``."""
    if config.sim.backend not in BACKENDS:
        load_plugin("sim.backend", config.sim.backend)
    if config.env.factory is not None:
        load_plugin("env.factory", config.env.factory)
    if config.train.algorithm not in ALGORITHMS:
        load_plugin("train.algorithm", config.train.algorithm)
    for sink in config.train.sinks:
        if sink not in SINKS:
            load_plugin("train.sinks", sink)


def build_plugin(key: str, spec: str, contract: type, *args: Any, optional: Sequence[str] = (), **kwargs: Any) -> Any:
    """Call the class or function that ``spec`` names and return the result.

    Raises ``ConfigError`` if it does not accept the arguments, or if its result lacks a member of ``contract`` that is
    not ``optional``.
    """
    plugin = load_plugin(key, spec)
    check_call(f"{key}={spec}", plugin, *args, **kwargs)
    made = plugin(*args, **kwargs)
    missing = [name for name in _members(contract) if name not in optional and not hasattr(made, name)]
    if missing:
        raise ConfigError(
            f"{key}={spec}: the {type(made).__name__} it returns lacks {', '.join(missing)}. "
            f"{contract.__name__} in {contract.__module__.replace('.', '/')}.py describes them"
        )
    return made


def check_call(where: str, plugin: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Raise ``ConfigError`` if ``plugin`` does not accept these arguments."""
    try:
        inspect.signature(plugin).bind(*args, **kwargs)
    except (TypeError, ValueError) as error:  # ValueError: of code in C whose parameters are unknown
        given = ", ".join([*(type(value).__name__ for value in args), *(f"{name}=..." for name in kwargs)])
        raise ConfigError(f"{where} is called with ({given}), which it does not take: {error}") from None


def _members(contract: type) -> list[str]:
    return [name for name in (*contract.__annotations__, *vars(contract)) if not name.startswith("_")]
