"""Which samples are remembered as hard, and what is said of them."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dexhand.checkpoints.store import load_checkpoint, save_checkpoint
from dexhand.hard_examples.reports import HardExampleReport, merge_reports
from dexhand.hard_examples.tracker import HardExampleTracker

Batch = list[tuple[int, float]]
"""Keys and losses."""
LOSSES = st.one_of(st.floats(-10, 10, width=32), st.sampled_from([math.nan, math.inf, -math.inf, 1.0]))
BATCHES = st.lists(st.lists(st.tuples(st.integers(0, 12), LOSSES), max_size=6), max_size=12)


def feed(tracker: HardExampleTracker, batches: Sequence[Batch], first_step: int = 0) -> HardExampleTracker:
    """One step a batch; each sample's picture shows its key."""
    for step, batch in enumerate(batches, start=first_step):
        keys = [key for key, _ in batch]
        images = torch.tensor(keys, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 2, 2, 3)
        losses = torch.tensor([loss for _, loss in batch], dtype=torch.float32)
        tracker.update(step, keys, losses, images.__getitem__, lambda place, keys=keys: {"name": f"n{keys[place]}"})
    return tracker


def losses_of(tracker: HardExampleTracker) -> dict[Any, float]:
    """By key, hardest first."""
    return {example.key: example.loss for example in tracker.buffer}


@given(BATCHES, st.integers(1, 6), st.sampled_from([-math.inf, 0.0]))
def test_the_buffer_is_what_sorting_everything_would_give(batches: list[Batch], size: int, least: float) -> None:
    """The highest loss of each sample, the highest ones first, pictures and details of the right samples."""
    tracker = feed(HardExampleTracker(size, min_loss=least), batches)
    highest: dict[int, float] = {}
    for key, loss in (pair for batch in batches for pair in batch):
        if math.isfinite(loss) and loss >= least:
            highest[key] = max(loss, highest.get(key, -math.inf))
    losses = [example.loss for example in tracker.buffer]
    assert losses == sorted(highest.values(), reverse=True)[:size]
    assert all(highest[example.key] == example.loss for example in tracker.buffer)
    assert tracker.keys == set(losses_of(tracker))
    assert len(tracker.keys) == len(losses)
    for example in tracker.buffer:
        assert example.image is not None
        assert bool((example.image == example.key).all())
        assert example.details == {"name": f"n{example.key}"}


@given(BATCHES, BATCHES, st.integers(1, 6))
def test_a_tracker_continues_from_a_saved_state(before: list[Batch], after: list[Batch], size: int) -> None:
    """The same bits as one that went on, its report included."""
    steady = feed(HardExampleTracker(size), before)
    resumed = HardExampleTracker(size)
    resumed.load_state_dict(steady.state_dict())
    for tracker in (steady, resumed):
        feed(tracker, after, first_step=len(before))
    assert repr(resumed.state_dict()) == repr(steady.state_dict())
    assert resumed.report(20).to_json() == steady.report(20).to_json()


def test_the_state_fits_into_a_checkpoint(tmp_path: Path) -> None:
    """NaN, pictures and all."""
    tracker = feed(HardExampleTracker(3), [[(1, 2.0), (2, math.nan), (3, 4.0)]])
    save_checkpoint(tmp_path / "a.pth", {"tracker": tracker.state_dict()})
    again = HardExampleTracker(3)
    again.load_state_dict(load_checkpoint(tmp_path / "a.pth")["tracker"])
    assert repr(again.state_dict()) == repr(tracker.state_dict())


