"""A failing sink of the user's own costs its metrics, not the training."""

import logging

import pytest

from dexhand.hard_examples.reports import HardExampleSink
from dexhand.sinks.guarded import GuardedSink
from dexhand.sinks.memory import MemorySink


class Failing(MemorySink):
    """Fails from the second report on."""

    def scalars(self, step, values):  # type: ignore[no-untyped-def]
        super().scalars(step, values)
        if len(self.rows) == 2:
            raise OSError("disk full")


def test_a_sink_that_fails_is_reported_once_and_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    """Later metrics are not sent, and closing it is not tried."""
    inner = Failing()
    sink = GuardedSink("mine.py:Failing", inner)
    with caplog.at_level(logging.ERROR):
        for step in range(4):
            sink.scalars(step, {"return": 1.0})
        sink.close()
    assert len(inner.rows) == 2
    assert not inner.closed
    assert [record.getMessage() for record in caplog.records] == [
        "train.sinks=mine.py:Failing failed and receives nothing more"
    ]


def test_it_accepts_reports_of_hard_examples_if_the_sink_does() -> None:
    """Only then are they sent to it."""

    class Accepting(MemorySink):
        def hard_examples(self, report: object) -> None:
            self.report = report

    assert isinstance(GuardedSink("mine.py:Accepting", Accepting()), HardExampleSink)
    assert not isinstance(GuardedSink("mine.py:MemorySink", MemorySink()), HardExampleSink)
