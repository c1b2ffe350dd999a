"""Files made to exhaust memory or time, and odd ones: each is refused in one line, cheaply."""

import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from findings import Attack
from forks import TINY, program, run
from hostile_files import (
    CHECKPOINTS,
    CONFIGS,
    MEGABYTE,
    ODD_STATES,
    WORDS,
    good_state,
    save_odd_state,
    symlink_loop,
    write_config,
)

from dexhand.checkpoints.store import save_checkpoint
from dexhand.runs import main as list_runs

MEMORY_PER_BYTE, MEMORY = 3, 100 * MEGABYTE
"""A file may cost so many bytes for each of its own on disk, and so many in any case."""
SECONDS = 2.0
"""Processor time that a file may cost."""
MOCK = ["sim.backend=mock", "numEnvs=2", "task.episodeLength=6"]


def played(checkpoint: Path) -> Callable[[], None]:
    return program(*MOCK, "test=true", f"checkpoint={checkpoint}", "testGamesNum=1", "reloadInterval=0")


def trained_on(checkpoint: Path) -> Callable[[], None]:
    return program(*MOCK, "maxIter=4", f"checkpoint={checkpoint}", "train.network.units=[8]")


def listed(checkpoint: Path) -> Callable[[], None]:
    def work() -> None:
        raise SystemExit(list_runs(["list", f"--runs-dir={checkpoint.parents[3] / 'runs'}"]))

    return work


def compared(checkpoint: Path) -> Callable[[], None]:
    return program(*MOCK, "test=true", f"checkpoint={checkpoint}", f"against={checkpoint}", "testGamesNum=1")


def ranked(checkpoint: Path) -> Callable[[], None]:
    numbered = checkpoint.with_name("checkpoint_3.pth")
    if not numbered.is_symlink():
        numbered.symlink_to(checkpoint.name)
    return program(*MOCK, "test=true", f"checkpoint={checkpoint.parents[1]}", "testEvery=true", "testGamesNum=1")


WAYS = {"played": played, "trained on": trained_on, "listed": listed, "compared": compared, "ranked": ranked}
REFUSING = ("played", "trained on", "compared")
"""Ways that end with an error; a list says what is wrong, a ranking leaves the file out."""


@pytest.fixture
def latest(tmp_path: Path) -> Path:
    """Where a run's ``latest.pth`` would be."""
    path = tmp_path / "runs_all" / "BaseTask_train_20260101_120000" / "nn" / "latest.pth"
    path.parent.mkdir(parents=True)
    return path


def test_hostile_checkpoints(attack: Attack, latest: Path, tmp_path: Path) -> None:
    """None costs more memory or time than a good one and a share of its size."""
    save_checkpoint(latest, good_state())
    ordinary = {way: run(work(latest), tmp_path) for way, work in WAYS.items()}
    most, slowest = 0, 0.0
    for name, make in CHECKPOINTS.items():
        latest.unlink()
        make(latest)
        for way, work in WAYS.items():
            end = run(work(latest), tmp_path)
            memory, seconds = end.peak - ordinary[way].peak, end.cpu - ordinary[way].cpu
            most, slowest = max(most, memory), max(slowest, seconds)
            size = os.stat(latest).st_blocks * 512
            if memory > MEMORY_PER_BYTE * size + MEMORY or seconds > SECONDS:
                attack.found(f"{name} of {size} bytes, {way}: {memory / MEGABYTE:.0f} MB, {seconds:.1f} s")
            if end.problem or (way in REFUSING and end.code == 0):
                attack.found(f"{name}, {way}: {end.problem or 'taken for a good one'}")
    attack.report("hostile checkpoints, each played, trained on, compared, ranked and listed", len(CHECKPOINTS))
    attack.report("hostile checkpoints: most memory, MB", round(most / MEGABYTE))
    attack.report("hostile checkpoints: slowest, ms of processor time", round(1e3 * slowest))
    attack.conclude()


