"""Processes of views leave the processors to the run."""

import os
import sys

import pytest

from dexhand.view import process
from dexhand.view.process import Patience, claim_processors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such policies")


def test_who_has_waited_too_long_takes_part_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with more work than processors would leave nothing to it."""
    try:
        patience = Patience()
        policies = [os.sched_getscheduler(0)]
        for late, work_time in ((0.1, 60.0), (2.0, 60.0), (0.1, 60.0), (2.0, 0.0), (0.1, 60.0)):
            monkeypatch.setattr(process, "WORK_TIME", work_time)
            patience.waited(late)
            policies.append(os.sched_getscheduler(0))
    finally:
        claim_processors()
    idle, other = os.SCHED_IDLE, os.SCHED_OTHER
    assert policies == [idle, idle, other, other, other, idle]
