"""Recording: what happened is in the videos, at the speed at which it happened, and nothing slows or ends the steps."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import torch

from dexhand.core.interfaces import Frame, Shape, StepInfo
from dexhand.view import film
from dexhand.view import recording as module
from dexhand.view.film import LocalFilm, ProcessFilm
from dexhand.view.recording import Recording

DiskWithRoomFor = Callable[[int], AbstractContextManager[None]]


class Steps:
    """A ``Drawable`` whose poses are the number of the step."""

    control_dt = 0.04
    shapes: tuple[Shape, ...] = ()

    def __init__(self) -> None:
        self.step = 0

    def frame(self, env_ids: range) -> Frame:
        pose = np.full((len(env_ids), 1, 7), self.step, np.float32)
        return Frame(pose, np.zeros((len(env_ids), 0, 6), np.float32), tuple(f"stage {i}" for i in env_ids))


class GreyPictures:
    """Draws the number of the step as a grey level."""

    def __init__(self) -> None:
        self.is_closed = False
        self.may_draw = threading.Event()
        self.may_draw.set()

    def draw(self, frame: Frame, row: int, width: int, height: int) -> np.ndarray:
        self.may_draw.wait()
        return np.full((height, width, 3), 50 + frame.body_pose[row, 0, 0], np.uint8)

    def close(self) -> None:
        self.is_closed = True


def decoded(path: Path) -> list[np.ndarray]:
    """The pictures of a file."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def steps_in(path: Path) -> list[int]:
    """The numbers of the steps that a video shows, in its lower right corner."""
    return [round(float(picture[-40:-20, -40:-20].mean())) - 50 for picture in decoded(path)]


class Session:
    """A recording of environments that do what the test says."""

    def __init__(self, folder: Path, num_envs: int = 1, **settings: Any) -> None:
        self.num_envs = num_envs
        self.steps, self.pictures = Steps(), GreyPictures()
        env: Any = SimpleNamespace(num_envs=num_envs, device=torch.device("cpu"))
        defaults = {"title": "BoxGrasping", "max_duration": 100.0, "open_film": lambda: LocalFilm(self.pictures)}
        self.recording = Recording(env, self.steps, folder=folder, **{**defaults, **settings})  # type: ignore[arg-type]
        self.recording.on_env_step(None)

    def step(self, reward: float = 0.0, *, ends: bool = False) -> None:
        """Make a step; with ``ends``, the first environment's episode ends in it."""
        self.steps.step += 1
        outcome = torch.full((self.num_envs,), -1)
        outcome[0] = 0 if ends else -1
        rewards = torch.zeros(self.num_envs, 2)
        rewards[0, 1] = reward
        info: StepInfo = {"reward_terms": rewards, "outcome": outcome, "final_observation": rewards}
        self.recording.on_env_step(info)


def test_a_video_shows_every_step_in_real_time(tmp_path: Path) -> None:
    """One picture per step of 40 ms, 25 per second."""
    session = Session(tmp_path)
    for _ in range(10):
        session.step()
    session.recording.close()
    assert steps_in(tmp_path / "0001.mp4") == pytest.approx(range(11), abs=1)
    with av.open(str(tmp_path / "0001.mp4")) as container:
        assert container.streams.video[0].average_rate == 25
    assert session.pictures.is_closed


def test_fast_environments_are_shown_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 200 steps per second, every seventh is shown, at 200/7 pictures per second."""
    monkeypatch.setattr(Steps, "control_dt", 0.005)
    session = Session(tmp_path)
    for _ in range(70):
        session.step()
    session.recording.close()
    assert steps_in(tmp_path / "0001.mp4") == pytest.approx(range(0, 71, 7), abs=1)
    with av.open(str(tmp_path / "0001.mp4")) as container:
        assert float(container.streams.video[0].average_rate or 0) == pytest.approx(200 / 7)


@pytest.mark.parametrize(("num_envs", "size"), [(1, (960, 756)), (3, (960, 756)), (20, (960, 756))])
def test_a_tile_for_each_of_sixteen_environments(num_envs: int, size: tuple[int, int], tmp_path: Path) -> None:
    """The picture stays the same in size."""
    session = Session(tmp_path, num_envs)
    session.recording.close()
    (picture,) = decoded(tmp_path / "0001.mp4")
    assert picture.shape[1::-1] == size


def test_captions_say_what_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Task, iteration, time; and of each environment episode, return and stage."""
    written: list[str] = []
    monkeypatch.setattr(film.ImageDraw.ImageDraw, "text", lambda self, xy, text, **_: written.append(text))
    session = Session(tmp_path, num_envs=2)
    session.recording.on_reload(SimpleNamespace(iteration=7))  # type: ignore[arg-type]
    session.step(1.5)
    session.step(2.0, ends=True)
    session.step(0.25)
    session.recording.close()
    assert "BoxGrasping    iteration 7    0.12 s" in written
    assert "0: episode 1   return 1.50\nstage 0" in written
    assert "0: episode 2   return 0.25\nstage 0" in written
    assert "1: episode 1   return 0.00\nstage 1" in written


