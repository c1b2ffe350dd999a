"""Time that a test holds in its hand."""


class FakeClock:
    """``Clock`` that stands still until somebody sleeps on it or moves ``time``."""

    def __init__(self, time: float = 1.7e9) -> None:
        self.time = time
        """What both ``monotonic`` and ``now`` show, seconds."""

    def monotonic(self) -> float:
        """See ``Clock.monotonic``."""
        return self.time

    def now(self) -> float:
        """See ``Clock.now``."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Returns at once; the time has passed."""
        self.time += seconds
