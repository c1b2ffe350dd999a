"""A start, a save, a resume and a test in which a call into the file system fails: each one in turn."""

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch
from findings import Attack
from forks import TINY, End, program, run, run_failing
from whole import Seen

from dexhand.checkpoints.store import CheckpointStore, load_checkpoint
from dexhand.workspace.workspace import Run

MODES = {"once": "one fails", "always": "it and all later writes fail", "kill": "killed before it"}
COMMANDS = {
    "start": [*TINY, "maxIter=2"],
    "resume": ["resume=latest", "maxIter=4"],
    "test": ["test=true", "checkpoint=latest", "testGamesNum=1"],
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a run of two iterations, for ``resume`` and ``test``."""
    folder = tmp_path_factory.mktemp("trained")
    assert run(program(*COMMANDS["start"]), folder).code == 0
    return folder


@pytest.mark.parametrize("mode", ["once", "always", "kill"])
@pytest.mark.parametrize("command", COMMANDS)
def test_each_call_of_a_command(attack: Attack, trained: Path, tmp_path: Path, command: str, mode: str) -> None:
    """It is done, or ends with one line; never a traceback; what was there is whole."""
    seen = Seen()
    seen.look(Run((trained / "runs" / "latest_train").resolve()))
    stride = max(1, round(1 / attack.share))
    number, calls, codes = attack.draw.randrange(stride), 0, Counter[int]()
    while True:
        folder = tmp_path / "w"
        if command == "start":
            folder.mkdir()
        else:
            shutil.copytree(trained, folder, symlinks=True)
        end, call = run_failing(program(*COMMANDS[command]), number, mode, folder)
        if not call:
            break
        calls += 1
        codes[end.code] += 1
        ended = None if mode == "kill" and end.was_killed else end.problem
        for problem in [*filter(None, [ended]), *_lost(folder, command, seen), *_undone(folder, command, end)]:
            attack.found(f"{command}, call {number}, {call}: {problem}")
        shutil.rmtree(folder)
        number += stride
    attack.report(f"calls of a {command}: {MODES[mode]}", calls)
    if mode != "kill":
        attack.report(f"calls of a {command}: {MODES[mode]}, exit codes", str(dict(sorted(codes.items()))))
    attack.conclude()


def _lost(folder: Path, command: str, before: Seen) -> list[str]:
    """What is not whole."""
    problems = []
    for path in sorted((folder / "runs_all").glob("*_train_*")):
        seen = Seen() if command == "start" else Seen(before.latest, before.has_best, before.has_config)
        problems += seen.look(Run(path))
    return problems


def _undone(folder: Path, command: str, end: End) -> list[str]:
    """What a command that ended with 0 has not done."""
    if end.code:
        return []
    if command == "test":
        has_results = any((folder / "runs_all").glob("*_test_*/results.json"))
        has_said = "Results cannot be written" in end.out or "Stopped before there was a checkpoint" in end.out
        return [] if has_results or has_said else ["exit code 0 without results"]
    (path,) = (folder / "runs_all").glob("*_train_*")
    epoch = load_checkpoint(path / "nn" / "latest.pth")["epoch"]
    return [] if epoch == int(COMMANDS[command][-1].partition("=")[2]) else [f"exit code 0 at iteration {epoch}"]


@pytest.mark.parametrize("mode", ["once", "always", "kill"])
def test_each_call_of_a_save(attack: Attack, tmp_path: Path, mode: str) -> None:
    """``OSError``, or it is done; every name is whole, and ``latest.pth`` is the new one where nothing was raised."""
    state = {"epoch": 2, "weights": torch.full((2_000,), 2.0)}
    number = 0
    while True:
        store = CheckpointStore(tmp_path / "nn", keep=1)
        store.save({**state, "epoch": 1}, iteration=1, numbered=True, best=True)

        def save(store: CheckpointStore = store) -> None:
            try:
                store.save(state, iteration=2, numbered=True, best=True)
            except OSError:
                os._exit(3)

        end, call = run_failing(save, number, mode, tmp_path)
        if not call:
            break
        seen = Seen(1, True, False)
        problems = [problem for problem in seen.look(Run(tmp_path)) if "config" not in problem]
        if end.code not in (0, 3, -9):
            problems.append(end.tail)
        if end.code == 0 and seen.latest != 2:
            problems.append("latest.pth is the old one")
        for problem in problems:
            attack.found(f"call {number}, {call}: {problem}")
        shutil.rmtree(tmp_path / "nn")
        number += 1
    attack.report(f"calls of a save: {MODES[mode]}", number)
    attack.conclude()
