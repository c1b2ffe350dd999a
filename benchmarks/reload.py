#!/usr/bin/env python3
"""Measure hot reload: what the watcher costs, how long a checkpoint takes to act, and what a load does to the loop.

The lines of the first table are measured in turns, in one run, so that their ratio means something on a noisy machine.
``python benchmarks/reload.py --help`` tells the rest.
"""

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from dexhand.app import build
from dexhand.checkpoints.folder_changes import FolderChanges
from dexhand.checkpoints.reload import ReloadWatcher
from dexhand.checkpoints.store import CheckpointStore
from dexhand.config.compose import compose
from dexhand.config.schema import Config
from dexhand.core.clock import SystemClock
from dexhand.core.eval_loop import LoadedPolicy
from dexhand.core.stop import StopRequest
from dexhand.hand_env.task_env import TaskEnv
from dexhand.workspace.checkpoint_names import find_source


def main() -> int:
    """Measure and print."""
    arguments = _arguments()
    config = compose(["train.test=true", f"env.numEnvs={arguments.num_envs}", *arguments.overrides])
    build.set_up_process(config)
    console = Console()
    env = build.build_env(config)
    with tempfile.TemporaryDirectory() as folder:
        store = CheckpointStore(Path(folder) / "nn")
        state = build.build_algorithm(config, env).state_dict()
        store.save(state, iteration=1)
        size = (store.folder / "latest.pth").stat().st_size
        console.print(f"{config.task.name}, {env.num_envs} environments, checkpoint of {size / 1e6:.1f} MB\n")
        console.print(_cost(config, env, store, arguments.rounds, arguments.steps))
        console.print(_latency(config, env, store, state, arguments.reloads))
    env.close()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--num-envs", type=int, default=4, help="environments (4)")
    parser.add_argument("--steps", type=int, default=2000, help="control steps per round and line (2000)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds; medians are shown (9)")
    parser.add_argument("--reloads", type=int, default=50, help="reloads that are timed (50)")
    parser.add_argument("overrides", nargs="*", help="configuration keys, such as task=BlindGrasping")
    return parser.parse_args()


def _watcher(
    config: Config, env: TaskEnv, store: CheckpointStore, interval: float, changes: FolderChanges | None
) -> ReloadWatcher:
    source = find_source(str(store.folder), store.folder.parent / "runs")
    return ReloadWatcher(
        source, build.policy_loader(config, env), clock=SystemClock(), interval=interval, changes=changes
    )


def _cost(config: Config, env: TaskEnv, store: CheckpointStore, rounds: int, steps: int) -> Table:
    """Steps per second with and without something that is asked between the steps."""
    watchers = {
        "watcher, every 30 s": _watcher(config, env, store, 30.0, None),
        "watcher, every second": _watcher(config, env, store, 1.0, None),
        "watcher, on events": _watcher(config, env, store, 30.0, FolderChanges()),
    }
    lines: dict[str, Callable[[], LoadedPolicy | None]] = {"no watcher": lambda: None}
    policy = None
    for name, watcher in watchers.items():
        first = watcher.wait(StopRequest())
        assert first is not None
        policy, lines[name] = first.policy, watcher.poll
    assert policy is not None
    speeds: dict[str, list[float]] = {name: [] for name in lines}
    observations, _ = env.reset(seed=0)
    for _ in range(rounds):
        for name, poll in lines.items():
            start = time.perf_counter()
            for _ in range(steps):
                poll()
                observations, *_ = env.step(policy.act(observations))
            speeds[name].append(steps * env.num_envs / (time.perf_counter() - start))
    for watcher in watchers.values():
        watcher.close()
    table = Table("between two steps", "env steps/s (median)", "ratio (median of rounds)")
    for name, values in speeds.items():
        ratio = statistics.median(value / base for value, base in zip(values, speeds["no watcher"]))
        table.add_row(name, f"{statistics.median(values):,.0f}", f"{ratio:.3f}")
    return table


def _latency(config: Config, env: TaskEnv, store: CheckpointStore, state: dict, reloads: int) -> Table:
    """From the rename of a new checkpoint until its policy acts, while the environments step."""
    watcher = _watcher(config, env, store, 30.0, FolderChanges())
    playing = watcher.wait(StopRequest())
    assert playing is not None
    saved_at: list[float] = []
    made = CheckpointStore(store.folder.parent / "made")  # saving is the trainer's work, in a process of its own
    for iteration in range(2, 2 + reloads):
        made.save({**state, "epoch": iteration}, iteration=iteration, numbered=True)

    def train() -> None:
        """A new checkpoint now and then."""
        for path in made.numbered():
            time.sleep(0.2)
            saved_at.append(time.perf_counter())
            os.replace(path, store.folder / "latest.pth")

    writer = threading.Thread(target=train, daemon=True)
    observations, _ = env.reset(seed=0)
    latencies, loads, quiet, loading = [], [], [], []
    writer.start()
    while playing.iteration < 1 + reloads:
        start = time.perf_counter()
        newer = watcher.poll()
        if newer is not None:
            playing = newer
            loads.append(newer.load_seconds)
        observations, *_ = env.step(playing.policy.act(observations))
        end = time.perf_counter()
        if newer is not None:
            latencies.append(end - saved_at[newer.iteration - 2])
        (loading if watcher.is_busy else quiet).append(end - start)
    watcher.close()
    table = Table("reload on events", "median", "95th percentile", "largest")
    for name, values in (
        ("rename until the policy has acted", latencies),
        ("read, check and load", loads),
        ("control step, nothing to load", quiet),
        ("control step beside a load", loading),
    ):
        table.add_row(name, *(f"{1e3 * value:.2f} ms" for value in _quantiles(values)))
    return table


def _quantiles(values: list[float]) -> list[float]:
    if not values:
        return [float("nan")] * 3
    ordered = torch.tensor(sorted(values), dtype=torch.float64)
    return [*ordered.quantile(torch.tensor([0.5, 0.95], dtype=torch.float64)).tolist(), float(ordered[-1])]


if __name__ == "__main__":
    sys.exit(main())
