"""The system clock."""

import time


class SystemClock:
    """``Clock`` of the operating system."""

    def monotonic(self) -> float:
        """See ``Clock.monotonic``."""
        return time.monotonic()

    def now(self) -> float:
        """See ``Clock.now``."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """See ``Clock.sleep``; returns at once if ``seconds`` is zero or negative."""
        time.sleep(max(0.0, seconds))