def test_odd_checkpoints(attack: Attack, latest: Path, tmp_path: Path) -> None:
    """An intact file with a state that no training saves is played or refused, by a start and by a running test."""
    for place, value in ODD_STATES:
        save_odd_state(latest, place, value)
        for way, work in WAYS.items():
            end = run(work(latest), tmp_path)
            if end.problem:
                attack.found(f"{place}={str(value)[:50]}, {way}: {end.problem}")
    attack.report("odd checkpoints", len(ODD_STATES))
    attack.conclude()


def test_a_running_test(attack: Attack, tmp_path: Path) -> None:
    """None of these files, one after the other in the place of the newest checkpoint, ends a test that reloads."""
    assert run(program(*TINY, "maxIter=1"), tmp_path).code == 0
    latest = (tmp_path / "runs" / "latest_train").resolve() / "nn" / "latest.pth"
    makers = [*CHECKPOINTS.values()]
    makers += [partial(save_odd_state, place=place, value=value) for place, value in ODD_STATES]
    coming = tmp_path / "coming.pth"

    def replace() -> None:
        try:
            for make in makers:
                make(coming)
                os.replace(coming, latest)
                time.sleep(0.5)
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    def play() -> None:
        threading.Thread(target=replace, daemon=True).start()
        program("test=true", "checkpoint=latest", "testGamesNum=0", "reloadInterval=0.1")()

    end = run(play, tmp_path, patience=20.0 + 3.0 * len(makers))
    if end.problem:
        attack.found(end.problem)
    attack.report("hostile and odd checkpoints put before a running test", len(makers))
    attack.report("hostile and odd checkpoints before a running test: warnings", end.out.count("Checkpoint not loaded"))
    attack.conclude()


def test_hostile_configurations(attack: Attack, latest: Path, tmp_path: Path) -> None:
    """One that the user names, and one of a run: composed or refused in one line, cheaply."""
    save_checkpoint(latest, good_state())
    own, of_run = tmp_path / "own.yaml", latest.parents[1] / "config.yaml"
    commands = {
        "config=": (own, ["--dry-run", f"config={own}"]),
        "resume=": (of_run, ["--dry-run", "resume=latest"]),
        "checkpoint=": (of_run, ["--dry-run", "test=true", f"checkpoint={latest.parents[1]}"]),
    }
    ordinary = run(program("--dry-run"), tmp_path)
    most, slowest = 0, 0.0
    for name in [*CONFIGS, "symlink_loop"]:
        for way, (file, words) in commands.items():
            file.unlink(missing_ok=True)
            write_config(file, name) if name in CONFIGS else symlink_loop(file)
            end = run(program(*words), tmp_path)
            memory, seconds = end.peak - ordinary.peak, end.cpu - ordinary.cpu
            most, slowest = max(most, memory), max(slowest, seconds)
            if memory > MEMORY + MEMORY_PER_BYTE * len(CONFIGS.get(name, "")) or seconds > SECONDS:
                attack.found(f"{name}, {way}: {memory / MEGABYTE:.0f} MB, {seconds:.1f} s")
            if end.problem:
                attack.found(f"{name}, {way}: {end.problem}")
    attack.report("hostile configurations, named, resumed and played", len(CONFIGS) + 1)
    attack.report("hostile configurations: most memory, MB", round(most / MEGABYTE))
    attack.report("hostile configurations: slowest, ms of processor time", round(1e3 * slowest))
    attack.conclude()


def test_hostile_words(attack: Attack, tmp_path: Path) -> None:
    """Words of a command line that no user means."""
    for word in WORDS:
        end = run(program("--dry-run", word), tmp_path)
        if end.problem or end.cpu > SECONDS:
            attack.found(f"{word[:60]}: {end.problem or f'{end.cpu:.1f} s'}")
    attack.report("hostile words", len(WORDS))
    attack.conclude()
