"""The time of this machine."""

from typing import Any

import pytest
from freezegun import freeze_time

from dexhand.core.clock import SystemClock


def test_now_counts_seconds_since_1970() -> None:
    """now() is Unix time, whatever the time zone."""
    with freeze_time("1970-01-02 00:00:00", tz_offset=5):
        assert SystemClock().now() == 24 * 3600


def test_monotonic_never_goes_back() -> None:
    """Two readings in a row do not decrease."""
    clock = SystemClock()
    assert clock.monotonic() <= clock.monotonic()


@pytest.mark.parametrize(("asked", "slept"), [(1.5, 1.5), (0.0, 0.0), (-3.0, 0.0)])
def test_sleep_waits_as_long_as_asked(monkeypatch: Any, asked: float, slept: float) -> None:
    """A time that has already passed is no error."""
    waits = []
    monkeypatch.setattr("time.sleep", waits.append)
    SystemClock().sleep(asked)
    assert waits == [slept]
