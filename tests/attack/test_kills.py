"""Processes that are killed while they start, train, save, resume and play: every checkpoint survives."""

import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from findings import Attack
from forks import TINY, program, run
from whole import Seen

from dexhand.checkpoints.choice import is_shared
from dexhand.checkpoints.store import CheckpointError, CheckpointStore, load_checkpoint
from dexhand.workspace.workspace import Run

RESUMES = 10
"""How often a run is killed before it may end."""


def test_kills_of_trainings(attack: Attack, tmp_path: Path) -> None:
    """A training is killed and resumed, again and again; nothing that was there is lost, and at last it ends."""
    words = {learner: [*TINY, f"train.algorithm={learner}", "maxIter=1000000"] for learner in ("mock", "rl_games")}
    longest = {name: 2.0 * run(program(*some, "maxIter=3"), tmp_path).seconds for name, some in words.items()}
    chains, kills, with_checkpoint, iterations = attack.times(45), 0, 0, 0
    for chain in range(chains):
        folder = tmp_path / str(chain)
        folder.mkdir()
        learner = "rl_games" if chain % 5 == 0 else "mock"
        seen: dict[Path, Seen] = {}
        newest = 0
        for _ in range(RESUMES):
            command = words[learner] if newest == 0 else ["resume=latest"]
            moment = attack.draw.uniform(0.0, longest[learner])
            done = run(program(*command), folder, [(moment, signal.SIGKILL)])
            kills += done.was_killed
            if not done.was_killed:
                attack.found(f"{chain}, {command[0]}: ended by itself: {done.tail}")
            for path in sorted((folder / "runs_all").glob("*_train_*")):
                for problem in seen.setdefault(path, Seen()).look(Run(path)):
                    attack.found(f"{chain}, {command[0]}, killed after {done.seconds:.3f} s: {problem}")
            newest = max((looked.latest for looked in seen.values()), default=0)
            with_checkpoint += newest > 0
        if newest:
            done = run(program("resume=latest", f"maxIter={newest + 1}"), folder)
            if done.code:
                attack.found(f"{chain}: cannot be resumed at last: {done.tail}")
            iterations += newest
        shutil.rmtree(folder)
    attack.report("trainings killed", kills)
    attack.report("trainings killed: with a checkpoint, which was not lost", with_checkpoint)
    attack.report("iterations resumed after all kills", iterations)
    attack.conclude()


def _contents(folder: Path) -> dict[Path, bytes]:
    """The files in a run, but for those with which tests without end announce themselves to panels."""
    files = (path for path in folder.rglob("*") if path.is_file() and not is_shared(path.name))
    return {path: path.read_bytes() for path in files}


def test_kills_of_tests(attack: Attack, tmp_path: Path) -> None:
    """A killed test leaves the run that it plays as it was, and later tests work."""
    assert run(program(*TINY, "maxIter=1"), tmp_path).code == 0
    played = Run((tmp_path / "runs" / "latest_train").resolve())
    before = _contents(played.path)
    words = ["test=true", "checkpoint=latest"]
    longest = 2.0 * run(program(*words, "testGamesNum=1"), tmp_path).seconds
    words.append("testGamesNum=0")
    count = attack.times(100)
    for number in range(count):
        done = run(program(*words), tmp_path, [(attack.draw.uniform(0.0, longest), signal.SIGKILL)])
        if not done.was_killed:
            attack.found(f"{number}: ended by itself: {done.tail}")
        if before != _contents(played.path):
            attack.found(f"{number}: the run that is played has changed")
    done = run(program(*words, "testGamesNum=1"), tmp_path)
    if done.code:
        attack.found(f"a later test: {done.tail}")
    attack.report("tests killed", count)
    attack.conclude()


OLD, NEW = 1, 2


def _save(store: CheckpointStore, iteration: int) -> None:
    """With every name that a save can have, and an old one to delete."""
    state = {"epoch": iteration, "weights": torch.full((2_000,), float(iteration))}  # no mixture of two files
    store.save(state, iteration=iteration, numbered=True, best=True)


def _fresh_store(folder: Path) -> CheckpointStore:
    """A store that holds the old state."""
    shutil.rmtree(folder, ignore_errors=True)
    store = CheckpointStore(folder, keep=1)
    _save(store, OLD)
    return store


def _lost(store: CheckpointStore) -> str | None:
    """What is not there or not whole."""
    names = [path.name for path in sorted(store.folder.glob("[!.]*.pth"))]
    if store.latest() is None or store.best() is None or not store.numbered():
        return f"only {names} is left"
    for name in names:
        try:
            state = load_checkpoint(store.folder / name)
        except CheckpointError as error:
            return str(error)
        if not bool((state["weights"] == float(state["epoch"])).all()):
            return f"{name} is a mixture"
    return None


def test_kills_while_saving(attack: Attack, tmp_path: Path) -> None:
    """At random moments while one save follows another, about three of which take five milliseconds."""
    count = attack.times(700)
    for number in range(count):
        store = _fresh_store(tmp_path / "nn")

        def save_on(store: CheckpointStore = store) -> None:
            while True:
                _save(store, NEW)

        done = run(save_on, tmp_path, [(attack.draw.uniform(0.0, 0.01), signal.SIGKILL)])
        lost = _lost(store)
        if lost or not done.was_killed:
            attack.found(f"{number}, killed after {done.seconds:.4f} s: {lost} {done.tail}")
    attack.report("savings killed at random", count)
    attack.conclude()


def test_kills_in_the_middle_of_a_write(attack: Attack, tmp_path: Path) -> None:
    """The kernel kills a process whose file grows beyond a limit: the file under its name is the old one."""
    whole = os.path.getsize(_fresh_store(tmp_path / "nn").folder / "latest.pth")
    count = attack.times(200)

    def limited(size: int, store: CheckpointStore) -> Callable[[], Any]:
        def work() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            _save(store, NEW)

        return work

    for number in range(count):
        size = whole * number // count
        store = _fresh_store(tmp_path / "nn")
        done = run(limited(size, store), tmp_path)
        lost = _lost(store)
        if done.code != -signal.SIGXFSZ or lost or load_checkpoint(store.folder / "latest.pth")["epoch"] != OLD:
            attack.found(f"a limit of {size} bytes: {lost}, exit code {done.code}")
    attack.report("savings killed in the middle of a write", count)
    attack.conclude()
