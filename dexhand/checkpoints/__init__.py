"""Checkpoint files: format, store, folder, hot reload."""
