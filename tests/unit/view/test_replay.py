"""Replay: the page holds what happened, is no longer and no larger than asked, and costs no test its results."""

import base64
import logging
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
import zstandard

from dexhand.mock.env import MockEnv
from dexhand.view.replay import PRECISION, Replay

DiskWithRoomFor = Callable[[int], AbstractContextManager[None]]


def replayed(path: Path, steps: int = 0, **settings: Any) -> tuple[Replay, list[np.ndarray]]:
    """A replay of 5 of the mock's environments, and the poses (4, K, 7) of the first four after reset and each step."""
    env = MockEnv(5, seed=1)
    limits: dict[str, Any] = {"duration": 100.0, "max_megabytes": 5.0, **settings}
    replay = Replay(env, env, path, title="Mock <1>", **limits)
    env.reset(seed=1)
    replay.on_env_step(None)
    poses = [env.frame(range(4)).body_pose]
    for step in range(steps):
        replay.on_env_step(env.step(torch.full((5, 2), 0.5 if step % 2 else -0.1))[4])
        poses.append(env.frame(range(4)).body_pose)
    return replay, poses


def scene_in(page: Path) -> tuple[float, list[tuple[float, dict[str, Any]]], list[bytes]]:
    """Duration in seconds, messages with their times, and arrays of the recording in a page."""
    found = re.search(r'__VISER_EMBED_DATA__="([^"]+)"', page.read_text())
    assert found is not None
    packed = zstandard.ZstdDecompressor().decompressobj().decompress(base64.b64decode(found[1])[8:])
    length = int.from_bytes(packed[:8], "little")
    scene = msgspec.msgpack.decode(packed[8 : 8 + length])
    arrays, at = [], 8 + length
    for size in scene["binaryBufferLengths"]:
        at += -at % 8
        arrays.append(packed[at : at + size])
        at += size
    return scene["durationSeconds"], scene["messages"], arrays


def test_sinks_get_the_page_once(tmp_path: Path) -> None:
    """When it is complete."""
    told: list[bytes] = []
    sink = SimpleNamespace(replay=lambda path: told.append(path.read_bytes()))
    replay, _ = replayed(tmp_path / "replay.html", sinks=[sink])
    replay.close()
    replay.close()
    assert told == [(tmp_path / "replay.html").read_bytes()]


def test_the_page_holds_every_step_at_its_time(tmp_path: Path) -> None:
    """The point of each environment is where it was, in the grid of the page."""
    replay, poses = replayed(tmp_path / "replay.html", steps=8)
    replay.close()
    duration, messages, arrays = scene_in(tmp_path / "replay.html")
    assert duration == pytest.approx(0.9)
    updates = [(time, message) for time, message in messages if message.get("name") == "/world/shapes/1" and time > 0]
    shown = [
        (time, np.frombuffer(arrays[value["__binary_index"]], np.float32).reshape(4, 3))
        for time, message in updates
        if (value := message["updates"].get("batched_positions")) is not None
    ]
    assert [round(time, 6) for time, _ in shown] == [round(0.1 * step, 6) for step in range(1, 9)]
    moved = [positions - shown[0][1] for _, positions in shown]
    expected = [pose[:, 1, :3] - poses[1][:, 1, :3] for pose in poses[1:]]
    assert np.array(moved) == pytest.approx(np.array(expected), abs=1.01 * PRECISION)


def test_captions_tell_episode_and_return(tmp_path: Path) -> None:
    """And the page has a name, in which nothing is markup."""
    replay, _ = replayed(tmp_path / "replay.html", steps=1)
    replay.close()
    assert "<title>Mock &lt;1&gt;</title>" in (tmp_path / "replay.html").read_text()
    texts = [
        message["updates"]["text"]
        for _, message in scene_in(tmp_path / "replay.html")[1]
        if "text" in str(message.get("updates"))
    ]
    assert any(text.startswith("3 · episode 1   return -") for text in texts)


def test_nothing_is_kept_beyond_the_duration(tmp_path: Path) -> None:
    """Steps after that take no time."""
    replay, _ = replayed(tmp_path / "replay.html", steps=3, duration=0.4)
    assert replay.is_complete
    replay.on_env_step({})  # type: ignore[typeddict-item]
    replay.close()
    assert scene_in(tmp_path / "replay.html")[0] == pytest.approx(0.4)


def test_a_page_that_would_be_too_large_ends_earlier(tmp_path: Path) -> None:
    """It is as long as the size allows."""
    whole, _ = replayed(tmp_path / "whole.html", steps=100)
    whole.close()
    size = (tmp_path / "whole.html").stat().st_size
    cut, _ = replayed(tmp_path / "cut.html", steps=100, max_megabytes=(size - 4_000) / 1e6)
    cut.close()
    assert (tmp_path / "cut.html").stat().st_size <= size - 4_000
    assert 1.0 < scene_in(tmp_path / "cut.html")[0] < scene_in(tmp_path / "whole.html")[0]


def test_a_page_is_no_smaller_than_its_viewer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It shows one moment, and one warning tells its size."""
    replay, _ = replayed(tmp_path / "replay.html", steps=20, max_megabytes=0.1)
    replay.close()
    assert scene_in(tmp_path / "replay.html")[0] == pytest.approx(0.1)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert re.search(r"takes 0\.\d\d MB, more than env\.replayMegabytes=0\.1: it cannot be smaller", warning)


def test_a_full_disk_costs_the_page_alone(
    tmp_path: Path, disk_with_room_for: DiskWithRoomFor, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning, and nothing is left of it."""
    replay, _ = replayed(tmp_path / "replay.html")
    with disk_with_room_for(1000):
        replay.close()
    replay.close()
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning == f"The replay is not written: {tmp_path}/replay.html: File too large"
    assert list(tmp_path.iterdir()) == []


def test_without_a_step_there_is_no_page(tmp_path: Path) -> None:
    """Of a test that ended before it began."""
    env = MockEnv(1)
    Replay(env, env, tmp_path / "replay.html", title="", duration=1.0, max_megabytes=1.0).close()
    assert list(tmp_path.iterdir()) == []
