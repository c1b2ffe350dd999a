"""When the training loop saves and when it stops."""

import errno
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from dexhand.checkpoints.store import CheckpointStore, load_checkpoint
from dexhand.core.interfaces import Iteration, Policy
from dexhand.core.saved_state import best_return_of
from dexhand.core.stop import StopRequest
from dexhand.core.train_loop import TrainLoop
from dexhand.mock.clock import FakeClock
from dexhand.sinks.memory import MemorySink


class ScriptedAlgorithm:
    """Returns come from a list; each iteration takes a second."""

    def __init__(self, returns: list[float | None], clock: FakeClock, stop: StopRequest | None = None) -> None:
        self.returns = returns
        self.clock = clock
        self.stop = stop
        self.iterations_done = 0

    @property
    def frames_done(self) -> int:
        """Ten frames an iteration."""
        return self.iterations_done * 10

    def iterate(self) -> Iteration:
        """The next return; with ``stop``, a stop is requested in the middle of iteration 3."""
        self.iterations_done += 1
        self.clock.sleep(1.0)
        if self.stop is not None and self.iterations_done == 3:
            self.stop.requested = True
        mean_return = self.returns[self.iterations_done - 1]
        return Iteration(self.iterations_done, self.frames_done, mean_return, {"losses/actor": 0.5})

    def state_dict(self) -> dict[str, Any]:
        """How far it is."""
        return {"iterations": self.iterations_done}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue."""
        self.iterations_done = state["iterations"]

    def policy(self) -> Policy:
        """None is needed here."""
        raise AssertionError("the training loop needs no policy")

    def close(self) -> None:
        """Nothing."""


class Bench:
    """A loop with all its parts at hand."""

    def __init__(self, folder: Path, returns: list[float | None], **settings: Any) -> None:
        self.clock = FakeClock()
        self.stop = StopRequest()
        self.algorithm = ScriptedAlgorithm(returns, self.clock, self.stop if settings.pop("stop", False) else None)
        self.store = CheckpointStore(folder)
        self.sink = MemorySink()
        defaults = {"max_iterations": len(returns), "save_frequency": 100, "save_interval": 1000.0}
        self.loop = TrainLoop(self.algorithm, self.store, [self.sink], clock=self.clock, **{**defaults, **settings})

    def saved(self, name: str) -> int:
        """The iteration in a checkpoint."""
        return int(load_checkpoint(self.store.folder / name)["iterations"])


def test_the_last_iteration_is_always_saved(tmp_path: Path) -> None:
    """Even if nothing else made a checkpoint due."""
    bench = Bench(tmp_path, [None, None, None])
    result = bench.loop.run(bench.stop)
    assert result.reason == "max iterations"
    assert result.checkpoint == tmp_path / "latest.pth"
    assert bench.saved("latest.pth") == 3
    assert result.best_return is None


def test_numbered_checkpoints_come_at_their_frequency(tmp_path: Path) -> None:
    """Every second iteration."""
    bench = Bench(tmp_path, [None] * 5, save_frequency=2)
    bench.loop.run(bench.stop)
    assert [path.name for path in bench.store.numbered()] == ["checkpoint_2.pth", "checkpoint_4.pth"]
    assert bench.saved("latest.pth") == 5


def test_the_best_checkpoint_is_kept_when_returns_get_worse(tmp_path: Path) -> None:
    """Returns 1, 3, 2: iteration 2 stays the best."""
    bench = Bench(tmp_path, [1.0, 3.0, 2.0])
    result = bench.loop.run(bench.stop)
    assert result.best_return == 3.0
    assert bench.saved("checkpoint_best.pth") == 2
    assert bench.saved("latest.pth") == 3


def test_a_checkpoint_is_due_after_the_save_interval(tmp_path: Path) -> None:
    """Iterations of a second, an interval of two: the file is written in iterations 2, 4 ..."""
    written: list[int] = []

    class Spy(CheckpointStore):
        def save(self, state: Mapping[str, Any], *, iteration: int, numbered: bool = False, best: bool = False) -> Path:
            written.append(iteration)
            return super().save(state, iteration=iteration, numbered=numbered, best=best)

    bench = Bench(tmp_path, [None] * 5, save_interval=2.0)
    bench.loop.store = Spy(tmp_path)
    bench.loop.run(bench.stop)
    assert written == [2, 4, 5]


def test_the_target_score_ends_training(tmp_path: Path) -> None:
    """In the iteration that reaches it."""
    bench = Bench(tmp_path, [1.0, 2.0, 3.0], target_score=2.0)
    result = bench.loop.run(bench.stop)
    assert (result.reason, result.iterations_done) == ("target score", 2)


def test_a_stop_request_lets_the_iteration_finish(tmp_path: Path) -> None:
    """It is saved, too."""
    bench = Bench(tmp_path, [None] * 9, stop=True)
    result = bench.loop.run(bench.stop)
    assert (result.reason, result.iterations_done) == ("stop requested", 3)
    assert bench.saved("latest.pth") == 3


def test_a_continued_run_knows_the_mark_to_beat(tmp_path: Path) -> None:
    """A worse return after resuming is no new best."""
    first = Bench(tmp_path / "a", [5.0])
    first.loop.run(first.stop)
    state = load_checkpoint(tmp_path / "a" / "latest.pth")
    second = Bench(tmp_path / "b", [5.0, 4.0], best_return=best_return_of(state))
    second.algorithm.load_state_dict(state)
    result = second.loop.run(second.stop)
    assert result.best_return == 5.0
    assert second.store.best() is None


def test_nothing_to_do_still_leaves_a_checkpoint(tmp_path: Path) -> None:
    """A run that was asked to stop before its first iteration."""
    bench = Bench(tmp_path, [1.0])
    bench.stop.requested = True
    assert bench.loop.run(bench.stop).checkpoint == tmp_path / "latest.pth"
    assert bench.saved("latest.pth") == 0


def test_every_iteration_is_reported(tmp_path: Path) -> None:
    """At its frame, with its number."""
    bench = Bench(tmp_path, [None, 1.0])
    bench.loop.run(bench.stop)
    assert [step for step, _ in bench.sink.rows] == [10, 20]
    assert bench.sink.series("info/iteration") == [1.0, 2.0]
    assert bench.sink.series("losses/actor") == pytest.approx([0.5, 0.5])


class DivergingAlgorithm(ScriptedAlgorithm):
    """In iteration 3 ``bad`` is the actor's loss, or one number of the optimizer's state or of the environment's."""

    place = "losses/actor"
    bad = float("nan")
    rewards = 0.0

    def iterate(self) -> Iteration:
        """With the loss."""
        iteration = super().iterate()
        if self.place in iteration.metrics and self.iterations_done == 3:
            iteration.metrics.update({self.place: self.bad, "rewards/total": self.rewards})
        return iteration

    def state_dict(self) -> dict[str, Any]:
        """With a nested tensor of this iteration."""
        number = torch.tensor([0.0, self.bad if self.iterations_done == 3 else 0.0])
        return {**super().state_dict(), "nested": [{self.place: number}]}


