"""What a test tells and writes."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from dexhand.app.evaluation_report import KEPT_CHECKPOINTS, KEPT_EPISODES, Report
from dexhand.core.episodes import Episode
from dexhand.core.eval_loop import LoadedPolicy
from dexhand.files.atomic import write_atomically
from dexhand.mock.clock import FakeClock
from dexhand.sinks.memory import MemorySink
from dexhand.workspace.workspace import Run


class Told:
    """A report with everything it says and writes."""

    def __init__(self, folder: Path, episodes: int, has_success: bool = True) -> None:
        self.run = Run(folder)
        self.sink = MemorySink()
        self.clock = FakeClock()
        self.lines: list[str] = []
        self.report = Report(
            self.loaded(100),
            episodes=episodes,
            has_success=has_success,
            run=self.run,
            sinks=[self.sink],
            clock=self.clock,
            print_line=self.lines.append,
        )
        self.number = 0

    def loaded(self, iteration: int) -> LoadedPolicy:
        """A checkpoint of the run."""
        path = self.run.path / f"checkpoint_{iteration}.pth"
        path.touch()
        return LoadedPolicy(None, path, iteration, age=1.0, load_seconds=0.01)  # type: ignore[arg-type]

    def episode(
        self, episode_return: float, iteration: int = 100, outcome: str = "timeout", mixed: bool = False
    ) -> None:
        """One more episode."""
        self.number += 1
        self.report.on_episode(Episode(self.number, 0, episode_return, 10, outcome, iteration, mixed))

    def results(self) -> dict[str, Any]:
        """The results file."""
        content: dict[str, Any] = json.loads(self.run.results_file.read_text())
        return content


@pytest.fixture
def endless(tmp_path: Path) -> Told:
    """A test without end."""
    return Told(tmp_path, episodes=0)


def test_statistics_are_kept_for_each_checkpoint(endless: Told) -> None:
    """On the console, in the results, and against the training's iterations in the sinks."""
    endless.episode(1.0)
    endless.episode(3.0, outcome="success:held")
    endless.report.on_reload(endless.loaded(200))
    endless.episode(5.0, iteration=200, mixed=True)
    endless.report.close()
    checkpoints = endless.results()["checkpoints"]
    assert [(entry["iteration"], entry["games"], entry["mixed"], entry["mean_return"]) for entry in checkpoints] == [
        (100, 2, 0, 2.0),
        (200, 1, 1, 5.0),
    ]
    assert endless.lines[0].startswith("iteration 100: 2 episodes: return 2.00 +- 1.00, length 10.0, success rate 50%")
    curve = [(step, row["checkpoint/return"]) for step, row in endless.sink.rows if "checkpoint/return" in row]
    assert curve == [(100, 2.0), (200, 5.0)]
    assert endless.results()["summary"]["games"] == 3


def test_running_statistics_come_with_the_first_game_of_a_checkpoint(endless: Told) -> None:
    """Nobody waits to see how it plays; after a reload earlier episodes do not count."""
    endless.episode(1.0)
    endless.report.on_reload(endless.loaded(200))
    endless.episode(5.0, iteration=200)
    rows = [row for _, row in endless.sink.rows if "test/games" in row]
    assert [(row["test/iteration"], row["test/games"], row["test/return"]) for row in rows] == [
        (100.0, 1.0, 1.0),
        (200.0, 2.0, 5.0),
    ]


def test_running_statistics_are_sent_now_and_then(endless: Told) -> None:
    """Over the episodes of the current checkpoint, at the frames played."""
    endless.episode(1.0)
    endless.episode(3.0)
    endless.report.on_step(64)
    assert len(endless.sink.rows) == 1
    endless.clock.time += 5.0
    endless.report.on_step(128)
    step, row = endless.sink.rows[-1]
    assert step == 128
    assert (row["test/games"], row["test/return"], row["test/iteration"]) == (2.0, 2.0, 100.0)
    assert row["test/frames_per_second"] == pytest.approx(128 / 5.0)
    endless.report.on_reload(endless.loaded(200))
    endless.clock.time += 5.0
    endless.report.on_step(192)
    assert "test/return" not in endless.sink.rows[-1][1]


def test_results_are_brought_up_to_date_while_it_plays(endless: Told) -> None:
    """A test that is killed has told what it knew half a minute before."""
    endless.episode(1.0)
    endless.clock.time += 30.0
    endless.report.on_step(64)
    assert endless.results()["summary"]["games"] == 1


