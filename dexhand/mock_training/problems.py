"""Problems that validation has found."""

from collections.abc import Iterable

_SHOWN = 3
"""Messages kept of each check, because a fault may show at every step."""


class Problems:
    """Collects what is wrong, by the name of the check that found it."""

    def __init__(self) -> None:
        self._messages: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}

    def add(self, check: str, message: str) -> None:
        """Add a problem."""
        self._counts[check] = self._counts.get(check, 0) + 1
        if self._counts[check] <= _SHOWN:
            self._messages.setdefault(check, []).append(message)

    def extend(self, check: str, messages: Iterable[str]) -> None:
        """Add any number of problems."""
        for message in messages:
            self.add(check, message)

    def expect(self, holds: bool, check: str, message: str) -> None:
        """Add ``message`` as a problem unless ``holds``."""
        if not holds:
            self.add(check, message)

    @property
    def checks(self) -> list[str]:
        """The names of the checks that found something, in order."""
        return list(self._counts)

    def lines(self) -> list[str]:
        """``check: message``, a few for each check and how many more there are."""
        lines = []
        for check, messages in self._messages.items():
            lines += [f"{check}: {message}" for message in messages]
            more = self._counts[check] - len(messages)
            lines += [f"{check}: and {more} more"] if more else []
        return lines
