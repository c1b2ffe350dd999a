"""A clock that tests control."""


class FakeClock:
    """``Clock`` that advances only through ``sleep`` or by setting ``time``."""

    def __init__(self, time: float = 1.7e9) -> None:
        self.time = time
        """Value of both ``monotonic`` and ``now``, seconds."""

    def monotonic(self) -> float:
        """See ``Clock.monotonic``."""
        return self.time

    def now(self) -> float:
        """See ``Clock.now``."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Advance ``time`` by ``seconds`` and return immediately."""
        self.time += seconds
