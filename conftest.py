"""The project's own tests use the plugin that dexhand ships, and the stand-in where Isaac Gym is not installed."""

import importlib.util
import os

from hypothesis import settings

# the tests' tensors are tiny, and several processes run them: threads would only wait for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")

# machines that judge a change try the same examples each time; elsewhere others are tried in every run
settings.register_profile("ci", derandomize=True, deadline=None)
if "CI" in os.environ:
    settings.load_profile("ci")

# before anything imports torch
if importlib.util.find_spec("isaacgym") is None:
    from dexhand.mock import isaacgym

    isaacgym.install()
else:
    import isaacgym

# where dexhand is installed, its entry point has the same name and is not loaded twice
pytest_plugins = ["dexhand.testing.plugin", "pytester"]
