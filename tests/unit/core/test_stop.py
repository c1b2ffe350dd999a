"""The first signal asks, the second ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

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


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def number(request: pytest.FixtureRequest) -> int:
    """Each of the signals."""
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


def test_the_second_signal_ends_a_process_whose_main_thread_is_stuck() -> None:
    """In a call that does not return to Python, such as one that waits for another process; the first is told."""
    code = (
        "import ctypes, os, signal, threading\n"
        "from dexhand.core.stop import StopRequest, log\n"
        "def interrupt(*words):\n"
        "    print(*words)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "log.warning = interrupt\n"
        "with StopRequest():\n"
        "    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "    mutex, libc = ctypes.create_string_buffer(64), ctypes.CDLL(None)\n"
        "    libc.pthread_mutex_lock(mutex), libc.pthread_mutex_lock(mutex)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 130


def test_the_handlers_of_before_come_back(number: int) -> None:
    """After the block a signal does what it did."""
    before = signal.getsignal(number)
    with StopRequest() as stop:
        os.kill(os.getpid(), number)
        assert stop.requested
    assert signal.getsignal(number) is before


def test_nohup_stays_in_force() -> None:
    """A process that was told to ignore SIGHUP does."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
        assert not stop.requested
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_in_the_middle_of_a_line_leaves_it_whole() -> None:
    """What is being printed when it comes is printed once."""
    code = (
        "import os, signal\n"
        "from rich.console import Console\n"
        "from dexhand.core.stop import StopRequest\n"
        "from dexhand.app.logs import logging_to_console\n"
        "class Interrupting:\n"
        "    encoding = 'utf-8'\n"
        "    def write(self, text):\n"
        "        os.write(1, text.encode())\n"
        "        if 'playing' in text:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "    def flush(self): pass\n"
        "console = Console(file=Interrupting())\n"
        "with logging_to_console(console, 'info'), StopRequest():\n"
        "    console.print('playing')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("playing") == 1
    assert done.stdout.count("SIGINT: stopping") == 1
