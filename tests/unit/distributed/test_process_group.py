"""Several processes that train together; this one is one of them, the other is real."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest
import torch
from peer import Counting, lead, main, talk
from torch.distributed.elastic.utils.distributed import get_free_port

from dexhand.core.interfaces import Iteration
from dexhand.distributed.process_group import (
    DistributedAlgorithm,
    LostProcess,
    NoSuchDevice,
    ProcessGroup,
    join_process_group,
    run_worker,
)

Peer = multiprocessing.context.ForkProcess
StartPeer = Callable[[str], Peer]


@pytest.fixture
def start_peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[StartPeer]:
    """``start_peer(role)`` forks the other process; ``lead`` is process 0, any other role process 1."""
    address = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(get_free_port())}
    for name, value in {**address, "GLOO_SOCKET_IFNAME": "lo"}.items():
        monkeypatch.setenv(name, value)
    peers: list[Peer] = []

    def start(role: str) -> Peer:
        monkeypatch.setenv("RANK", str(int(role == "lead")))
        peers.append(multiprocessing.get_context("fork").Process(target=main, args=(role, str(int(role != "lead")))))
        peers[-1].start()
        return peers[-1]

    yield start
    for peer in peers:
        peer.kill()
        peer.join()


def has_ended_well(peer: Peer) -> bool:
    """Wait for it."""
    peer.join(30)
    return peer.exitcode == 0


def test_processes_tell_each_other(start_peer: StartPeer) -> None:
    """Gather, broadcast, mean and maximum of two, as process 0 sees them."""
    peer = start_peer("talk")
    with join_process_group(timeout=30.0) as processes:
        assert talk(processes) == [[{"rank": 0}, {"rank": 1}], "from 0", [1.5, 15.0], [3.0, -1.0], True]
    assert has_ended_well(peer)


def test_the_leader_takes_the_other_along(start_peer: StartPeer) -> None:
    """Every call reaches both, in order, with its arguments; a state that both refuse stops neither."""
    peer = start_peer("follow")
    with join_process_group(timeout=30.0) as processes:
        algorithm = Counting(processes)
        led = DistributedAlgorithm(algorithm, processes)
        assert led.iterate().mean_return == 3.0
        with pytest.raises(ValueError, match="negative"):
            led.load_state_dict({"iterations": -1})
        led.load_state_dict({"iterations": 7})
        led.load_weights({})
        led.policy()
        assert led.state_dict() == {"iterations": [7, 7]}
        assert (led.iterations_done, led.frames_done) == (7, 0)
        led.close()
        led.close()
    assert algorithm.calls.count("close") == 1
    assert has_ended_well(peer)


def test_a_leader_that_fails_alone_waits_for_nobody(start_peer: StartPeer) -> None:
    """The other is in the middle of what has failed here, and would not hear that it is to close."""

    class Failing(Counting):
        def iterate(self) -> Iteration:
            raise OSError("a fault")

    start_peer("follow")
    calls: list[str] = []
    with (
        pytest.raises(OSError, match="a fault"),
        join_process_group(timeout=30.0) as processes,
        contextlib.closing(DistributedAlgorithm(Failing(processes, calls), processes)) as led,
    ):
        led.iterate()
    assert calls == []


def test_a_worker_leaves_signals_to_the_leader(start_peer: StartPeer) -> None:
    """While it works, and only then."""
    before = signal.getsignal(signal.SIGTERM)

    class Watching(Counting):
        def close(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            super().close()

    peer = start_peer("lead")
    with join_process_group(timeout=30.0) as processes:
        algorithm = Watching(processes)
        run_worker(algorithm, processes)
    assert algorithm.calls == ["iterate", "load_state_dict", "state_dict", "close"]
    assert signal.getsignal(signal.SIGTERM) == before
    assert has_ended_well(peer)


@pytest.mark.parametrize(("role", "timeout"), [("die", 30.0), ("hang", 1.0)])
def test_a_process_that_is_gone_or_silent_is_an_error_of_one_line(
    role: str, timeout: float, start_peer: StartPeer
) -> None:
    """Not a wait without end."""
    start_peer(role)
    with (
        pytest.raises(LostProcess, match="process 0 of 2 lost another one") as error,
        join_process_group(timeout=timeout) as processes,
    ):
        processes.gather(1)
    assert "\n" not in str(error.value)
    assert not torch.distributed.is_initialized()


def test_a_signal_is_handled_while_others_are_waited_for(start_peer: StartPeer) -> None:
    """Those that take their time."""
    start_peer("hang")
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt), join_process_group(timeout=30.0) as processes:
        processes.wait_for_all()
    timer.join()


def test_other_errors_pass_through(start_peer: StartPeer) -> None:
    """They are not about communication."""
    start_peer("hang")
    with pytest.raises(RuntimeError, match="a bug") as error, join_process_group(timeout=30.0):
        raise RuntimeError("a bug")
    assert not isinstance(error.value, LostProcess)


def test_a_single_process_needs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything works, and no connection is made."""
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with join_process_group() as processes:
        assert talk(processes) == [[{"rank": 0}], "from 0", [1.0, 10.0], [0.0, -1.0], True]
        assert lead(processes).calls == ["iterate", "load_state_dict", "state_dict", "close"]
        assert not torch.distributed.is_initialized()


@pytest.mark.parametrize("device", ["gpu", "meta", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    """In one line that says what to give."""
    with pytest.raises(NoSuchDevice, match=rf"'{device}'.*Give cpu") as error, join_process_group(device):
        pass
    assert "\n" not in str(error.value)


def test_processes_on_their_own_can_be_made_directly() -> None:
    """For an algorithm without company."""
    assert ProcessGroup(torch.device("cpu")).is_leader
