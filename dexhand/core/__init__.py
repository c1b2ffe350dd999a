"""Loops, checkpoints, workspace and the contracts they rest on."""
