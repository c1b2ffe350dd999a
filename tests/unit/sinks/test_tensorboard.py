"""Metrics as event files."""

import errno
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import SummaryWriter

from dexhand.core.interfaces import MetricSink
from dexhand.mock.clock import FakeClock
from dexhand.sinks import tensorboard
from dexhand.sinks.tensorboard import TensorBoardSink
from dexhand.testing.metric_sink import MetricSinkConformance, Series


class TestContract(MetricSinkConformance):
    def make_sink(self, folder: Path) -> MetricSink:
        return TensorBoardSink(folder / "summaries")

    def recorded(self, sink: MetricSink, folder: Path) -> Series:
        """A colon, which TensorBoard does not take, was written as an underscore."""
        events = EventAccumulator(str(folder / "summaries"))
        events.Reload()
        return {
            name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]
        }


def test_scalars_can_be_read_back(tmp_path: Path) -> None:
    """Values at their steps; a colon, which TensorBoard does not take, becomes an underscore."""
    sink = TensorBoardSink(tmp_path)
    sink.scalars(10, {"losses/actor": 0.5, "episodes/failure:hitting_ground": 0.25})
    sink.scalars(20, {"losses/actor": 0.25})
    sink.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("losses/actor")] == [(10, 0.5), (20, 0.25)]
    assert events.Scalars("episodes/failure_hitting_ground")[0].value == 0.25


def test_pictures_can_be_read_back(tmp_path: Path) -> None:
    """Height and width are kept."""
    sink = TensorBoardSink(tmp_path)
    sink.images(5, {"camera": np.zeros((4, 6, 3), np.uint8)})
    sink.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    (picture,) = events.Images("camera")
    assert (picture.step, picture.height, picture.width) == (5, 4, 6)


def test_closing_twice_is_fine(tmp_path: Path) -> None:
    """The second call does nothing."""
    sink = TensorBoardSink(tmp_path)
    sink.close()
    sink.close()


def test_a_full_disk_loses_metrics_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once; ten seconds later it is tried again, in another file of the same folder."""
    clock = FakeClock()
    sink = TensorBoardSink(tmp_path, clock=clock)
    with monkeypatch.context() as full:
        full.setattr(SummaryWriter, "add_scalar", no_space)
        for step in range(3):
            sink.scalars(step, {"losses/actor": 0.5})
    sink.scalars(3, {"losses/actor": 0.5})
    clock.sleep(11.0)
    sink.scalars(4, {"losses/actor": 0.25})
    sink.close()
    assert caplog.text.count("Metrics cannot be written") == 1
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("losses/actor")] == [(4, 0.25)]


def test_a_disk_that_is_full_in_the_writers_thread_is_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The error is one line; other threads' errors are reported as ever."""
    reported: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda failure: reported.append(failure.exc_type))
    tensorboard._ignore_writer_threads.cache_clear()
    monkeypatch.setattr(RecordWriter, "write", no_space)
    TensorBoardSink(tmp_path).close()
    assert reported == []
    assert caplog.text.count("Metrics cannot be written") == 1
    other = threading.Thread(target=no_space)
    other.start()
    other.join()
    assert reported == [OSError]
    tensorboard._ignore_writer_threads.cache_clear()


def test_a_folder_whose_name_is_no_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """TensorBoard cannot write there, which is reported and ends no training."""
    folder = tmp_path / os.fsdecode(b"\xff")
    sink = TensorBoardSink(folder)
    sink.scalars(0, {"losses/actor": 0.5})
    sink.close()
    assert caplog.text.count("Metrics cannot be written") == 1
    assert r"\udcff" in caplog.text


def no_space(*arguments: object) -> None:
    """As a full file system does."""
    raise OSError(errno.ENOSPC, "No space left on device")
