"""Processes of one training find each other and check that they were started alike, before torch connects them.

torch's own functions for this wait without a word, do not notice signals, and print several lines where they fail.
"""

import contextlib
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import timedelta
from typing import TypeVar

from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]

from dexhand.distributed.place import CannotJoin, Place

log = logging.getLogger(__name__)

T = TypeVar("T")

SILENCE = 5.0
"""Seconds before it is said who is being waited for."""
_LINGER = 5.0
"""Seconds that the others have to learn that they do not fit together, before process 0 ends with their store."""
_POLL = 0.05


class NobodyCame(RuntimeError):
    """Other processes did not come in time."""


def meet(place: Place, settings: Mapping[str, str], timeout: float, connect: Callable[[Store], T]) -> T:
    """Wait for all processes; returns what ``connect`` makes of the store through which they can be connected.

    Both happen in a thread, because torch's calls return only when process 0 answers, which may be stopped. Raises
    ``CannotJoin`` in every process if ``settings`` or the number of processes are not those of process 0, and
    ``NobodyCame`` if the others do not come within ``timeout`` seconds.
    """
    wait = _Wait(place, timeout)

    def join() -> T:
        store = _agree(place, settings, timeout, wait)
        wait.whom = "the other processes to connect"
        return connect(store)

    return wait.result_of(join)


def _agree(place: Place, settings: Mapping[str, str], timeout: float, wait: "_Wait") -> Store:
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    store = PrefixStore(f"dexhand/{attempt}", _connect(place, wait))
    store.set_timeout(timedelta(seconds=timeout))
    wait.whom = "process 0"
    if store.add(f"{place.rank}/count", 1) > 1:
        raise CannotJoin(f"two processes were started with RANK={place.rank}. Give each of them its own")
    settings = {"WORLD_SIZE": str(place.size), **settings}
    if place.is_leader:
        store.set("settings", json.dumps(settings))
        _decide(place, store, wait)
    else:
        wait.until("process 0", lambda: store.check(["settings"]))
        store.set(f"{place.rank}/problem", _difference(place, json.loads(store.get("settings")), settings))
        wait.until("the other processes", lambda: store.check(["decision"]))
    problem = store.get("decision").decode()
    if problem:
        _part(place, store)
        raise CannotJoin(problem)
    return store


def _decide(place: Place, store: Store, wait: "_Wait") -> None:
    """Publish, in process 0, why the processes do not fit together; an empty text if they do."""
    problem, missing = "", list(range(1, place.size))

    def come() -> list[int]:
        return [rank for rank in missing if store.check([f"{rank}/problem"])]

    while missing and not problem:
        wait.until(f"process{'es' * (len(missing) > 1)} {', '.join(map(str, missing))}", lambda: bool(come()))
        rank = come()[0]
        problem = store.get(f"{rank}/problem").decode()
        missing.remove(rank)
    store.set("decision", problem)


def _part(place: Place, store: Store) -> None:
    """Let the others learn of the decision before the store ends with process 0."""
    parted, end = store.add("parted", 1), time.monotonic() + _LINGER
    while place.is_leader and parted < place.size and time.monotonic() < end:
        time.sleep(_POLL / 10)  # a launcher ends all processes soon after the first has failed
        parted = store.add("parted", 0)


def _difference(place: Place, leading: Mapping[str, str], own: Mapping[str, str]) -> str:
    """Name the settings in which a process differs from process 0."""
    keys = [key for key in {**leading, **own} if leading.get(key) != own.get(key)]
    if not keys:
        return ""
    first = "; ".join(f"{key}={own.get(key, '')} where process 0 has {leading.get(key, '')}" for key in keys[:3])
    more = f"; {len(keys) - 3} more: {', '.join(keys[3:])}" if len(keys) > 3 else ""
    return f"process {place.rank} was started with {first}{more}. Start all processes with the same settings"


def _connect(place: Place, wait: "_Wait") -> Store:
    """Open the store of process 0, or of ``torchrun``."""
    is_host = place.is_leader and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    address = f"{place.host}:{place.port}"

    def probe() -> bool:
        socket.create_connection((place.host, place.port), timeout=1.0).close()
        return True

    def join() -> Store:
        probe()  # torch says more than a line where nothing listens
        limit = timedelta(seconds=SILENCE)
        return TCPStore(place.host, place.port, is_master=False, wait_for_workers=False, timeout=limit)

    def host() -> Store:  # torch connects to the address too, which may lead elsewhere
        own = listening.detach()
        return TCPStore(place.host, place.port, is_master=True, wait_for_workers=False, master_listen_fd=own)

    if not is_host:
        return wait.until_done(f"process 0 at {address}", join)
    own_address = f"its own address, MASTER_ADDR:MASTER_PORT={address}, to answer"
    with _listen(place.port) as listening:
        wait.until_done(own_address, probe)
        return wait.until_done(own_address, host)


def _listen(port: int) -> socket.socket:
    """Listen on all interfaces."""
    is_dual = socket.has_dualstack_ipv6()
    try:
        return socket.create_server(
            ("", port), family=socket.AF_INET6 if is_dual else socket.AF_INET, dualstack_ipv6=is_dual
        )
    except OSError as error:
        raise CannotJoin(
            f"process 0 cannot listen at MASTER_PORT={port}: {error.strerror}. Is there another process with RANK=0?"
        ) from None


def _do(work: Callable[[], T], future: Future[T]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)
    finally:
        del future  # an error in it would keep this frame, and with it the store and the port


class _Wait:
    """Does work in a thread until it is done, and waits in Python, so that signals are handled meanwhile."""

    def __init__(self, place: Place, timeout: float) -> None:
        self.whom = ""
        """Who is being waited for, in words; the work says so."""
        self._place = place
        self._start = time.monotonic()
        self._timeout = timeout
        self._is_over = False

    def result_of(self, work: Callable[[], T]) -> T:
        """Return or raise what ``work`` does. Raises ``NobodyCame`` if that takes too long."""
        future: Future[T] = Future()
        thread = threading.Thread(target=_do, args=(work, future), name="meeting", daemon=True)
        thread.start()
        has_said = False
        try:
            while not future.done():
                waited = time.monotonic() - self._start
                if waited >= self._timeout:
                    raise NobodyCame(f"{self._who} waited {waited:.0f} s for {self.whom}")
                if waited >= SILENCE and not has_said:
                    has_said = True
                    # processes other than the first log only errors
                    level = logging.WARNING if self._place.is_leader else logging.ERROR
                    log.log(level, "%s waits for %s", self._who.capitalize(), self.whom)
                thread.join(_POLL)
            return future.result()
        finally:
            self._is_over = True
            del future  # as in _do

    @property
    def _who(self) -> str:
        return f"process {self._place.rank} of {self._place.size}"

    # --- in the thread

    def until(self, whom: str, has_come: Callable[[], bool]) -> None:
        """Wait until something is true."""
        self.whom = whom
        while not has_come():
            if self._is_over:
                raise NobodyCame(whom)
            time.sleep(_POLL)

    def until_done(self, whom: str, connect: Callable[[], T]) -> T:
        """Call ``connect`` until it succeeds."""
        results: list[T] = []

        def has_succeeded() -> bool:
            # UnicodeError: a text that cannot be a host's name; RuntimeError: of torch
            with contextlib.suppress(OSError, UnicodeError, RuntimeError):
                results.append(connect())
            return bool(results)

        self.until(whom, has_succeeded)
        return results[0]
