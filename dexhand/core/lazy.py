"""Modules that are imported when they are first used."""

from importlib import import_module
from types import ModuleType
from typing import Any


class _LazyModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self.__name__), name)
        setattr(self, name, value)  # the next access finds it at once
        return value


def lazy_module(name: str) -> Any:
    """A stand-in for the module ``name`` that imports it when an attribute is first read.

    Task modules use it for torch: the configuration reads what they declare, and ``--help`` need not wait for torch.
    Unlike ``importlib.util.LazyLoader`` it leaves ``sys.modules`` alone, where one can see whether torch is imported.
    """
    return _LazyModule(name)
