"""Environments of Gymnasium as ``VecEnv``: MuJoCo's in a batch, others through Gymnasium's vector environment."""

import dexhand.sim  # noqa: F401  chooses OpenGL for MuJoCo, which Gymnasium imports
from dexhand.gymnasium_env.make import CannotMake, make_gymnasium_env

__all__ = ["CannotMake", "make_gymnasium_env"]