class TestDivergence:
    @pytest.mark.parametrize("bad", [float("nan"), float("inf")])
    @pytest.mark.parametrize("place", ["losses/actor", "exp_avg_sq"])
    def test_what_is_not_finite_is_never_saved(self, tmp_path: Path, place: str, bad: float) -> None:
        """Training ends there; the checkpoints from before stay."""
        bench = Bench(tmp_path, [1.0, 2.0, 3.0, 4.0], save_frequency=1)
        bench.loop.algorithm = algorithm = DivergingAlgorithm([1.0, 2.0, 3.0, 4.0], bench.clock)
        algorithm.place, algorithm.bad = place, bad
        result = bench.loop.run(bench.stop)
        assert (result.reason, result.iterations_done) == ("diverged", 3)
        where = place if place.startswith("losses/") else f"nested[0].{place}"
        assert result.unsaved == f"{where} is not finite"
        assert result.checkpoint == tmp_path / "checkpoint_2.pth"
        assert [bench.saved("latest.pth"), bench.saved("checkpoint_best.pth")] == [2, 2]
        assert [path.name for path in bench.store.numbered()] == ["checkpoint_1.pth", "checkpoint_2.pth"]
        assert result.best_return == 2.0

    def test_a_reward_is_the_cause(self, tmp_path: Path) -> None:
        """Where a loss is not finite because a reward is not."""
        bench = Bench(tmp_path, [1.0, 2.0, 3.0, 4.0])
        bench.loop.algorithm = algorithm = DivergingAlgorithm([1.0, 2.0, 3.0, 4.0], bench.clock)
        algorithm.rewards, algorithm.place, algorithm.bad = float("inf"), "losses/actor", float("nan")
        assert bench.loop.run(bench.stop).unsaved == "rewards/total is not finite"

    def test_a_task_may_keep_infinities(self, tmp_path: Path) -> None:
        """What lies under ``env`` is the environment's own."""
        bench = Bench(tmp_path, [1.0, 2.0, 3.0, 4.0], save_frequency=1)
        bench.loop.algorithm = algorithm = DivergingAlgorithm([1.0, 2.0, 3.0, 4.0], bench.clock)
        algorithm.place, algorithm.bad = "env", float("inf")
        assert bench.loop.run(bench.stop).reason == "max iterations"
        assert bench.saved("latest.pth") == 4


