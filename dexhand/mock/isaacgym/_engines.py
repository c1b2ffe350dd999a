"""The physics under the stand-in: MuJoCo where it is installed, else the mock simulator's kinematics."""

import importlib.util
from pathlib import Path

from dexhand.mock.isaacgym._records import Asset, Engine, Sim
from dexhand.mock.isaacgym._types import AssetOptions


def has_physics() -> bool:
    """Whether MuJoCo can be used."""
    return importlib.util.find_spec("mujoco") is not None


def describe(path: Path, options: AssetOptions) -> Asset:
    """What a model file contains."""
    if has_physics():
        from dexhand.mock.isaacgym import _mujoco

        return _mujoco.describe(path, options)
    from dexhand.mock.isaacgym import _kinematic

    return _kinematic.describe(path, options)


def build(sim: Sim) -> Engine:
    """The physics of a simulation whose environments are complete."""
    if has_physics():
        from dexhand.mock.isaacgym._mujoco import MujocoEngine

        return MujocoEngine(sim)
    from dexhand.mock.isaacgym._kinematic import KinematicEngine

    return KinematicEngine(sim)
