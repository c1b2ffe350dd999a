"""Ctrl-C and other signals at any moment: the program ends soon, in good order and without a traceback."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from findings import Attack
from forks import TINY, TRAIN, program, run
from whole import Seen

from dexhand.workspace.workspace import Run

SIGNALS = (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SECONDS = 10.0
"""Until a program has ended after a signal, on a busy machine; the promise is three."""


def test_signals_to_forks(attack: Attack, tmp_path: Path) -> None:
    """From the parsing of the command line to the end: trainings and tests."""
    commands = {"training": [*TINY, "maxIter=1000000"], "test": ["test=true", "checkpoint=latest", "testGamesNum=0"]}
    assert run(program(*TINY, "maxIter=2"), tmp_path).code == 0
    longest = 2.0 * run(program(*commands["test"][:2], "testGamesNum=1"), tmp_path).seconds
    count, slowest, codes, looked_at = attack.times(300), 0.0, dict[int, int](), set[Path]()
    for number in range(count):
        what = ("training", "test")[number % 2]
        moment, sent = attack.draw.uniform(0.0, longest), attack.draw.choice(SIGNALS)
        end = run(program(*commands[what]), tmp_path, [(moment, sent)])
        codes[end.code] = codes.get(end.code, 0) + 1
        slowest = max(slowest, end.seconds - moment)
        where = f"{number}: {sent.name} to a {what} after {moment:.3f} s"
        if end.code not in (0, 128 + sent, -sent) or "Traceback" in end.err:
            attack.found(f"{where}: exit code {end.code}: {end.tail}")
        if end.seconds - moment > SECONDS:
            attack.found(f"{where}: it ended {end.seconds - moment:.1f} s later: {end.tail}")
        for path in {*(tmp_path / "runs_all").glob("*_train_*")} - looked_at:
            looked_at.add(path)
            for problem in Seen().look(Run(path)):
                attack.found(f"{where}: {problem}")
        if what == "test" and end.code == 0 and "Playing" in end.out and "Wrote" not in end.out:
            attack.found(f"{where}: no results: {end.tail}")
    attack.report("signals to trainings and tests", count)
    attack.report("signals: slowest end, ms", round(1e3 * slowest))
    attack.report("signals: exit codes", str(dict(sorted(codes.items()))))
    attack.conclude()


def test_signals_to_processes(attack: Attack, tmp_path: Path) -> None:
    """While it starts and imports; what happens before the program's first line, Python's own start, is not judged."""
    count, slowest = attack.times(40), 0.0
    for number in range(count):
        moment, sent = attack.draw.uniform(0.1, 4.0), attack.draw.choice(SIGNALS)
        words = [sys.executable, str(TRAIN), *TINY, "maxIter=1000000"]
        with open(os.devnull, "rb") as nothing:
            process = subprocess.Popen(
                words, cwd=tmp_path, stdin=nothing, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            time.sleep(moment)
            process.send_signal(sent)
            start = time.monotonic()
            try:
                _, err = process.communicate(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                _, err = process.communicate()
        seconds = time.monotonic() - start
        slowest = max(slowest, seconds)
        is_started = "KeyboardInterrupt" not in err or str(TRAIN) in err
        if is_started and (process.returncode not in (0, 128 + sent, -sent) or "Traceback" in err or "Error" in err):
            attack.found(
                f"{number}: {sent.name} after {moment:.2f} s: {process.returncode} after {seconds:.1f} s: {err[-400:]}"
            )
    attack.report("signals to processes that start", count)
    attack.report("signals to processes that start: slowest end, ms", round(1e3 * slowest))
    attack.conclude()
