"""Progress on the console."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from dexhand.core.interfaces import MetricSink
from dexhand.mock.clock import FakeClock
from dexhand.sinks.console import ConsoleSink, EvaluationConsoleSink
from dexhand.testing.metric_sink import MetricSinkConformance

VALUES: dict[str, float] = {
    "info/iteration": 0,
    "performance/frames_per_second": 1234.0,
    "rewards/total": 2.1,
    "losses/actor": -0.01,
    "losses/critic": 0.5,
    "info/learning_rate": 3e-4,
}


class TestContract(MetricSinkConformance):
    def make_sink(self, folder: Path) -> MetricSink:
        return sink_on(io.StringIO(), FakeClock())

    def recorded(self, sink: MetricSink, folder: Path) -> None:
        """It shows a choice of them, rounded."""


class TestGamesContract(MetricSinkConformance):
    def make_sink(self, folder: Path) -> MetricSink:
        return EvaluationConsoleSink(Console(file=io.StringIO()), FakeClock())

    def recorded(self, sink: MetricSink, folder: Path) -> None:
        """It shows a choice of them, rounded."""


def sink_on(text: io.StringIO, clock: FakeClock, terminal: bool = False, width: int = 80) -> ConsoleSink:
    """A sink that writes into ``text``."""
    console = Console(file=text, force_terminal=terminal, width=width, highlight=False)
    return ConsoleSink(console, clock, iterations_done=0, max_iterations=10)


def test_plain_lines_are_not_broken_and_come_at_intervals() -> None:
    """The first at once, the next after five seconds, the last when closed."""
    text, clock = io.StringIO(), FakeClock()
    sink = sink_on(text, clock)
    for iteration in range(1, 5):
        clock.sleep(2.0)
        sink.scalars(iteration * 64, {**VALUES, "info/iteration": iteration})
    sink.close()
    sink.close()
    lines = text.getvalue().splitlines()
    assert [line.split(" | ")[0] for line in lines] == ["iteration 1/10", "iteration 4/10"]
    assert len(lines[0]) > 80


def test_the_log_has_a_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """The first at once, the last when closed; in a terminal, too."""
    caplog.set_level("INFO")
    clock = FakeClock()
    sink = sink_on(io.StringIO(), clock, terminal=True)
    for iteration in range(1, 7):
        sink.scalars(iteration * 64, {**VALUES, "info/iteration": iteration})
        clock.sleep(20.0)
    sink.close()
    lines = [record.getMessage().split(" | ")[0] for record in caplog.records]
    assert lines == ["iteration 1/10", "iteration 4/10", "iteration 6/10"]


def test_a_policy_that_takes_over_has_a_line_at_once() -> None:
    """And the same policy one at intervals."""
    text, clock = io.StringIO(), FakeClock()
    sink = EvaluationConsoleSink(Console(file=text), clock)
    for iteration, count in ((5, 1), (5, 2), (8, 3), (8, 4)):
        sink.scalars(0, {"test/games": count, "test/iteration": iteration})
    assert [line.split(" | ")[0] for line in text.getvalue().splitlines()] == ["episodes 1", "episodes 3"]
    sink.close()


TESTED = {"test/games": 12345, "test/iteration": 2000, "test/return": 1234.5, "test/length": 300}


def test_a_terminal_of_80_columns_shows_all_results() -> None:
    """The speed, and the last value of the second line, are complete."""
    text = io.StringIO()
    sink = EvaluationConsoleSink(Console(file=text, force_terminal=True, width=80), FakeClock())
    sink.scalars(0, {**TESTED, "test/success_rate": 1.0, "test/frames_per_second": 123456.0})
    sink.close()
    assert "steps/s 123,456" in text.getvalue()
    assert "success 100.0%" in text.getvalue()


def test_without_a_success_rate_there_is_no_column_for_it() -> None:
    """In an environment where no episode can succeed."""
    text = io.StringIO()
    sink = EvaluationConsoleSink(Console(file=text), FakeClock())
    sink.scalars(0, TESTED)
    sink.close()
    assert text.getvalue() == "episodes 12,345 | iteration 2000 | steps/s - | return 1234.50 | length 300\n"


def test_a_line_tells_frames_speed_reward_losses_rate_and_time_left() -> None:
    """What is not known yet is a dash; ten iterations, one done in 2 s: 18 s are left."""
    text, clock = io.StringIO(), FakeClock()
    sink = sink_on(text, clock)
    clock.sleep(2.0)
    sink.scalars(64, {**VALUES, "info/iteration": 1})
    sink.close()
    for part in (
        "64 frames",
        "1,234 frames/s",
        "return -",
        "actor -0.0100",
        "critic 0.5000",
        "lr 3.0e-04",
        "ETA 0:00:18",
    ):
        assert part in text.getvalue()


@pytest.mark.parametrize("width", [60, 80, 200])
def test_in_a_terminal_no_line_is_wider_than_the_terminal(width: int) -> None:
    """The time left stays visible."""
    text, clock = io.StringIO(), FakeClock()
    sink = sink_on(text, clock, terminal=True, width=width)
    clock.sleep(2.0)
    sink.scalars(64, {**VALUES, "info/iteration": 1})
    sink.close()
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.getvalue()).splitlines()
    assert max(map(len, lines)) <= width
    assert any("iteration 1/10 | ETA 0:00:18" in line for line in lines)