def test_the_next_file_begins_after_the_longest_duration(tmp_path: Path) -> None:
    """Nothing is lost between two files, and those of an earlier process stay."""
    session = Session(tmp_path, max_duration=0.16)
    for _ in range(10):
        session.step()
    session.recording.close()
    shown = [steps_in(tmp_path / f"000{number}.mp4") for number in (1, 2, 3)]
    assert [len(steps) for steps in shown] == [4, 4, 3]
    assert [step for steps in shown for step in steps] == pytest.approx(range(11), abs=1)
    again = Session(tmp_path)
    again.recording.close()
    assert len(steps_in(tmp_path / "0004.mp4")) == 1


def test_the_best_and_the_worst_episode_are_kept(tmp_path: Path) -> None:
    """From the first picture to the last before the environment was reset; the one under way does not count."""
    session = Session(tmp_path)
    for length, reward in ((3, 1.0), (4, 3.0), (5, -2.0), (2, 0.0)):
        for left in reversed(range(length)):
            session.step(reward, ends=left == 0)
    session.step(-100.0)
    session.recording.close()
    assert steps_in(tmp_path / "best.mp4") == pytest.approx([3, 4, 5, 6], abs=1)
    assert steps_in(tmp_path / "worst.mp4") == pytest.approx([7, 8, 9, 10, 11], abs=1)


def test_an_episode_that_ends_between_two_pictures_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if nothing comes after it."""
    monkeypatch.setattr(Steps, "control_dt", 0.02)
    session = Session(tmp_path)
    for step in range(5):
        session.step(ends=step == 4)
    session.recording.close()
    assert steps_in(tmp_path / "best.mp4") == pytest.approx([0, 2, 4], abs=1)


def test_steps_do_not_wait_for_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When many wait to be drawn, older ones are dropped, which is said at the end."""
    monkeypatch.setattr(module, "MAX_WAITING", 4)
    session = Session(tmp_path)
    session.pictures.may_draw.clear()
    for _ in range(19):
        session.step()
    session.pictures.may_draw.set()
    session.recording.close()
    shown = steps_in(tmp_path / "0001.mp4")
    assert 3 <= len(shown) <= 5
    assert shown[-2:] == pytest.approx([18, 19], abs=1)
    assert f"lack {20 - len(shown)} of 20 pictures" in caplog.text


def test_steps_wait_where_no_picture_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are."""
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    session = Session(tmp_path, waits=True)
    for _ in range(30):
        session.step()
    session.recording.close()
    assert steps_in(tmp_path / "0001.mp4") == pytest.approx(range(31), abs=1)


def test_steps_do_not_wait_for_a_recording_that_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They go on."""
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    session = Session(tmp_path, waits=True)
    monkeypatch.setattr(session.pictures, "draw", lambda *_: 1 / 0)
    for _ in range(30):
        session.step()
    session.recording.close()
    assert session.pictures.is_closed


def test_the_end_tells_what_is_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once in a while: all 3 pictures, and the 2 of the episode that is both the best and the worst."""
    monkeypatch.setattr(module, "PROGRESS_INTERVAL", 0.01)
    caplog.set_level(logging.INFO)
    session = Session(tmp_path)
    grey, said = session.pictures.draw, "Still finishing the videos: 7 pictures are left to draw"

    def slow(*arguments: Any) -> np.ndarray:
        while said not in caplog.messages:
            time.sleep(0.001)
        return grey(*arguments)

    session.pictures.draw = slow  # type: ignore[method-assign]
    for is_last in (False, True):
        session.step(ends=is_last)
    session.recording.close()
    assert f"Finishing the videos in {tmp_path}: 7 pictures are left to draw" in caplog.messages


def test_a_full_disk_ends_the_recording_alone(
    tmp_path: Path, disk_with_room_for: DiskWithRoomFor, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, steps go on, and what was recorded before can be played."""
    noise, session = np.random.default_rng(1), Session(tmp_path)
    grey = session.pictures.draw

    def draw(frame: Frame, *arguments: int) -> np.ndarray:
        picture = grey(frame, *arguments)
        return picture if frame.body_pose[0, 0, 0] < 40 else noise.integers(0, 256, picture.shape, np.uint8)

    session.pictures.draw = draw  # type: ignore[method-assign]
    with disk_with_room_for(500_000):
        for _ in range(46):
            session.step()
        session.recording.close()
    session.step()
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert errors == [f"The recording ends: {tmp_path}: File too large. The run continues"]
    assert 0 < len(decoded(tmp_path / "0001.mp4")) < 46