@pytest.mark.parametrize(("size", "terms"), [(200, 1000), (10_000, 10)])
def test_the_largest_state_fits_into_a_checkpoint(tmp_path: Path, size: int, terms: int) -> None:
    """Many samples, or few with many details."""
    tracker = HardExampleTracker(size, report_size=size)
    details = {"outcome": "timeout", "length": 7, **{f"rewards/my_reward_term_number_{n}": 1 / 3 for n in range(terms)}}
    keys = [f"1000000-{n}-100" for n in range(size)]
    for loss in (1 / 3, math.nan):
        tracker.update(10**9, keys, torch.full((size,), loss), details=lambda place: details)
    save_checkpoint(tmp_path / "a.pth", {"return": tracker.state_dict(), "sample_loss": tracker.state_dict()})
    again = HardExampleTracker(size, report_size=size)
    again.load_state_dict(load_checkpoint(tmp_path / "a.pth")["return"])
    assert again.buffer == tracker.buffer
    assert list(again.buffer[0].details) == list(details)


def test_samples_saved_by_an_earlier_version_are_kept() -> None:
    """It wrote them one by one."""
    tracker = feed(HardExampleTracker(3), [[(1, 2.0), (2, math.nan), (3, 4.0)]])
    state = tracker.state_dict()
    state["buffer"] = [{**vars(entry), "details": dict(entry.details)} for entry in tracker.buffer]
    again = HardExampleTracker(3)
    again.load_state_dict(state)
    assert repr(again.state_dict()) == repr(tracker.state_dict())


def test_samples_with_different_details_are_kept() -> None:
    """As after a training was continued with other reward terms."""
    tracker = HardExampleTracker(3)
    for number, details in enumerate(({"a": 1.5}, {"b": 2**70, "c": None}, {"a": 2.5}, {})):
        tracker.update(number, [number], torch.tensor([1.0]), details=lambda place, details=details: details)
    again = HardExampleTracker(3)
    again.load_state_dict(tracker.state_dict())
    assert again.buffer == tracker.buffer


def test_a_sample_seen_again_keeps_its_higher_loss() -> None:
    """And the step of it."""
    tracker = feed(HardExampleTracker(3), [[(1, 2.0)], [(1, 5.0)], [(1, 3.0)]])
    (example,) = tracker.buffer
    assert (example.loss, example.step) == (5.0, 1)


def test_pictures_are_asked_only_of_samples_that_enter() -> None:
    """A batch of a hundred, three of them kept; then an easy batch."""
    asked: list[int] = []

    def image(place: int) -> Tensor:
        asked.append(place)
        return torch.zeros(2, 2, 3, dtype=torch.uint8)

    tracker = HardExampleTracker(3)
    assert tracker.update(0, range(100), torch.arange(100.0), image) == 3
    assert asked == [99, 98, 97]
    assert tracker.update(1, range(100, 200), torch.full((100,), 97.0), image) == 0
    assert asked == [99, 98, 97]


@pytest.mark.parametrize(
    ("size", "kept"), [((128, 128), (64, 64)), ((480, 640), (48, 64)), ((20, 30), (20, 30)), ((1, 1000), (1, 64))]
)
def test_pictures_are_made_smaller_and_never_larger(size: tuple[int, int], kept: tuple[int, int]) -> None:
    """In proportion, as bytes of their own."""
    images = torch.full((4, *size, 3), 200, dtype=torch.uint8)
    tracker = HardExampleTracker(1, image_side=64)
    tracker.update(0, range(4), torch.tensor([1.0, 4.0, 2.0, 3.0]), images.__getitem__)
    image = tracker.buffer[0].image
    assert image is not None
    assert image.shape == (*kept, 3)
    assert image.untyped_storage().nbytes() == kept[0] * kept[1] * 3
    images.zero_()
    assert bool((image == 200).all())


def test_losses_that_are_not_finite_are_counted_and_shown_apart() -> None:
    """With their keys, the first of them; the order of the others does not suffer."""
    batch = [(1, math.nan), (2, 3.0), (3, math.inf), (4, -math.inf), (5, 1.0), (6, math.nan)]
    tracker = feed(HardExampleTracker(4, report_size=3), [batch])
    report = tracker.report(0)
    assert list(losses_of(tracker)) == [2, 5]
    assert (report.nan_losses, report.infinite_losses) == (2, 2)
    assert [example.key for example in report.nonfinite] == [1, 3, 4]
    assert [example.details["name"] for example in report.nonfinite] == ["n1", "n3", "n4"]
    assert (report.interval_samples, report.interval_losses.size, report.total_samples) == (6, 2, 6)


