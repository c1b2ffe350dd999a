"""What runs beside Isaac Gym, on Python 3.8: its adapter, and a stand-in of the ``isaacgym`` package.

This folder is the only code for Python 3.8. It needs torch, numpy and ``isaacgym``, and imports nothing else of
dexhand: with ``dexhand/`` on ``PYTHONPATH`` it is the package ``isaacgym_worker``. Plain data goes in
(``scene.SceneDescription``), plain tensors come out.
"""
