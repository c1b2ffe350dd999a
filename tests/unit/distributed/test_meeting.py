"""Processes meet; here they are threads of one process."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from torch.distributed.elastic.utils.distributed import get_free_port

from dexhand.distributed import meeting
from dexhand.distributed.meeting import NobodyCame
from dexhand.distributed.place import CannotJoin, Place

PlaceOf = Callable[..., Place]
ALIKE = {"rate": "0.1", "units": "[8]"}


@pytest.fixture
def place_of(monkeypatch: pytest.MonkeyPatch) -> PlaceOf:
    """``place_of(rank, size)``: all at one port."""
    monkeypatch.setattr(meeting, "_LINGER", 0.5)
    port = get_free_port()
    return lambda rank, size: Place(rank=rank, size=size, host="127.0.0.1", port=port)


def meet(place: Place, settings: Mapping[str, str], timeout: float) -> object:
    """Keep the store, over which nothing is connected."""
    return meeting.meet(place, settings, timeout, lambda store: store)


def meet_all(arrivals: list[tuple[Place, Mapping[str, str]]]) -> list[str]:
    """What ends the meeting for each; empty texts where it succeeds."""

    def arrive(place: Place, settings: Mapping[str, str]) -> str:
        try:
            stores.append(meet(place, settings, timeout=20.0))
        except (CannotJoin, NobodyCame) as error:
            return str(error)
        return ""

    stores: list[object] = []  # open until all have met
    with ThreadPoolExecutor(len(arrivals)) as threads:
        return list(threads.map(arrive, *zip(*arrivals, strict=True)))


def test_processes_that_were_started_alike_meet(place_of: PlaceOf) -> None:
    """In any number."""
    assert meet_all([(place_of(rank, 3), ALIKE) for rank in (2, 0, 1)]) == ["", "", ""]


def test_other_settings_are_named_in_every_process(place_of: PlaceOf) -> None:
    """By key and both values, also where they are like those of process 0."""
    other = {**ALIKE, "rate": "0.2", "more": "1"}
    said = meet_all([(place_of(0, 3), ALIKE), (place_of(1, 3), other), (place_of(2, 3), ALIKE)])
    assert said == 3 * [
        "process 1 was started with rate=0.2 where process 0 has 0.1; more=1 where process 0 has . "
        "Start all processes with the same settings"
    ]


def test_settings_that_differ_in_many_keys_are_still_one_short_line(place_of: PlaceOf) -> None:
    """Values of three of them."""
    said = meet_all([(place_of(rank, 2), {f"key{n}": str(rank) for n in range(6)}) for rank in range(2)])
    assert said[0] == said[1]
    assert "key2=1 where process 0 has 0; 3 more: key3, key4, key5." in said[0]


def test_another_number_of_processes_is_a_mismatch(place_of: PlaceOf) -> None:
    """Process 0 does not wait for one that cannot come."""
    said = meet_all([(place_of(0, 3), ALIKE), (place_of(1, 2), ALIKE)])
    assert said[0] == said[1]
    assert "process 1 was started with WORLD_SIZE=2 where process 0 has 3" in said[0]


def test_a_rank_is_given_once(place_of: PlaceOf) -> None:
    """Rank 0 is the one that listens, whose second fails at that."""
    said = meet_all([(place_of(rank, 2), ALIKE) for rank in (0, 1, 1)])
    assert sorted(said)[2].startswith("two processes were started with RANK=1")
    store = meeting._connect(place_of(0, 2), meeting._Wait(place_of(0, 2), 1.0))
    (again,) = meet_all([(place_of(0, 2), ALIKE)])
    assert "cannot listen at MASTER_PORT=" in again
    assert "Address already in use" in again
    assert store is not None


@pytest.mark.parametrize(("rank", "whom"), [(0, "processes 1, 2"), (1, "process 0 at 127.0.0.1")])
def test_it_is_said_who_is_waited_for(
    rank: int, whom: str, place_of: PlaceOf, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, also by processes that log errors only; and waiting ends."""
    monkeypatch.setattr(meeting, "SILENCE", 0.1)
    with pytest.raises(NobodyCame, match=f"process {rank} of 3 waited .* s for {whom}"):
        meet(place_of(rank, 3), ALIKE, timeout=0.3)
    (record,) = caplog.records
    assert f"Process {rank} of 3 waits for {whom}" in record.getMessage()
    assert record.levelno == (logging.ERROR if rank else logging.WARNING)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_ends_waiting(rank: int, place_of: PlaceOf) -> None:
    """At once, whichever process waits."""
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        meet(place_of(rank, 2), ALIKE, timeout=60.0)
    timer.join()


@pytest.mark.parametrize("host", ["nohost.invalid", "192.0.2.7", "a" * 64 + ".b"])
def test_an_address_that_does_not_lead_to_process_0_ends_its_waiting(
    host: str, place_of: PlaceOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Python, where signals are handled, and at the given time; the variable is named."""
    monkeypatch.setattr(meeting, "TCPStore", None)
    place = replace(place_of(0, 2), host=host)
    with pytest.raises(NobodyCame, match=f"its own address, MASTER_ADDR:MASTER_PORT={host}:{place.port}, to answer"):
        meet(place, ALIKE, timeout=0.1)


def test_a_name_server_that_does_not_answer_ends_waiting(place_of: PlaceOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the given time, and signals are handled."""
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **named: release.wait(60.0) and [])
    with pytest.raises(NobodyCame, match="for process 0 at slow"):
        meet(replace(place_of(1, 2), host="slow.example"), ALIKE, timeout=0.1)
    release.set()


def test_a_process_0_that_is_stopped_ends_waiting(
    place_of: PlaceOf, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At the given time, and it is said: its store does not answer, and torch would wait for ever."""
    monkeypatch.setattr(meeting, "SILENCE", 0.1)
    place, release = place_of(1, 2), threading.Event()

    class Stopped:
        def __init__(self, *arguments: object) -> None: ...

        def set_timeout(self, timeout: object) -> None: ...

        def add(self, key: str, number: int) -> int:
            release.wait(60.0)
            return 1

    monkeypatch.setattr(meeting, "PrefixStore", Stopped)
    with socket.create_server(("127.0.0.1", place.port)):
        monkeypatch.setattr(meeting, "TCPStore", lambda *arguments, **named: None)
        with pytest.raises(NobodyCame, match=r"process 1 of 2 waited .* s for process 0"):
            meet(place, ALIKE, timeout=0.5)
    release.set()
    assert "Process 1 of 2 waits for process 0" in caplog.text


def test_what_listens_and_says_nothing_ends_waiting(place_of: PlaceOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """In Python, where signals are handled: process 0 itself, for example, while it waits for its own address."""
    release = threading.Event()
    monkeypatch.setattr(meeting, "TCPStore", lambda *arguments, **named: release.wait(60.0))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = replace(place_of(1, 2), port=silent.getsockname()[1])
        with pytest.raises(NobodyCame, match="for process 0 at 127"):
            meet(place, ALIKE, timeout=0.3)
    release.set()