def test_a_report_ends_an_interval() -> None:
    """Counts of the run and the buffer go on."""
    tracker = feed(HardExampleTracker(4), [[(1, 1.0), (2, math.nan)]])
    tracker.report(0)
    assert tracker.unreported_samples == 0
    report = feed(tracker, [[(3, 5.0)]], first_step=1).report(1)
    assert (report.interval_samples, report.total_samples, report.buffer_size) == (1, 3, 2)
    assert report.threshold == 5.0
    assert (report.nonfinite, report.nan_losses) == ((), 1)


@pytest.mark.parametrize(("quantile", "threshold"), [(0.0, -1.0), (0.5, 2.0), (0.74, 2.0), (0.75, 3.0), (1.0, 4.0)])
def test_the_threshold_is_one_of_the_losses_of_the_interval(quantile: float, threshold: float) -> None:
    """That of rank floor(quantile (n - 1)), in whatever order they came."""
    tracker = feed(HardExampleTracker(1, quantile=quantile), [[(1, 3.0), (2, -1.0)], [(3, 4.0), (4, 2.0), (5, 1.0)]])
    assert tracker.report(1).threshold == threshold


def test_an_interval_saved_by_an_earlier_version_goes_on() -> None:
    """It held the counts of bins in which all losses lie within 1 % of the middle."""
    state = HardExampleTracker(2).state_dict()
    state["interval"] = {"bins": [[-1, 35, 1], [0, 0, 1], [1, 81, 3]], "count": 5}  # -2.0, 0.0 and 5.0 three times
    tracker = HardExampleTracker(2)
    tracker.load_state_dict(state)
    assert tracker.report(0).interval_losses == pytest.approx([-2.0, 0.0, 5.0, 5.0, 5.0], rel=0.01)


def test_what_sinks_are_given() -> None:
    """Scalars, pictures by rank, and JSON that any reader takes."""
    report = feed(HardExampleTracker(4), [[(1, 1.0), (2, math.nan), (3, 2.0)]]).report(0)
    assert report.scalars()["hard_examples/interval_max"] == 2.0
    assert report.scalars()["hard_examples/nan_losses"] == 1.0
    pictures = report.images()
    assert {name: int(image[0, 0, 0]) for name, image in pictures.items()} == {
        "hard_examples/01": 3,
        "hard_examples/02": 1,
    }
    read = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert [entry["key"] for entry in read["entries"]] == [3, 1]
    assert read["nonfinite"][0]["loss"] == "nan"


def test_an_interval_without_finite_losses_has_no_threshold() -> None:
    """And its JSON can still be written."""
    report = feed(HardExampleTracker(4), [[(2, math.nan)]]).report(0)
    assert math.isnan(report.threshold)
    assert "hard_examples/threshold" not in report.scalars()
    assert json.loads(json.dumps(report.to_json(), allow_nan=False))["threshold"] == "nan"


def test_pictures_are_optional() -> None:
    """Keys may be text."""
    tracker = HardExampleTracker(2)
    tracker.update(0, ["a", "b"], torch.tensor([1.0, 2.0]))
    report = tracker.report(0)
    assert [entry.key for entry in report.entries] == ["b", "a"]
    assert report.images() == {}
    assert report.to_json()["entries"][0]["image_shape"] is None


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"max_hard_examples": 0}, "max_hard_examples=0"), ({"image_side": 0}, "image_side=0"),
     ({"report_size": 0}, "report_size=0"), ({"quantile": 1.5}, "quantile=1.5")],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], name: str) -> None:
    """Naming which."""
    with pytest.raises(ValueError, match=name):
        HardExampleTracker(**settings)


