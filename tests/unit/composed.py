"""Configurations for tests that are about something else."""

import copy
from functools import cache

from dexhand.config.compose import compose
from dexhand.config.schema import Config


def composed(*overrides: str) -> Config:
    """What ``compose`` makes of the overrides, as a copy: to compose takes longer than many a test."""
    return copy.deepcopy(_once(*overrides))


@cache
def _once(*overrides: str) -> Config:
    return compose(overrides)
