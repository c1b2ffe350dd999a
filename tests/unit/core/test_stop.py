"""The first signal asks, the second ends."""

import os
import signal
import subprocess
import sys
from typing import Iterator

import pytest

from dexhand.core.stop import StopRequest

WAITING = """
import time
from dexhand.core.stop import StopRequest
with StopRequest() as stop:
    print("ready", flush=True)
    while not stop.requested:
        time.sleep(0.01)
    print("asked", flush=True)
    time.sleep(60)
"""


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM])
def number(request: pytest.FixtureRequest) -> int:
    """Both signals."""
    return int(request.param)


@pytest.fixture
def process() -> "Iterator[subprocess.Popen[str]]":
    """A process inside a StopRequest."""
    started = subprocess.Popen([sys.executable, "-c", WAITING], stdout=subprocess.PIPE, text=True)
    yield started
    started.kill()
    started.communicate()


def test_the_second_signal_ends_the_process_at_once(process: "subprocess.Popen[str]", number: int) -> None:
    """With 128 + its number; the first one only asks."""
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.stdout.readline() == "asked\n"
    assert process.poll() is None
    process.send_signal(number)
    assert process.wait(timeout=20) == 128 + number


def test_the_handlers_of_before_come_back(number: int) -> None:
    """After the block a signal does what it did."""
    before = signal.getsignal(number)
    with StopRequest() as stop:
        os.kill(os.getpid(), number)
        assert stop.requested
    assert signal.getsignal(number) is before
