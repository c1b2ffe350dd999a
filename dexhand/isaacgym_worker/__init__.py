"""Adapter of Isaac Gym, and a stand-in for the ``isaacgym`` package.

This is the only code that runs on Python 3.8. It needs torch, numpy and ``isaacgym`` and imports nothing else from
dexhand, so that with ``dexhand/`` on ``PYTHONPATH`` it works as the package ``isaacgym_worker``. It takes plain data
(``scene.SceneDescription``) and returns plain tensors.
"""