class FullDisk(CheckpointStore):
    """Cannot write while ``is_full``."""

    is_full = True

    def save(self, state: Mapping[str, Any], *, iteration: int, numbered: bool = False, best: bool = False) -> Path:
        """As a file system without space does it."""
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().save(state, iteration=iteration, numbered=numbered, best=best)


class TestFailedSaves:
    def test_training_goes_on_and_says_what_is_wrong(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """To the end, where the result tells it too."""
        bench = Bench(tmp_path, [1.0, 2.0, 3.0])
        bench.loop.store = FullDisk(tmp_path)
        result = bench.loop.run(bench.stop)
        assert result.iterations_done == 3
        assert result.checkpoint is None
        assert result.unsaved == f"No space left on device ({tmp_path})"
        assert caplog.text.count("could not be saved: No space left on device") == 2  # the first and the last

    def test_a_state_that_cannot_be_saved_does_not_end_training(self, tmp_path: Path) -> None:
        """Whatever a learner puts into it; the result tells it."""
        bench = Bench(tmp_path, [1.0, 2.0, 3.0])
        state_dict = bench.loop.algorithm.state_dict
        bench.loop.algorithm.state_dict = lambda: {**state_dict(), "odd": b""}  # type: ignore[method-assign]
        result = bench.loop.run(bench.stop)
        assert (result.iterations_done, result.checkpoint) == (3, None)
        assert "state['odd'] is a builtins.bytes" in (result.unsaved or "")

    def test_saving_is_tried_again_until_it_works(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Every ten seconds; iterations take one."""
        bench = Bench(tmp_path, [None] * 45, save_frequency=5)
        store = FullDisk(tmp_path)
        bench.loop.store = store
        report = bench.loop._report

        def make_room(iteration: Iteration) -> None:
            report(iteration)
            store.is_full = iteration.iterations_done < 31

        bench.loop._report = make_room  # type: ignore[method-assign]
        bench.loop.save_frequency = 1000
        bench.loop.save_interval = 12.0
        result = bench.loop.run(bench.stop)
        caplog_lines = [line for line in caplog.text.splitlines() if "could not be saved" in line]
        assert ["Iteration 12" in caplog_lines[0], "Iteration 22" in caplog_lines[1], len(caplog_lines)] == [
            True,
            True,
            2,
        ]
        assert (result.checkpoint, result.unsaved) == (tmp_path / "latest.pth", None)
        assert bench.saved("latest.pth") == 45

    def test_a_best_that_was_lost_is_no_mark_to_beat(self, tmp_path: Path) -> None:
        """Return 3 is best when it fails to be saved; 2 is the best on disk then."""
        bench = Bench(tmp_path, [1.0, 3.0, 2.0])
        store = FullDisk(tmp_path)
        bench.loop.store = store
        report = bench.loop._report

        def full_in_the_second(iteration: Iteration) -> None:
            report(iteration)
            store.is_full = iteration.iterations_done == 2

        bench.loop._report = full_in_the_second  # type: ignore[method-assign]
        result = bench.loop.run(bench.stop)
        assert result.best_return == 2.0
        assert bench.saved("checkpoint_best.pth") == 3

    def test_a_folder_that_vanished_is_made_again(self, tmp_path: Path) -> None:
        """Somebody tidied up."""
        bench = Bench(tmp_path / "nn", [1.0, 2.0])
        bench.store.folder.mkdir()
        shutil.rmtree(bench.store.folder)
        assert bench.loop.run(bench.stop).unsaved is None
        assert bench.saved("latest.pth") == 2
