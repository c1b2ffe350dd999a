"""The live view costs nothing while nobody watches, shows what it is told, and never ends what it shows."""

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import torch
import viser
import zstandard

from dexhand.checkpoints.choice import read_choice
from dexhand.core.episodes import Episode
from dexhand.core.eval_loop import LoadedPolicy
from dexhand.core.interfaces import Frame
from dexhand.core.play_control import PlayControl
from dexhand.core.statistics import Estimate
from dexhand.core.stop import StopRequest
from dexhand.mock.env import MockEnv
from dexhand.mock.policy import MockPolicy
from dexhand.view import live, process
from dexhand.view.live import LiveView
from dexhand.view.messages import Comparison
from dexhand.view.watched_env import watched

PATIENCE = 60.0
"""Seconds until something that is waited for has failed."""
CAMERA = {
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


class CountingEnv(MockEnv):
    """Remembers of which environments frames were made, and may fail to make one."""

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
def view(env: CountingEnv, control: PlayControl) -> Iterator[LiveView]:
    view = LiveView(env, env, title="<b>Reach", port=58080, control=control)
    view.show_run("reach_1")
    view.on_reload(LoadedPolicy(MockPolicy.optimal(), Path("best.pth"), 3, age=1.0, load_seconds=0.1))
    view.on_episode(Episode(1, 0, 2.5, 7, "success:reached", 3, mixed=False))
    yield view
    view.close()


class Viewer:
    """A browser that shows the page."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws
        self.messages: list[dict[str, Any]] = []
        """What it was sent, as far as it has looked."""

    async def look(self) -> None:
        """Take what has come."""
        with contextlib.suppress(asyncio.TimeoutError):
            content = await self._ws.receive_bytes(timeout=0.02)
            end = 16 + int.from_bytes(content[8:16], "little")
            packed = msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompressobj().decompress(content[16:end]))
            self.messages += packed["messages"]

    async def reason_of_the_end(self) -> str:
        """Wait until the connection is closed."""
        while not self._ws.closed:
            message = await self._ws.receive(PATIENCE)
        return message.extra or ""

    async def send(self, **message: Any) -> None:
        """Send a message of viser's."""
        await self._ws.send_bytes(msgspec.msgpack.encode(message))

    async def set(self, label: str, value: object) -> None:
        """Give a control another value."""
        uuids = [m["uuid"] for m in self.messages if m.get("props", {}).get("label") == label]
        await self.send(type="GuiUpdateMessage", uuid=uuids[0], updates={"value": value})

    def has_seen(self, *texts: str) -> bool:
        """Whether all of these have been shown."""
        return all(text in str(self.messages) for text in texts)


@contextlib.asynccontextmanager
async def viewer_of(view: LiveView) -> AsyncIterator[Viewer]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            view.url,
            headers={"Origin": view.url.rstrip("/")},
            protocols=[f"viser-v{viser.__version__}"],
            max_msg_size=0,
        ) as ws,
    ):
        viewer = Viewer(ws)
        await viewer.send(**CAMERA)
        yield viewer


async def step_until(env: CountingEnv, view: LiveView, is_so: Callable[[], object], viewer: Viewer | None) -> None:
    """Step the environments while somebody may be watching."""
    seen, end = watched(env, [view]), time.monotonic() + PATIENCE
    seen.reset(seed=1)
    while not is_so():
        assert time.monotonic() < end
        seen.step(torch.zeros(env.num_envs, 2))
        await (viewer.look() if viewer else asyncio.sleep(0.001))


async def no_more_frames(env: CountingEnv, view: LiveView) -> None:
    """Step until many steps in a row have made no frame."""
    steps_at: list[int] = [0]

    def is_quiet() -> bool:
        steps_at.append(len(env.frames))
        return len(steps_at) > 300 and steps_at[-300] == steps_at[-1] > 0

    await step_until(env, view, is_quiet, None)


def test_viewers_get_frames_and_results(env: CountingEnv, view: LiveView) -> None:
    """Of the first sixteen environments, and what is known of checkpoints and episodes; names are plain text."""

    async def watch() -> None:
        async with viewer_of(view) as viewer:
            expected = ("&lt;b&gt;Reach", "reach_1", "best.pth", "<td>100%</td>", "<td>time</td>")
            await step_until(env, view, lambda: viewer.has_seen(*expected) and len(env.frames) > 5, viewer)

    asyncio.run(watch())
    assert set(env.frames) == {tuple(range(16))}


