"""A watcher pauses, paces, restarts and stops an evaluation."""

import pytest

from dexhand.core.play_control import PlayControl, Restart
from dexhand.core.stop import StopRequest
from dexhand.mock.clock import FakeClock

DT = 0.02


@pytest.fixture
def stop() -> StopRequest:
    return StopRequest()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def control(stop: StopRequest, clock: FakeClock) -> PlayControl:
    return PlayControl(stop, DT, clock)


def seconds_for(steps: int, control: PlayControl, clock: FakeClock, work: float = 0.0) -> float:
    """How long steps take that compute for ``work`` seconds each."""
    start = clock.monotonic()
    for _ in range(steps):
        control.wait()
        clock.sleep(work)
    return clock.monotonic() - start


def when_waiting(control: PlayControl, *actions: object) -> None:
    """Do one thing each time the evaluation asks whether to go on."""
    left = list(actions)
    control.while_waiting[:] = [lambda: left.pop(0)()]  # type: ignore[operator]


def test_without_a_speed_nothing_waits(control: PlayControl, clock: FakeClock) -> None:
    """As fast as it goes is the default."""
    assert seconds_for(100, control, clock) == 0.0


@pytest.mark.parametrize("speed", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("work", [0.0, 0.003])
def test_a_speed_is_simulated_time_per_time(control: PlayControl, clock: FakeClock, speed: float, work: float) -> None:
    """Whatever part of it the steps themselves take."""
    control.speed = speed
    assert seconds_for(100, control, clock, work) == pytest.approx(100 * DT / speed, rel=0.03)


def test_steps_slower_than_the_speed_are_not_made_up_for_later(control: PlayControl, clock: FakeClock) -> None:
    """After a long delay the picture does not race."""
    control.speed = 1.0
    seconds_for(1, control, clock, work=60.0)
    assert seconds_for(100, control, clock) == pytest.approx(100 * DT, abs=0.15)


def test_a_pause_lasts_until_it_is_ended(control: PlayControl, clock: FakeClock) -> None:
    """The evaluation's thread waits, and can be used meanwhile."""
    control.pause()
    when_waiting(control, list, list, control.resume)
    assert control.is_paused
    assert control.wait() is None
    assert not control.is_paused


def test_single_steps_come_one_at_a_time(control: PlayControl) -> None:
    """Each click is one step; then it is paused again."""
    control.step_once()
    control.step_once()
    control.wait()
    control.wait()
    waited = []
    when_waiting(control, lambda: waited.append(True), control.step_once)
    control.wait()
    assert waited
    assert control.is_paused


def test_a_restart_is_told_once_also_during_a_pause(control: PlayControl) -> None:
    """The new episodes are seen, then the pause goes on."""
    control.pause()
    control.restart(seed=7)
    assert control.wait() == Restart(seed=7)
    when_waiting(control, control.step_once)
    assert control.wait() is None
    assert control.is_paused


def test_a_stop_ends_every_wait(control: PlayControl, stop: StopRequest) -> None:
    """The watcher's own, and a signal's."""
    control.pause()
    when_waiting(control, control.stop)
    control.wait()
    assert stop.requested
