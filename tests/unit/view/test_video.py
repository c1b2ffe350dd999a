"""VideoFile: what was added is in the file, also when its process was killed or its disk is full."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dexhand.view.video import VideoFile

DiskWithRoomFor = Callable[[int], contextlib.AbstractContextManager[None]]
RATE = Fraction(100, 3)


def picture(number: int) -> np.ndarray:
    """A white column that moves to the right over black, one pixel pair per picture."""
    black = np.zeros((48, 64, 3), np.uint8)
    black[:, 2 * number % 64 : 2 * number % 64 + 8] = 255
    return black


def noise() -> np.ndarray:
    """A picture that hardly compresses."""
    return np.random.default_rng().integers(0, 256, (48, 64, 3), np.uint8)


def decoded(path: Path) -> list[np.ndarray]:
    """The pictures of a file."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_pictures_come_back_at_their_rate(tmp_path: Path) -> None:
    """Size, number, rate and content are those of what was added."""
    video = VideoFile(tmp_path / "a.mp4", RATE)
    for number in range(25):
        video.add(picture(number))
    video.close()
    found = decoded(video.path)
    assert len(found) == video.pictures == 25
    for number, shown in enumerate(found):
        assert np.abs(shown.astype(int) - picture(number)).mean() < 8
    with av.open(str(video.path)) as container:
        assert container.streams.video[0].average_rate == RATE
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.duration == pytest.approx(25 * 0.03 * 1e6, rel=0.01)


def test_a_file_without_pictures_is_removed(tmp_path: Path) -> None:
    """No player could open it."""
    video = VideoFile(tmp_path / "a.mp4", RATE)
    video.close()
    video.close()
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_leaves_a_playable_file(tmp_path: Path) -> None:
    """All but the last moments before kill -9 are there."""
    path = tmp_path / "a.mp4"
    program = f"""
        import numpy as np, sys, time
        from fractions import Fraction
        from dexhand.view.video import VideoFile
        video = VideoFile({str(path)!r}, Fraction(30))
        for number in range(150):
            video.add(np.full((48, 64, 3), number, np.uint8))
        print("written", flush=True)
        time.sleep(60)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"written\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    found = decoded(path)
    assert 90 <= len(found) <= 150
    assert [int(shown.mean()) for shown in found[:90]] == pytest.approx(range(90), abs=3)


def test_a_full_disk_leaves_what_was_written(tmp_path: Path, disk_with_room_for: DiskWithRoomFor) -> None:
    """The error reaches the caller, and the file can be played up to there."""
    video = VideoFile(tmp_path / "a.mp4", RATE)
    with disk_with_room_for(100_000):
        with pytest.raises(OSError, match="too large"):  # noqa: PT012
            for _ in range(1000):
                video.add(noise())
        with contextlib.suppress(OSError):
            video.close()
    assert video.path.stat().st_size <= 100_000
    assert 0 < len(decoded(video.path)) < video.pictures


@pytest.mark.parametrize("room", [50, 100, 1000])
@pytest.mark.parametrize("pictures", [1, 100])
def test_a_full_disk_leaves_nothing_that_cannot_be_played(
    tmp_path: Path, disk_with_room_for: DiskWithRoomFor, room: int, pictures: int
) -> None:
    """Without room for the first piece there is no file, and libavformat does not crash."""
    video = VideoFile(tmp_path / "a.mp4", RATE)
    with disk_with_room_for(room), pytest.raises(OSError, match="too large"), contextlib.closing(video):  # noqa: PT012
        for _ in range(pictures):
            video.add(noise())
    assert list(tmp_path.iterdir()) == []
