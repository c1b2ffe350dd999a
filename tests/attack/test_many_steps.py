"""A million control steps: memory, descriptors and threads stay what they were."""

import os
import resource
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from findings import Attack
from forks import TINY, End, program, run, tiny

from dexhand.checkpoints.store import load_checkpoint, save_checkpoint

INTERVAL = 0.25
"""Seconds between two samples."""
FEWEST = 80
"""Samples without which nothing is judged: the first quarter is the start."""
MEGABYTE = 1 << 20
MOST_GROWTH = 16 * MEGABYTE
"""Bytes, from the second quarter to the last one; a leak of one float for each step would be 24 MB and more."""


@dataclass(frozen=True)
class Sample:
    """What a process has at a moment."""

    memory: int
    descriptors: int
    threads: int

    @classmethod
    def of_this_process(cls) -> "Sample":
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        descriptors, threads = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
        return cls(pages * resource.getpagesize(), descriptors, threads)


def sampled(work: Callable[[], None], file: Path) -> Callable[[], None]:
    """``work`` with a thread beside it that writes samples to ``file``."""

    def sample() -> None:
        with open(file, "w", buffering=1) as out:
            while True:
                now = Sample.of_this_process()
                out.write(f"{now.memory} {now.descriptors} {now.threads}\n")
                time.sleep(INTERVAL)

    def both() -> None:
        threading.Thread(target=sample, daemon=True).start()
        work()

    return both


def check(attack: Attack, what: str, end: End, file: Path) -> None:
    """Compare the least of the last quarter with the least of the second one.

    What is there for a moment is no leak: the files of a checkpoint that is saved while another is read, of which a
    sample sees a few by chance, or what a test needs at its end to write its replay (40 MB and four descriptors).
    """
    if end.code:
        attack.found(f"{what}: {end.problem}")
        return
    lines = file.read_text().splitlines()
    samples = [Sample(*map(int, line.split())) for line in lines if len(line.split()) == 3]
    quarter = len(samples) // 4
    for kind in fields(Sample):
        values = [getattr(sample, kind.name) for sample in samples]
        growth: Any = min(values[3 * quarter :]) - min(values[quarter : 2 * quarter], default=0)
        limit = MOST_GROWTH if kind.name == "memory" else 0
        if len(samples) >= FEWEST and growth > limit:
            attack.found(f"{what}: {kind.name} grew by {growth} within the second half")
        shown = f"{growth / MEGABYTE:.1f} MB" if kind.name == "memory" else growth
        attack.report(f"{what}: growth of {kind.name}", shown if len(samples) >= FEWEST else "too short")


def test_training(attack: Attack, tmp_path: Path) -> None:
    """The real learner, on the mock: everything that a training does in each iteration."""
    iterations = attack.times(250)
    words = ["train.algorithm=rl_games", "numEnvs=256", "train.ppo.horizon_length=16", "train.saveFrequency=10"]
    words += ["task.episodeLength=20", "train.keepCheckpoints=3", "train.hardExamples.enabled=true"]
    work = program(*tiny(*words), f"maxIter={iterations}")
    end = run(sampled(work, tmp_path / "s"), tmp_path, patience=3000)
    attack.report("control steps of a training", iterations * 256 * 16)
    check(attack, "training", end, tmp_path / "s")
    attack.conclude()


def test_playing(attack: Attack, tmp_path: Path) -> None:
    """A test that goes on while a training saves: a new checkpoint every other second."""
    assert run(program(*TINY, "maxIter=1", "task.episodeLength=20"), tmp_path).code == 0
    latest = (tmp_path / "runs" / "latest_train").resolve() / "nn" / "latest.pth"
    state = load_checkpoint(latest)
    episodes = attack.times(1_000_000) // 19
    has_ended = threading.Event()

    def save() -> None:
        while not has_ended.wait(2.0):
            state["epoch"] += 1
            save_checkpoint(latest, state)

    def play_beside_training() -> None:
        threading.Thread(target=save, daemon=True).start()
        # a short replay: to write a long one takes the last quarter of a small attack
        words = ["numEnvs=256", f"testGamesNum={episodes}", "reloadInterval=1", "replayDuration=1"]
        program("test=true", "checkpoint=latest", *words)()

    end = run(sampled(play_beside_training, tmp_path / "s"), tmp_path, patience=3000)
    attack.report("control steps of a test", episodes * 19)
    attack.report("control steps of a test: checkpoints that were reloaded", end.out.count("Reloaded"))
    check(attack, "test", end, tmp_path / "s")
    attack.conclude()


def test_physics(attack: Attack, tmp_path: Path) -> None:
    """The real simulator."""
    iterations = attack.times(2_000)
    words = ["sim.backend=mujoco", "task=BoxGrasping", "numEnvs=16", "train.ppo.horizon_length=16"]
    work = program(*tiny(*words), f"maxIter={iterations}", "keepCheckpoints=3")
    end = run(sampled(work, tmp_path / "s"), tmp_path, patience=3000)
    attack.report("control steps of MuJoCo", iterations * 16 * 16)
    check(attack, "MuJoCo", end, tmp_path / "s")
    attack.conclude()
