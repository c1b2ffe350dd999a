"""Implementations of ``dexhand.hand_env.interfaces.Simulator`` and what they share."""

from dexhand.sim.gl import choose_gl_backend

choose_gl_backend()  # MuJoCo reads it when it is imported, which any module of this package may do first
