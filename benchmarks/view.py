#!/usr/bin/env python3
"""Measure what watching costs: steps per second with nothing, with 0, 1 and 20 viewers, while recording, and with both.

All of these are measured in turns in one run, each compared with "nothing" right before it, so that they share the
state of the machine. The viewers, which are on other machines in real life, read in a process that leaves the
processors to others. ``--help`` tells the rest.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from dexhand.app.build import build_drawable, build_env
from dexhand.config.compose import compose
from dexhand.core.interfaces import Drawable, VecEnv
from dexhand.view import recording
from dexhand.view.film import ProcessFilm
from dexhand.view.live import LiveView
from dexhand.view.recording import Recording
from dexhand.view.watched_env import watched

VIEWERS = Path(__file__).with_name("viewers.py")


@dataclass
class Line:
    """One line of the table."""

    name: str
    viewers: int | None
    """``None`` = there is no live view."""
    records: bool = False
    speeds: list[float] = field(default_factory=list)
    """Steps per second, one for each round."""
    ratios: list[float] = field(default_factory=list)
    """These divided by the speed with nothing right before."""
    work: list[float] = field(default_factory=list)
    """Seconds of processor time that this process took for a step of all environments."""
    messages: list[float] = field(default_factory=list)
    """Messages per second that each viewer got."""


def main() -> int:
    """Measure and print."""
    arguments = _arguments()
    config = compose([f"task={arguments.task}", f"sim.backend={arguments.backend}", f"numEnvs={arguments.envs}"])
    torch.set_num_threads(1)
    env = build_env(config)
    drawable = build_drawable(config, env)
    assert drawable is not None
    env.reset(seed=1)
    lines = [
        *(Line(f"{number} viewers", number) for number in arguments.viewers),
        Line("recording", None, records=True),
        Line("recording, 1 viewer", 1, records=True),
    ]
    nothing = Line("nothing", None)
    recording.MAX_WAITING = 8  # at the end of each measurement they are drawn, too
    for _ in range(arguments.rounds):
        for line in lines:
            _time(nothing, env, arguments.seconds)
            _measure(env, drawable, line, arguments.seconds)
            line.ratios.append(line.speeds[-1] / nothing.speeds[-1])
    _print([nothing, *lines], arguments)
    env.close()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--task", default="BlindGrasping")
    parser.add_argument("--backend", default="mujoco")
    parser.add_argument("--envs", type=int, default=256, help="environments; 16 are shown (256)")
    parser.add_argument("--viewers", type=int, nargs="*", default=[0, 1, 20], help="numbers of viewers (0 1 20)")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each measurement (5)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each; medians are printed (5)")
    return parser.parse_args()


def _measure(env: VecEnv, drawable: Drawable, line: Line, seconds: float) -> None:
    """Add a measurement to a line."""
    with contextlib.ExitStack() as stack:
        seen = env
        if line.records:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            recorder = Recording(env, drawable, _film_of(drawable), folder, title="benchmark", max_duration=300.0)
            stack.callback(recorder.close)
            seen = watched(seen, [recorder])
            seen.reset()
        if line.viewers is None:
            _time(line, seen, seconds)
            return
        view = LiveView(env, drawable, title="benchmark", port=58080)
        stack.callback(view.close)
        seen = watched(seen, [view])
        with _viewers(view.url, line.viewers, seen) as crowd:
            _time(line, seen, seconds)
            messages, _ = crowd.communicate()
            line.messages.append(int(messages) / seconds / max(line.viewers, 1))


def _film_of(drawable: Drawable) -> Callable[[], ProcessFilm]:
    return lambda: ProcessFilm("dexhand.app.film_process", drawable.shapes)


@contextlib.contextmanager
def _viewers(url: str, number: int, env: VecEnv) -> "Iterator[subprocess.Popen[str]]":
    """Be so many viewers; all of them have the whole scene. 0 = one came and left again, so that the page is ready."""
    command = [sys.executable, str(VIEWERS), url, str(number)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as crowd:
        assert crowd.stdout is not None
        arrival = threading.Thread(target=crowd.stdout.readline)
        arrival.start()
        while arrival.is_alive():
            env.step(torch.zeros(env.num_envs, env.single_action_space.shape[0]))
        yield crowd


def _time(line: Line, env: VecEnv, seconds: float) -> None:
    """Make steps, and add to a line how fast they were."""
    shape = env.num_envs, env.single_action_space.shape[0]
    actions = 2.0 * torch.rand(shape, generator=torch.Generator().manual_seed(1)) - 1.0
    start, work, steps = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - start < seconds:
        env.step(actions)
        steps += 1
    line.speeds.append(steps * env.num_envs / (time.perf_counter() - start))
    line.work.append((time.process_time() - work) / steps)


def _print(lines: list[Line], arguments: argparse.Namespace) -> None:
    table = Table("", "steps/s, median", "min - max", "compared", "CPU ms per step", "messages/s a viewer")
    for line in lines:
        table.add_row(
            line.name,
            f"{statistics.median(line.speeds):,.0f}",
            f"{min(line.speeds):,.0f} - {max(line.speeds):,.0f}",
            f"{100 * (statistics.median(line.ratios) - 1):+.1f} %" if line.ratios else "",
            f"{1000 * statistics.median(line.work):.1f}",
            f"{statistics.median(line.messages):.0f}" if line.viewers else "",
        )
    console = Console()
    console.print(
        f"{arguments.task} on {arguments.backend}, {arguments.envs} environments, {os.cpu_count()} CPU cores; "
        f"{arguments.rounds} x {arguments.seconds:g} s each"
    )
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
