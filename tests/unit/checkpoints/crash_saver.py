"""Saves checkpoints in processes that are killed, and looks at what they leave: ``crash_saver.py FOLDER COUNT``.

Each process is a fork of this one, which has torch's import behind it and no threads. They are killed before and after
every call into the operating system, after so many bytes of a write, and ``COUNT`` times at a random moment. Prints how
many were killed in each way; exits with 1 and what is wrong where a checkpoint did not survive.
"""

import io
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from dexhand.checkpoints.store import CheckpointStore, load_checkpoint

OLD, NEW = 1, 2


def state_of(iteration: int) -> dict[str, Any]:
    """Something that cannot be put together from two files."""
    return {"epoch": iteration, "weights": torch.full((2_000,), float(iteration))}


def save(store: CheckpointStore, iteration: int) -> None:
    """With every name a save can have, and an old one to delete."""
    store.save(state_of(iteration), iteration=iteration, numbered=True, best=True)


def fresh_store(folder: Path) -> CheckpointStore:
    """A store that holds the old state."""
    shutil.rmtree(folder, ignore_errors=True)
    store = CheckpointStore(folder, keep=1)
    save(store, OLD)
    return store


def check(store: CheckpointStore) -> None:
    """Every name that is there is whole: the old state or the new one; latest and best are always there."""
    assert store.latest() is not None
    assert store.best() is not None
    for path in store.folder.glob("[!.]*.pth"):
        state = load_checkpoint(path)
        assert state["epoch"] in (OLD, NEW), path
        assert bool((state["weights"] == float(state["epoch"])).all()), path
    for path in store.numbered():
        assert load_checkpoint(path)["epoch"] == int(path.stem.split("_")[1])
    assert store.numbered(), "neither the old numbered checkpoint nor the new one is there"


def in_child(work: Callable[[], None]) -> bool:
    """Run ``work`` in a fork; whether it was killed."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, "the saving process failed by itself"
    return False


def die() -> None:
    """As by kill -9 or a power cut of the process."""
    os.kill(os.getpid(), signal.SIGKILL)


def dying_at(number: int) -> Callable[[Any, str, Any], None]:
    """A profile function that kills at the n-th entry to or return from a call into the operating system."""
    seen = 0

    def profile(frame: Any, event: str, function: Any) -> None:
        nonlocal seen
        if event not in ("c_call", "c_return"):
            return
        owner: Any | None = getattr(function, "__self__", None)
        is_file = isinstance(owner, io.IOBase) and not isinstance(owner, io.BytesIO)
        if is_file or getattr(function, "__module__", "") in ("posix", "_io", "fcntl"):
            if seen == number:
                die()
            seen += 1

    return profile


def calls(folder: Path) -> int:
    """One process for each call of a save, in turn, until one is not killed any more."""
    number = 0
    while True:
        store = fresh_store(folder)

        def work(number: int = number, store: CheckpointStore = store) -> None:
            sys.setprofile(dying_at(number))
            save(store, NEW)
            sys.setprofile(None)

        killed = in_child(work)
        check(store)
        if not killed:
            assert load_checkpoint(folder / "latest.pth")["epoch"] == NEW
            return number
        number += 1


def sizes(folder: Path) -> int:
    """The kernel kills a process whose file grows beyond a limit: in the middle of a write."""
    whole = os.path.getsize(fresh_store(folder).folder / "latest.pth")
    killed = 0
    for size in [*range(0, whole, max(whole // 60, 1)), whole - 1]:
        store = fresh_store(folder)

        def work(size: int = size, store: CheckpointStore = store) -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            save(store, NEW)

        assert in_child(work), f"a limit of {size} bytes did not end the save"
        check(store)
        assert load_checkpoint(folder / "latest.pth")["epoch"] == OLD
        killed += 1
    return killed


def at_random(folder: Path, count: int) -> int:
    """Kill while one save follows another, at random times."""
    generator = random.Random(0)
    killed = 0
    for _ in range(count):
        store = fresh_store(folder)
        child = os.fork()
        if child == 0:
            while True:
                save(store, NEW)
        time.sleep(generator.uniform(0.0, 0.005))  # about three saves
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        check(store)
        killed += 1
    return killed


def main() -> None:
    """See the head of the file."""
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    print(calls(folder), sizes(folder), at_random(folder, int(sys.argv[2])))  # noqa: T201


if __name__ == "__main__":
    main()