def test_two_policies_are_compared(env: CountingEnv, view: LiveView) -> None:
    """With their results, which of them is better, and curves with confidence bands."""
    a, b = Estimate(1.0, 0.5, 1.5), Estimate(2.0, 1.5, 2.5)
    rows = {"return": ("1.0 [0.5, 1.5]", "2.0 [1.5, 2.5]")}
    view.show_comparison(Comparison(7, ("A: old", "B: <new>"), rows, ("B is better",), {"return": (a, b)}))

    async def watch() -> None:
        async with viewer_of(view) as viewer:
            expected = ("7 pairs", "B: &lt;new&gt;", "2.0 <br>", "[1.5, 2.5]", "B is better", "return of B", "'bands'")
            await step_until(env, view, lambda: viewer.has_seen(*expected), viewer)

    asyncio.run(watch())


def test_without_viewers_nothing_is_drawn(env: CountingEnv, view: LiveView) -> None:
    """But the first frame, before anybody comes and after everybody has left."""

    async def come_and_go() -> None:
        await no_more_frames(env, view)
        assert len(env.frames) == 1
        async with viewer_of(view) as viewer:
            await step_until(env, view, lambda: len(env.frames) > 5, viewer)
        await no_more_frames(env, view)

    asyncio.run(come_and_go())


