"""The demonstration in the browser."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from dexhand.app import build
from dexhand.config.schema import Config
from dexhand.core.clock import SystemClock
from dexhand.core.eval_loop import EvalLoop, LoadedPolicy
from dexhand.core.process_state import process_state_restored
from dexhand.core.stop import StopRequest
from dexhand.demo.expert import Expert
from dexhand.view.watched_env import Viewer, watched


@process_state_restored()
def show(config: Config, seconds: float | None) -> int:
    """Show the expert until a signal arrives, or for some seconds; returns the exit code. Raises ``ConfigError``."""
    build.check_machine(config)
    build.set_up_process(config)
    clock = SystemClock()
    with StopRequest() as stop, contextlib.ExitStack() as stack:
        env = build.build_task_env(config)
        stack.callback(env.close)
        screens = build.build_screens(config, env, clock, stop)
        stack.callback(screens.close)
        script = LoadedPolicy(_Script(Expert(env)), Path("a script, no policy"), iteration=0, age=0.0, load_seconds=0.0)
        viewers = [*screens.viewers, *([] if seconds is None else [_Timer(stop, clock.monotonic() + seconds, clock)])]
        for viewer in viewers:
            viewer.on_reload(script)
        if screens.page is not None:
            print(f"Open {screens.page.url} in a browser (Ctrl-C ends)", flush=True)  # noqa: T201
        loop = EvalLoop(watched(env, viewers), script, episodes=0, listeners=viewers, control=screens.control)
        loop.run(stop, seed=config.train.seed)
    return 0


class _Script:
    """The expert as a ``Policy``."""

    def __init__(self, expert: Expert) -> None:
        self._expert = expert

    def act(self, observations: Tensor) -> Tensor:
        """See ``Policy``; the expert looks at the simulator instead."""
        return self._expert.act()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raise ``ValueError``: a script has no weights."""
        raise ValueError("a script has no weights")


class _Timer(Viewer):
    """Ends the demonstration."""

    def __init__(self, stop: StopRequest, end: float, clock: SystemClock) -> None:
        self._stop, self._end, self._clock = stop, end, clock

    def on_step(self, frames_done: int) -> None:
        """See ``EvalListener.on_step``."""
        self._stop.requested |= self._clock.monotonic() >= self._end