def test_a_refused_batch_changes_nothing() -> None:
    """Wrong shapes, wrong pictures."""
    tracker = feed(HardExampleTracker(2), [[(1, 1.0)]])
    before = repr(tracker.state_dict())
    floats = torch.zeros(2, 4, 4, 3)
    with pytest.raises(ValueError, match=r"losses have shape \(3,\); 2 keys"):
        tracker.update(1, [1, 2], torch.ones(3))
    with pytest.raises(ValueError, match=r"torch.float32 of shape \(4, 4, 3\); it must be torch.uint8"):
        tracker.update(1, [1, 2], torch.tensor([math.nan, 3.0]), floats.__getitem__)
    assert repr(tracker.state_dict()) == before


def reports_of(*processes: list[float]) -> list[HardExampleReport]:
    """Losses by process; keys are unique."""
    reports, key = [], 0
    for rank, losses in enumerate(processes):
        tracker = HardExampleTracker(10, process=rank)
        tracker.update(0, range(key, key + len(losses)), torch.tensor(losses))
        key += len(losses)
        reports.append(tracker.report(0))
    return reports


def test_processes_take_turns_in_a_merged_report() -> None:
    """One that has only hard samples does not crowd out the others; the last place goes to the harder one."""
    merged = merge_reports(reports_of([9.0, 8.0, 7.0, 6.0], [2.0, 1.0], [3.0, 2.5]), size=5)
    assert [(entry.loss, entry.process) for entry in merged.entries] == [
        (9.0, 0),
        (8.0, 0),
        (3.0, 2),
        (2.5, 2),
        (2.0, 1),
    ]


def test_a_process_with_little_to_give_leaves_its_turns_to_others() -> None:
    """Five places are filled."""
    merged = merge_reports(reports_of([9.0, 8.0, 7.0, 6.0], [2.0], []), size=5)
    assert [entry.loss for entry in merged.entries] == [9.0, 8.0, 7.0, 6.0, 2.0]


def test_a_sample_of_several_processes_counts_once() -> None:
    """With its highest loss."""
    one, other = HardExampleTracker(process=0), HardExampleTracker(process=1)
    one.update(0, [1, 2], torch.tensor([3.0, 1.0]))
    other.update(0, [1, 3], torch.tensor([5.0, 2.0]))
    merged = merge_reports([one.report(0), other.report(0)], size=10)
    assert [(entry.key, entry.loss, entry.process) for entry in merged.entries] == [
        (1, 5.0, 1),
        (3, 2.0, 1),
        (2, 1.0, 0),
    ]


def test_a_merged_report_adds_up() -> None:
    """Counts, statistics, and what is not finite, in order of time."""
    merged = merge_reports(reports_of([1.0, math.nan], [2.0, 3.0, math.inf]), size=10)
    assert (merged.total_samples, merged.interval_samples, merged.interval_losses.size) == (5, 5, 3)
    assert (merged.nan_losses, merged.infinite_losses, merged.processes, merged.buffer_size) == (1, 1, 2, 3)
    assert sorted(merged.interval_losses) == [1.0, 2.0, 3.0]
    assert [example.process for example in merged.nonfinite] == [0, 1]


def test_trackers_of_several_processes_become_one() -> None:
    """A training of two processes goes on in one."""
    one, other = (
        feed(HardExampleTracker(2), [[(1, 1.0), (2, 9.0)]]),
        feed(HardExampleTracker(2), [[(3, 5.0), (2, 8.0)]]),
    )
    tracker = HardExampleTracker(2)
    tracker.load_state_dict(one.state_dict(), other.state_dict())
    assert losses_of(tracker) == {2: 9.0, 3: 5.0}
    assert tracker.total_samples == 4


def test_merging_nothing_is_refused() -> None:
    """Every process gives a report."""
    with pytest.raises(ValueError, match="no report"):
        merge_reports([], 10)
