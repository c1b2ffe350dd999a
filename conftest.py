"""The project's own tests use the plugin that dexhand ships, and the stand-in where Isaac Gym is not installed."""

import importlib.util

# before anything imports torch
if importlib.util.find_spec("isaacgym") is None:
    from dexhand.mock import isaacgym

    isaacgym.install()
else:
    import isaacgym

pytest_plugins = ["dexhand.testing.plugin", "pytester"]
