"""The live view costs nothing while nobody watches, shows what it is told, and never ends what it shows."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import aiohttp
import msgspec
import pytest
import torch
import viser
import zstandard

from dexhand.core.episodes import Episode
from dexhand.core.eval_loop import LoadedPolicy
from dexhand.core.interfaces import Frame
from dexhand.core.play_control import PlayControl
from dexhand.core.stop import StopRequest
from dexhand.mock.clock import FakeClock
from dexhand.mock.env import MockEnv
from dexhand.mock.policy import MockPolicy
from dexhand.view.live import LiveView
from dexhand.view.watched_env import watched

CAMERA = msgspec.msgpack.encode(
    {
        "type": "ViewerCameraMessage",
        "wxyz": [1, 0, 0, 0],
        "position": [0, 0, 1],
        "look_at": [0, 0, 0],
        "up_direction": [0, 0, 1],
        "fov": 1.0,
        "near": 0.1,
        "far": 10.0,
        "image_height": 100,
        "image_width": 100,
    }
)
EPISODE = Episode(1, 0, 2.5, 7, "success:reached", 3, mixed=False)


class CountingEnv(MockEnv):
    """Counts frames, and may fail to make one."""

    frames: list[tuple[int, ...]]
    is_broken = False

    def frame(self, env_ids: Sequence[int]) -> Frame:
        if self.is_broken:
            raise RuntimeError("no such body")
        self.frames.append(tuple(env_ids))
        return super().frame(env_ids)


@pytest.fixture
def env() -> CountingEnv:
    env = CountingEnv(20)
    env.frames = []
    return env


@pytest.fixture
def control() -> PlayControl:
    return PlayControl(StopRequest(), 0.1, FakeClock())


@pytest.fixture
def view(env: CountingEnv, control: PlayControl) -> Iterator[LiveView]:
    view = LiveView(env, env, title="<b>Reach", port=58080, control=control)
    view.show_run("reach_1")
    view.on_reload(LoadedPolicy(MockPolicy.optimal(), Path("best.pth"), 3, age=1.0, load_seconds=0.1))
    yield view
    view.close()


def step_on(env: CountingEnv, view: LiveView, is_enough: Callable[[], bool]) -> None:
    """Step the environments until something that other threads do has happened."""
    seen = watched(env, [view])
    seen.reset(seed=1)
    limit = threading.Event()
    timer = threading.Timer(20.0, limit.set)
    timer.start()
    while not is_enough():
        assert not limit.is_set()
        seen.step(torch.zeros(env.num_envs, 2))
    timer.cancel()


@contextlib.asynccontextmanager
async def viewer(view: LiveView) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A browser that shows the page."""
    async with aiohttp.ClientSession() as session:
        protocol = f"viser-v{viser.__version__}"
        async with session.ws_connect(
            view.url, headers={"Origin": view.url.rstrip("/")}, protocols=[protocol], max_msg_size=0
        ) as ws:
            await ws.send_bytes(CAMERA)
            yield ws


def watch_while(view: LiveView, run: Callable[[list[bytes]], None]) -> None:
    """Run something in another thread while somebody watches; it is given the messages as they come."""
    received: list[bytes] = []

    async def watch() -> None:
        async with viewer(view) as ws:
            running = asyncio.create_task(asyncio.to_thread(run, received))
            while not running.done():
                with contextlib.suppress(asyncio.TimeoutError):
                    received.append(await ws.receive_bytes(timeout=0.1))
            await running

    asyncio.run(watch())


def texts_in(received: list[bytes]) -> str:
    """What viser's messages say, beside arrays of numbers."""
    unpack = zstandard.ZstdDecompressor().decompressobj
    return " ".join(unpack().decompress(message[16:]).decode(errors="replace") for message in received)


def test_without_viewers_only_the_first_frame_is_drawn(env: CountingEnv, view: LiveView) -> None:
    """A training or test runs as if there were no page."""
    step_on(env, view, lambda: not view.is_watched)
    drawn = len(env.frames)
    seen = watched(env, [view])
    for _ in range(500):
        seen.step(torch.zeros(env.num_envs, 2))
    assert len(env.frames) == drawn


def test_viewers_get_frames_and_results(env: CountingEnv, view: LiveView) -> None:
    """Of the first sixteen environments, with what is known of checkpoints and episodes; names are plain text."""

    def play(received: list[bytes]) -> None:
        view.on_episode(EPISODE)
        expected = ("&lt;b&gt;Reach", "reach_1", "best.pth", "<td>100%</td>", "<td>time</td>")
        step_on(env, view, lambda: all(text in texts_in(received) for text in expected))

    watch_while(view, play)
    assert env.frames[-1] == tuple(range(16))


def test_when_the_last_viewer_leaves_frames_end(env: CountingEnv, view: LiveView) -> None:
    """Whoever closes the browser is forgotten."""
    watch_while(view, lambda _: step_on(env, view, lambda: len(env.frames) > 5))
    step_on(env, view, lambda: not view.is_watched)


def test_a_failing_view_does_not_end_the_run(
    env: CountingEnv, view: LiveView, control: PlayControl, caplog: pytest.LogCaptureFixture
) -> None:
    """The error is logged, and a pause, which nobody could end any more, is over."""
    control.pause()
    env.is_broken = True
    with caplog.at_level(logging.ERROR):
        step_on(env, view, lambda: not view.is_watched)
    assert "no such body" in caplog.text
    assert not control.is_paused
    seen = watched(env, [view])
    seen.step(torch.zeros(env.num_envs, 2))


def test_another_choice_is_shown_during_a_pause(env: CountingEnv, view: LiveView, control: PlayControl) -> None:
    """Though no step is made."""

    def choose(_: list[bytes]) -> None:
        step_on(env, view, lambda: len(env.frames) > 3)
        view.show_envs("17,2")
        control.while_waiting()
        assert env.frames[-1] == (17, 2)

    watch_while(view, choose)


def test_closing_twice_is_fine(view: LiveView) -> None:
    """Nothing is left: the port is free, threads are gone."""
    view.close()
    view.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("live view")]
