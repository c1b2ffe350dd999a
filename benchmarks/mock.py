#!/usr/bin/env python3
"""Measure the mock training scripts: time and largest memory of the whole process, beside the budgets.

``python benchmarks/mock.py --help`` tells the rest.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from dexhand.hard_examples.tracker import HardExampleTracker
from dexhand.mock.algorithm import MockAlgorithm

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    name: str
    command: list[str]
    document: str
    """What the document that asks for these scripts says they take."""
    budget: str


def main() -> int:
    """Measure and print."""
    arguments = _arguments()
    table = Table("", "time, median", "min - max", "largest memory", "document", "budget")
    with tempfile.TemporaryDirectory() as folder:
        for line in _lines(folder)[: arguments.lines]:
            seconds, megabytes = zip(*(_measure(line.command) for _ in range(arguments.runs)))
            table.add_row(
                line.name,
                f"{statistics.median(seconds):.1f} s",
                f"{min(seconds):.1f} - {max(seconds):.1f} s",
                f"{max(megabytes):.0f} MB",
                line.document,
                line.budget,
            )
    console = Console()
    console.print(f"Whole processes, {arguments.runs} runs, torch {torch.__version__}, {os.cpu_count()} CPU cores")
    console.print(table)
    step, update = _tracker_cost(arguments.steps)
    console.print(
        f"A mock training step at batch 64: {1e3 * step:.2f} ms; HardExampleTracker.update in it: "
        f"{1e6 * update:.0f} us ({100 * update / step:.2f} %); medians of {arguments.steps} steps"
    )
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5, help="runs of each line; times are medians (5)")
    parser.add_argument("--lines", type=int, default=None, help="measure only the first lines (all)")
    parser.add_argument("--steps", type=int, default=300, help="steps for the cost of the tracker (300)")
    return parser.parse_args()


def _lines(folder: str) -> list[Line]:
    training = [sys.executable, str(SCRIPTS / "test_training_mock.py"), "--checkpoint_dir", folder]
    tracking = [sys.executable, str(SCRIPTS / "test_hard_examples_integration.py")]
    return [
        Line("import torch", [sys.executable, "-c", "import torch"], "", ""),
        Line("training, 100 x 16", training, "30 s, 500 MB", "5 s, 450 MB"),
        Line(
            "training, 500 x 32",
            [*training, "--num_train_steps", "500", "--batch_size", "32"],
            "3 min, 800 MB",
            "12 s, 500 MB",
        ),
        Line("hard examples, 50 x 16", tracking, "5 s, 200 MB", "3 s"),
        Line(
            "hard examples, 500 x 64",
            [*tracking, "--steps", "500", "--batch_size", "64"],
            "45 s, 600 MB",
            "8 s, 450 MB",
        ),
    ]


def _measure(command: list[str]) -> tuple[float, float]:
    """Seconds and megabytes of a process; raises where it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.WEXITSTATUS(status)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with status {status}")
    return seconds, usage.ru_maxrss * (1024 if sys.platform == "linux" else 1) / 1e6


def _tracker_cost(steps: int) -> tuple[float, float]:
    """Seconds of a training step at batch 64, and of the tracker's part of it."""
    torch.set_num_threads(1)
    updates: list[float] = []

    class Timed(HardExampleTracker):
        def update(self, *arguments: object, **more: object) -> int:
            start = time.perf_counter()
            entered = super().update(*arguments, **more)  # type: ignore[arg-type]
            updates.append(time.perf_counter() - start)
            return entered

    algorithm = MockAlgorithm(batch_size=64, tracker=Timed(50))
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        algorithm.iterate()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), statistics.median(updates)


if __name__ == "__main__":
    sys.exit(main())
