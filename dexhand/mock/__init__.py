"""Deterministic mocks of every contract, and a runner for the Isaac Gym stand-in."""