def test_a_failing_renderer_ends_the_recording_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With its traceback in the log; the video up to there is kept."""
    session = Session(tmp_path)
    session.step()

    def fail(*_: object) -> np.ndarray:
        raise ValueError("no picture")

    session.recording.close()
    again = Session(tmp_path)
    again.pictures.draw = fail  # type: ignore[method-assign]
    again.step()
    again.recording.close()
    assert "ValueError: no picture" in caplog.text
    assert again.pictures.is_closed


def test_a_process_that_is_killed_ends_the_recording_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once, and steps go on."""
    film = ProcessFilm("dexhand.app.film_process", [Shape("box", 0, (0.2, 0.2, 0.2))])
    os.kill(film.process_id, signal.SIGKILL)
    session = Session(tmp_path, open_film=lambda: film)
    for _ in range(3):
        session.step()
    session.recording.close()
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert errors == [f"The recording ends: {tmp_path}: the process that draws has ended. The run continues"]


def test_what_cannot_be_drawn_at_all_is_an_error_at_once(tmp_path: Path) -> None:
    """It reaches whoever starts the recording."""

    def fail() -> LocalFilm:
        raise RuntimeError("no OpenGL library")

    env: Any = SimpleNamespace(num_envs=1, device=torch.device("cpu"))
    with pytest.raises(RuntimeError, match="no OpenGL library"):
        Recording(env, Steps(), fail, tmp_path, title="", max_duration=1.0)  # type: ignore[arg-type]


def test_sinks_get_each_finished_file_once(tmp_path: Path) -> None:
    """Also the best and the worst episode."""
    told: list[str] = []
    sink = SimpleNamespace(video=lambda path: told.append(path.name))
    session = Session(tmp_path, max_duration=0.04, sinks=[sink])
    session.step(ends=True)
    session.recording.close()
    session.recording.close()
    assert told == ["0001.mp4", "0002.mp4", "best.mp4", "worst.mp4"]


def test_the_box_is_where_the_state_says(tmp_path: Path) -> None:
    """A real picture of a box that moves to the right by the same distance in every step."""
    start, right = np.array([0.0, 0.0, 0.5]), np.array([0.02, 0.0214, 0.0])
    boxes = Steps()
    boxes.shapes = (Shape("box", 0, (0.2, 0.2, 0.2), rgba=(1.0, 0.0, 0.0, 1.0)),)

    def frame(env_ids: range) -> Frame:
        pose = [*(start + boxes.step * right), 0, 0, 0, 1]
        return Frame(np.array([[pose]] * len(env_ids), np.float32), np.zeros((len(env_ids), 0, 6), np.float32), ("",))

    boxes.frame = frame  # type: ignore[method-assign]
    env: Any = SimpleNamespace(num_envs=1, device=torch.device("cpu"))
    recording = Recording(
        env, boxes, lambda: ProcessFilm("dexhand.app.film_process", boxes.shapes), tmp_path, title="", max_duration=9.0
    )
    for boxes.step in range(4):
        recording.on_env_step(None)
    recording.close()
    centres = []
    for picture in decoded(tmp_path / "0001.mp4"):
        red = (picture[..., 0] > 100) & (picture[..., 1] < 80)
        rows, columns = red.nonzero()
        centres.append((float(columns.mean()), float(rows.mean())))
    columns, rows = np.array(centres).T
    assert (columns[0], rows[0]) == (pytest.approx(480, abs=10), pytest.approx(36 + 360, abs=10))
    assert np.diff(columns) == pytest.approx([np.diff(columns).mean()] * 3, abs=3)
    assert np.diff(columns).min() > 15
    assert rows == pytest.approx([rows[0]] * 4, abs=6)
