"""Problems that checks have found."""

from collections.abc import Iterable

_SHOWN = 3
"""Messages kept per check, as a fault may show at every step."""


class Problems:
    """Collects problems by the name of the check that found them."""

    def __init__(self) -> None:
        self._messages: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}

    def add(self, check: str, message: str) -> None:
        """Add a problem."""
        self._counts[check] = self._counts.get(check, 0) + 1
        if self._counts[check] <= _SHOWN:
            self._messages.setdefault(check, []).append(message)

    def extend(self, check: str, messages: Iterable[str]) -> None:
        """Add several problems."""
        for message in messages:
            self.add(check, message)

    def expect(self, holds: bool, check: str, message: str) -> None:
        """Add ``message`` as a problem unless ``holds``."""
        if not holds:
            self.add(check, message)

    @property
    def checks(self) -> list[str]:
        """Names of the checks that found problems, in order."""
        return list(self._counts)

    def lines(self) -> list[str]:
        """Return lines ``check: message``, a few per check, and how many more there are."""
        lines = []
        for check, messages in self._messages.items():
            lines += [f"{check}: {message}" for message in messages]
            more = self._counts[check] - len(messages)
            lines += [f"{check}: and {more} more"] if more else []
        return lines
