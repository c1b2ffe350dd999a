"""Importing modules on first use."""

from importlib import import_module
from types import ModuleType
from typing import Any


class _LazyModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self.__name__), name)
        setattr(self, name, value)  # later reads find the attribute directly
        return value


def lazy_module(name: str) -> Any:
    """Return a stand-in for the module ``name`` that imports it when an attribute is first read.

    Task modules use it for torch, so that ``--help`` and validation can read their declarations without importing it.
    Unlike ``importlib.util.LazyLoader`` it leaves ``sys.modules`` alone, which thus shows whether torch is imported.
    """
    return _LazyModule(name)
