"""What the tests of views share: the control of a test that is watched."""

import pytest

from dexhand.core.play_control import PlayControl
from dexhand.core.stop import StopRequest
from dexhand.mock.clock import FakeClock


@pytest.fixture
def stop() -> StopRequest:
    return StopRequest()


@pytest.fixture
def control(stop: StopRequest) -> PlayControl:
    return PlayControl(stop, 0.1, FakeClock())
