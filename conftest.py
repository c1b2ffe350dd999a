"""The project's own tests use the plugin that dexhand ships, and the stand-in where Isaac Gym is not installed."""

import importlib.util
import os

# the tests' tensors are tiny, and several processes run them: threads would only wait for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")

# before anything imports torch
if importlib.util.find_spec("isaacgym") is None:
    from dexhand.mock import isaacgym

    isaacgym.install()
else:
    import isaacgym

# where dexhand is installed, its entry point has the same name and is not loaded twice
pytest_plugins = ["dexhand.testing.plugin", "pytester"]
