"""The project's own tests use the plugin that dexhand ships."""

pytest_plugins = ["dexhand.testing.plugin", "pytester"]
