"""Faulty implementations and the checks that must find them."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

Fault = TypeVar("Fault", bound=type)


class Faults:
    """The faults planted for one suite, each with the names of the checks that must fail on it."""

    def __init__(self) -> None:
        self._checks: dict[type, tuple[str, ...]] = {}

    def found_by(self, *checks: str) -> Callable[[Fault], Fault]:
        """Register a faulty class with its checks, named without ``test_``."""

        def register(fault: Fault) -> Fault:
            self._checks[fault] = tuple(f"test_{check}" for check in checks)
            return fault

        return register

    def cases(self) -> list[Any]:
        """Each fault with each of its checks, for ``pytest.mark.parametrize``."""
        pairs = [(fault, check) for fault, checks in self._checks.items() for check in checks]
        return [pytest.param(fault, check, id=f"{fault.__name__}-{check}") for fault, check in pairs]

    def checks(self) -> set[str]:
        """The checks that some fault proves."""
        return {check for checks in self._checks.values() for check in checks}


def checks_of(suite: type[Any]) -> list[str]:
    """The names of a suite's checks."""
    return sorted(name for name in dir(suite) if name.startswith("test_"))


def reject(suite: Any, check: str, *fixtures: Any) -> None:
    """The check fails, with a whole sentence."""
    try:
        with pytest.raises(AssertionError, match=r"\S+ \S+"):  # words, not a bare comparison
            getattr(suite, check)(*fixtures)
    except pytest.skip.Exception as skipped:
        pytest.fail(f"{check} was skipped: {skipped}")