def test_updates_take_little_of_the_time(endless: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """After one that took a second, the next reloads are written with a later one; the end always is."""

    def write_slowly(path: Path, write: Any) -> None:
        endless.clock.time += 1.0
        write_atomically(path, write)

    monkeypatch.setattr("dexhand.app.evaluation_report.write_atomically", write_slowly)
    endless.report.on_reload(endless.loaded(200))
    endless.clock.time += 19.0
    endless.report.on_reload(endless.loaded(300))
    assert endless.results()["checkpoint"].endswith("checkpoint_200.pth")
    endless.clock.time += 1.0
    endless.report.on_reload(endless.loaded(400))
    assert endless.results()["checkpoint"].endswith("checkpoint_400.pth")
    endless.report.on_reload(endless.loaded(500))
    endless.report.close()
    assert endless.results()["checkpoint"].endswith("checkpoint_500.pth")


def test_the_run_names_what_it_plays_now(endless: Told) -> None:
    """latest_test leads there."""
    endless.report.on_reload(endless.loaded(200))
    assert endless.run.played_file.read_text().strip().endswith("checkpoint_200.pth")


def test_memory_does_not_grow(endless: Told) -> None:
    """The newest episodes and checkpoints are kept, and all are counted."""
    for iteration in range(KEPT_CHECKPOINTS + 5):
        endless.report._policy = endless.loaded(iteration)
        endless.episode(1.0)
        endless.report._finish_checkpoint()
    endless.report.close()
    results = endless.results()
    assert len(results["games"]) == KEPT_EPISODES
    assert len(results["checkpoints"]) == KEPT_CHECKPOINTS
    assert results["checkpoints"][-1]["iteration"] == KEPT_CHECKPOINTS + 4
    assert results["summary"]["games"] == KEPT_CHECKPOINTS + 5


def test_a_test_of_so_many_games_tells_each(tmp_path: Path) -> None:
    """And keeps all of them, however many."""
    told = Told(tmp_path, episodes=KEPT_EPISODES + 1)
    for _ in range(KEPT_EPISODES + 1):
        told.episode(2.0)
    told.report.close()
    assert len(told.results()["games"]) == KEPT_EPISODES + 1
    assert told.lines[0] == f"episode    1/{KEPT_EPISODES + 1}  environment 0  return      2.00  length   10  timeout"
    assert told.lines[-3].startswith(f"{KEPT_EPISODES + 1} episodes: return 2.00")
    assert told.lines[-2] == f"ended by timeout {KEPT_EPISODES + 1}"


def test_that_all_episodes_are_alike_is_explained(tmp_path: Path) -> None:
    """A deviation of 0 looks like a mistake; different returns are not explained."""
    alike, different = Told(tmp_path, episodes=2), Told(tmp_path, episodes=2)
    for told, last in ((alike, 2.0), (different, 3.0)):
        told.episode(2.0)
        told.episode(last)
        told.report.close()
    assert alike.lines[-1].startswith("All episodes were alike: they start in the same way")
    assert not any("alike" in line for line in different.lines)


def test_writing_takes_no_memory_for_each_game(tmp_path: Path) -> None:
    """The results of a long test are written in pieces."""
    told = Told(tmp_path, episodes=5000)
    for _ in range(2000):
        told.episode(2.0)
    tracemalloc.start()
    try:
        told.report.on_reload(told.loaded(200))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < told.run.results_file.stat().st_size / 2


def test_where_no_episode_can_succeed_no_success_rate_is_shown(tmp_path: Path) -> None:
    """Neither on the console nor in the sinks; the results keep their keys."""
    told = Told(tmp_path, episodes=2, has_success=False)
    for _ in range(2):
        told.episode(2.0)
    told.report.close()
    assert told.lines[-3:-1] == ["2 episodes: return 2.00 +- 0.00, length 10.0", "ended by timeout 2"]
    assert not any("success" in name for _, row in told.sink.rows for name in row)
    assert told.results()["summary"]["success_rate"] == 0.0


def test_without_a_finished_game_that_is_said(endless: Told) -> None:
    """No number is made up."""
    endless.report.close()
    assert endless.lines == ["No episode was finished."]
    assert endless.results()["summary"]["mean_return"] is None


def test_results_that_cannot_be_written_do_not_end_the_test(
    endless: Told, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once; when there is room again they are written."""

    def refuse(*_: Any) -> Any | None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("dexhand.app.evaluation_report.write_atomically", refuse)
        for iteration in (200, 300):
            endless.report.on_reload(endless.loaded(iteration))
    assert caplog.text.count("Results cannot be written") == 1
    endless.report.close()
    assert endless.results()["summary"]["games"] == 0
