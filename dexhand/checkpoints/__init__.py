"""Checkpoints: file format, store, folders and hot reload."""
