"""The physics under the stand-in: MuJoCo where it is installed, else kinematics."""

import importlib.util
from pathlib import Path

from ._records import Asset, Engine, Sim
from ._types import AssetOptions


def has_physics() -> bool:
    """Whether MuJoCo can be used."""
    return importlib.util.find_spec("mujoco") is not None


def describe(path: Path, options: AssetOptions) -> Asset:
    """Read what a model file contains."""
    if has_physics():
        from . import _mujoco

        return _mujoco.describe(path, options)
    from . import _kinematic

    return _kinematic.describe(path, options)


def build(sim: Sim) -> Engine:
    """Make the physics of a simulation whose environments are complete."""
    if has_physics():
        from ._mujoco import MujocoEngine

        return MujocoEngine(sim)
    from ._kinematic import KinematicEngine

    return KinematicEngine(sim)
