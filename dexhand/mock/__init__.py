"""Deterministic stand-ins for the real parts."""
