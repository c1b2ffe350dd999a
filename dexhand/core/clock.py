"""The clock of this machine."""

import time


class SystemClock:
    """The real ``Clock`` of ``dexhand.core.interfaces``."""

    def monotonic(self) -> float:
        """Seconds that only grow; for durations."""
        return time.monotonic()

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC; for names and records."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait; a negative or zero duration returns at once."""
        time.sleep(max(0.0, seconds))
