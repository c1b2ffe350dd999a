"""Simulators: one file each behind ``core.interfaces.Simulator``."""
