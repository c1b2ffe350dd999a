"""Processes of one training that were started differently: each is told in one line, and none waits without a word."""

import os
import random
import signal
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from findings import Attack
from forks import TINY, End, Fork, program
from test_command_lines import SIZES, a_fitting_value
from torch.distributed.elastic.utils.distributed import get_free_port

from dexhand.config.compose import compose
from dexhand.config.errors import ConfigError
from dexhand.config.keys import all_keys
from dexhand.config.sources import leaves

SECONDS = 20.0
"""Until both know, on a busy machine; the promise is ten."""
STOPPED = 10.0
"""Seconds until one that waits for the other is stopped."""
SLOW = 5.0
"""Seconds that a stopped process may take to end, on a busy machine; the promise is three."""
NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
WRONG = [
    *("", " ", "x", "-1", "0", "1", "2", "3", "1.5", "1e3", "0x1", "\uff19", "9" * 40, "65536", "1", "a\nb", "a.b:c"),
    *("nohost.invalid", "localhost", "127.0.0.2", "::1", "192.0.2.7", "a" * 300, "\udcff", "../..", "-"),
]


def together(processes: Iterable[Callable[[], None]], folder: Path) -> list[End]:
    """Run the processes of a training; who still waits after a while is stopped."""
    forks = [Fork(process, folder) for process in processes]
    return [fork.end([(STOPPED, signal.SIGINT)], patience=2.0 * SECONDS) for fork in forks]


def started(variables: Mapping[str, str], *words: str) -> Callable[[], None]:
    """A process of a training with these environment variables."""

    def work() -> None:
        os.environ.update(variables, GLOO_SOCKET_IFNAME="lo")
        program(*TINY, "maxIter=1", *words)()

    return work


def variables_of(rank: int, port: int) -> dict[str, str]:
    """What ``torchrun`` sets for one of two processes."""
    values = (str(rank), "2", str(rank), "127.0.0.1", str(port))
    return dict(zip(NAMES, values, strict=True))


def some_words(draw: random.Random) -> list[str]:
    """Settings that a training accepts."""
    keys = [key for key in all_keys().values() if key.type in (int, float, bool) and key.name != "train.test"]
    keys = [key for key in keys if not any(size in key.name for size in (*SIZES, "viewer", "video"))]
    while True:
        chosen = draw.sample(keys, draw.choice((0, 1, 3, 6)))
        words = [f"{key.name}={a_fitting_value(draw, key)}".replace(" ", "") for key in chosen]
        try:
            compose([*TINY, *words])
        except ConfigError:
            continue
        return words


def differences(words: list[list[str]]) -> list[str]:
    """The keys in which two command lines differ, but the seed, which process 0 gives to all."""
    first, second = (dict(leaves(asdict(compose([*TINY, *some])))) for some in words)
    return [key for key in first if first[key] != second[key] and key != "train.seed"]


def test_other_settings(attack: Attack, tmp_path: Path) -> None:
    """Both processes end soon and name every key; with the same settings, both train."""
    count, alike, slowest = attack.times(150), 0, 0.0
    for number in range(count):
        words = [some_words(attack.draw) for _ in range(2)]
        keys, port = differences(words), get_free_port()
        ends = together([started(variables_of(rank, port), *words[rank]) for rank in range(2)], tmp_path)
        alike += not keys
        for rank, end in enumerate(ends):
            slowest = max(slowest, end.seconds)
            lacking = [key for key in keys if key not in end.err]
            if end.code != (2 if keys else 0) or end.problem or lacking or end.seconds > SECONDS:
                attack.found(f"{number}, process {rank}, {words}: lacks {lacking}, {end.seconds:.1f} s, {end.tail}")
    attack.report("two processes with settings of their own", count)
    attack.report("two processes with settings of their own: alike, and trained", alike)
    attack.report("two processes with settings of their own: slowest, ms", round(1e3 * slowest))
    attack.conclude()


def test_wrong_variables(attack: Attack, tmp_path: Path) -> None:
    """Each process trains alone, ends with one line, or says that it waits and can be stopped."""
    count, waited = attack.times(60), 0
    for number in range(count):
        port = get_free_port()
        variables = [variables_of(rank, port) for rank in range(2)]
        for name in attack.draw.sample(NAMES, attack.draw.choice((1, 1, 2))):
            wrong = attack.draw.choice([*WRONG, None])
            place = attack.draw.choice(variables)
            place.pop(name) if wrong is None else place.update({name: wrong})
        ends = together(map(started, variables), tmp_path)
        for rank, end in enumerate(ends):
            where = f"{number}, process {rank}, {variables}"
            if end.code == 128 + signal.SIGINT:
                waited += 1
                if "waits for" not in end.out + end.err:
                    attack.found(f"{where}: waited without a word: {end.tail}")
            elif end.problem:
                attack.found(f"{where}: {end.problem}")
            if end.seconds > STOPPED + SLOW:
                attack.found(f"{where}: ended {end.seconds - STOPPED:.1f} s after it was stopped: {end.tail}")
    attack.report("two processes with wrong variables", count)
    attack.report("two processes with wrong variables: processes that waited and said so", waited)
    attack.conclude()
