#!/usr/bin/env python3
"""Measure what watching costs: steps per second with 0, 1 and 20 viewers, while recording, and with both.

Slices without and with a view take turns, so that neighbours share the state of the machine. Each is compared with the
two plain ones around it; the verdict is the trimmed mean of these ratios with a 95 % confidence interval. The viewers,
which are on other machines in real life, read in a process that leaves the processors to others.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.table import Table

from dexhand.app.build import build_drawable, build_env
from dexhand.config.compose import compose
from dexhand.core.interfaces import Drawable, VecEnv
from dexhand.core.statistics import estimate_mean
from dexhand.view import recording
from dexhand.view.film import ProcessFilm
from dexhand.view.live import LiveView
from dexhand.view.recording import Recording
from dexhand.view.watched_env import Viewer, watched

VIEWERS = Path(__file__).with_name("viewers.py")
REST = 0.25
"""Seconds before each slice."""


@dataclass
class Line:
    """One line of the table; for each slice, steps per second, and this process's CPU seconds for a step of all."""

    name: str
    viewers: int | None
    """``None`` = there is no live view."""
    records: bool = False
    plain: list[tuple[float, float]] = field(default_factory=list)
    """One slice more than in ``seen``, around these."""
    seen: list[tuple[float, float]] = field(default_factory=list)
    messages: float = 0.0
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
    recording.MAX_WAITING = 2  # they are drawn before the next slice
    for line in lines:
        _measure(env, drawable, line, arguments)
    _print(lines, arguments)
    env.close()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--task", default="BlindGrasping")
    parser.add_argument("--backend", default="mujoco")
    parser.add_argument("--envs", type=int, default=256, help="environments; 16 are shown (256)")
    parser.add_argument("--viewers", type=int, nargs="*", default=[0, 1, 20], help="numbers of viewers (0 1 20)")
    parser.add_argument("--seconds", type=float, default=0.75, help="length of a slice (0.75)")
    parser.add_argument("--pairs", type=int, default=24, help="slices of each kind per line (24)")
    return parser.parse_args()


def _measure(env: VecEnv, drawable: Drawable, line: Line, arguments: argparse.Namespace) -> None:
    """Fill a line. What is measured rests during the plain slices: nobody tells it about steps."""
    with contextlib.ExitStack() as stack:
        listeners: list[Viewer] = []
        if line.records:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            film = partial(ProcessFilm, "dexhand.app.film_process", drawable.shapes)
            recorder = Recording(env, drawable, film, folder, title="benchmark", max_duration=300.0)
            stack.callback(recorder.close)
            recorder.on_env_step(None)
            listeners.append(recorder)
        if line.viewers is not None:
            view = LiveView(env, drawable, title="benchmark", port=58080)
            stack.callback(view.close)
            listeners.append(view)
        seen = watched(env, listeners)
        crowd = None if line.viewers is None else stack.enter_context(_viewers(view.url, line.viewers, seen))
        line.plain.append(_slice(env, arguments.seconds))
        for _ in range(arguments.pairs):
            line.seen.append(_slice(seen, arguments.seconds))
            line.plain.append(_slice(env, arguments.seconds))
        if crowd is not None:
            line.messages = int(crowd.communicate()[0]) / (arguments.pairs * arguments.seconds) / max(line.viewers, 1)


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


def _slice(env: VecEnv, seconds: float) -> tuple[float, float]:
    """Make steps, once what was begun before is finished; returns how fast they were, as in ``Line``."""
    time.sleep(REST)
    shape = env.num_envs, env.single_action_space.shape[0]
    actions = 2.0 * torch.rand(shape, generator=torch.Generator().manual_seed(1)) - 1.0
    start, work, steps = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - start < seconds:
        env.step(actions)
        steps += 1
    return steps * env.num_envs / (time.perf_counter() - start), (time.process_time() - work) / steps


def _verdict(plain: Sequence[float], seen: Sequence[float]) -> str:
    """Say by how much ``seen`` differs from its neighbours in ``plain``; a tenth at each end is left out."""
    around = [(before + after) / 2 for before, after in pairwise(plain)]
    changes = sorted(100.0 * (value / other - 1.0) for value, other in zip(seen, around))
    found = estimate_mean(changes[len(changes) // 10 : len(changes) - len(changes) // 10])
    return f"{found.value:+.1f} % [{found.low:+.1f}, {found.high:+.1f}]"


def _print(lines: list[Line], arguments: argparse.Namespace) -> None:
    table = Table("", "steps/s", "compared", "CPU ms per step", "compared", "messages/s a viewer")
    for line in lines:
        (speeds, work), (plain_speeds, plain_work) = zip(*line.seen), zip(*line.plain)
        table.add_row(
            line.name,
            f"{median(plain_speeds):,.0f} -> {median(speeds):,.0f}",
            _verdict(plain_speeds, speeds),
            f"{1000 * median(plain_work):.1f} -> {1000 * median(work):.1f}",
            _verdict(plain_work, work),
            f"{line.messages:.0f}" if line.viewers else "",
        )
    console = Console(width=120)
    console.print(
        f"{arguments.task} on {arguments.backend}, {arguments.envs} environments, {os.cpu_count()} CPU cores; "
        f"{arguments.pairs} pairs of slices of {arguments.seconds:g} s each"
    )
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