def test_copying_poses_takes_a_small_part_of_the_time(
    env: CountingEnv, view: LiveView, control: PlayControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps that do not wait for anything else are not shown again until then; a test that waits shows its last one."""
    monkeypatch.setattr(live, "SHARE", 1e-9)

    async def watch() -> None:
        async with viewer_of(view) as viewer:
            await step_until(env, view, lambda: env.frames and viewer.has_seen("'show'"), viewer)
            await no_more_frames(env, view)
            assert len(env.frames) == 1
            while len(env.frames) == 1:  # until the page asks for the next one
                control.while_waiting[0]()
                await asyncio.sleep(0.01)
            control.while_waiting[0]()
            assert len(env.frames) == 2

    asyncio.run(watch())


def test_controls_act(env: CountingEnv, view: LiveView, control: PlayControl, stop: StopRequest) -> None:
    """Another speed, another choice of environments, which is also shown during a pause, and a confirmed stop."""

    async def act() -> None:
        async with viewer_of(view) as viewer:
            await step_until(env, view, lambda: viewer.has_seen("as fast as it goes", "'show'"), viewer)
            await viewer.set("speed", "0.5 x")
            await step_until(env, view, lambda: control.speed == 0.5, viewer)
            await viewer.set("show", "17,2")
            async with asyncio.timeout(PATIENCE):
                while (17, 2) not in env.frames:
                    for listener in control.while_waiting:
                        listener()
                    await asyncio.sleep(0.01)
            await viewer.set("Stop the test", True)
            await step_until(env, view, lambda: viewer.has_seen("Go on"), viewer)
            assert not stop.requested
            await viewer.set("Stop", True)
            await step_until(env, view, lambda: stop.requested, viewer)

    asyncio.run(act())


def test_a_pause_is_shown(env: CountingEnv, view: LiveView, control: PlayControl) -> None:
    """To everyone, from the click on."""

    async def pause() -> None:
        async with viewer_of(view) as viewer:
            await step_until(env, view, lambda: viewer.has_seen("as fast as it goes", "'options': ['pause'"), viewer)
            assert not viewer.has_seen("<b>paused</b>")
            await viewer.set("", "pause")
            await step_until(env, view, lambda: viewer.has_seen("<b>paused</b>"), viewer)

    asyncio.run(pause())
    assert control.is_paused


def test_viewers_choose_which_checkpoint_plays(env: CountingEnv, view: LiveView, tmp_path: Path) -> None:
    """Of those that are there, whatever a browser sends and files are called, and only in tests that obey."""
    nn = tmp_path / "nn"
    nn.mkdir()
    not_utf8 = os.fsdecode(b"caf\xe9.pth")
    for name in ("a.pth", "b.pth", not_utf8):
        (nn / name).touch()

    async def choose() -> None:
        async with viewer_of(view) as viewer:
            await step_until(env, view, lambda: viewer.has_seen("best.pth", "'show'"), viewer)
            assert not viewer.has_seen("Load Selected")
            view.offers_checkpoints = True
            view.on_reload(LoadedPolicy(MockPolicy.optimal(), nn / not_utf8, 4, age=1.0, load_seconds=0.1))
            shown = "Load Selected", "<td>b.pth</td>", "<td>caf", "checkpoint caf"
            await step_until(env, view, lambda: viewer.has_seen(*shown), viewer)
            await viewer.set("mode", "Manual")
            await step_until(env, view, lambda: viewer.has_seen("Manual, holds what plays"), viewer)
            await viewer.set("checkpoint", "../nn/b.pth")
            await viewer.set("Load Selected", True)
            await step_until(env, view, lambda: viewer.has_seen("Not chosen: "), viewer)
            await viewer.set("checkpoint", "b.pth")
            await viewer.set("Load Selected", True)
            await step_until(env, view, lambda: viewer.has_seen("Manual, holds b.pth"), viewer)
            await viewer.set("mode", "Auto")
            await step_until(env, view, lambda: read_choice(nn).mode == "auto", viewer)

    asyncio.run(choose())


def test_success_is_left_out_where_no_episode_can_succeed(env: CountingEnv) -> None:
    """Of table and curves."""
    env.outcome_names = ("timeout",)
    view = LiveView(env, env, title="Reach", port=58080)
    view.on_reload(LoadedPolicy(MockPolicy.optimal(), Path("best.pth"), 3, age=1.0, load_seconds=0.1))
    view.on_episode(Episode(1, 0, 2.5, 7, "timeout", 3, mixed=False))

    async def watch() -> None:
        async with viewer_of(view) as viewer:
            await step_until(env, view, lambda: viewer.has_seen("<th>return</th>", "<td>2.5</td>"), viewer)
            assert not viewer.has_seen("success")

    try:
        asyncio.run(watch())
    finally:
        view.close()


def test_a_drawable_that_fails_does_not_end_the_run(
    env: CountingEnv, view: LiveView, control: PlayControl, caplog: pytest.LogCaptureFixture
) -> None:
    """The error is logged, and a pause, which nobody could end any more, is over."""
    control.pause()
    env.is_broken = True
    with caplog.at_level(logging.ERROR):
        asyncio.run(step_until(env, view, lambda: "no such body" in caplog.text, None))
    assert not control.is_paused


def test_a_page_that_is_killed_does_not_end_the_run(
    env: CountingEnv, view: LiveView, control: PlayControl, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once."""
    control.pause()
    with caplog.at_level(logging.ERROR):
        os.kill(view.process_id, signal.SIGKILL)
        asyncio.run(step_until(env, view, lambda: "has ended" in caplog.text, None))
    assert len(caplog.records) == 1
    assert not control.is_paused


def test_a_page_that_stands_still_is_not_waited_for(
    env: CountingEnv, view: LiveView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps go on, at most one frame is waiting for it, and it can be closed."""

    async def freeze() -> None:
        async with viewer_of(view) as viewer:
            await step_until(env, view, lambda: len(env.frames) > 5, viewer)
            os.kill(view.process_id, signal.SIGSTOP)
            drawn = len(env.frames)
            for _ in range(500):
                watched(env, [view]).step(torch.zeros(env.num_envs, 2))
            assert len(env.frames) <= drawn + 1
            monkeypatch.setattr(process, "LONGEST_LEAVE", 0.1)
            view.close()

    asyncio.run(freeze())


@pytest.mark.parametrize("which", ["_threads", "_process"])
def test_a_thread_that_hangs_does_not_keep_the_run(view: LiveView, monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    """Nor does a page that cannot be killed."""
    if which == "_threads":
        view._threads += [threading.Thread(target=time.sleep, args=(60.0,), daemon=True)]
        view._threads[-1].start()
    else:
        monkeypatch.setattr(view._process, "kill", lambda: None)
    monkeypatch.setattr(process, "PATIENCE", 0.1)
    closing = threading.Thread(target=view.close, daemon=True)
    closing.start()
    closing.join(20.0)
    assert not closing.is_alive()
    monkeypatch.undo()


def test_viewers_are_told_of_the_end(env: CountingEnv, view: LiveView, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the reason why the connection is closed."""
    monkeypatch.setattr(process, "LONGEST_LEAVE", PATIENCE)

    async def watch_to_the_end() -> None:
        async with viewer_of(view) as viewer:
            await step_until(env, view, lambda: viewer.has_seen("'show'"), viewer)
            closing = asyncio.create_task(asyncio.to_thread(view.close))  # the viewer reads on meanwhile
            assert await viewer.reason_of_the_end() == "The test has ended"
            await closing

    asyncio.run(watch_to_the_end())


def test_closing_twice_is_fine(view: LiveView) -> None:
    """And the process is gone."""
    view.close()
    view.close()
    with pytest.raises(ProcessLookupError):
        os.kill(view.process_id, 0)
