"""Checks that checkpoints contain what was saved, and that resuming from one is bit-exact."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dexhand.checkpoints.store import CheckpointError, CheckpointStore, load_checkpoint
from dexhand.core.interfaces import Algorithm
from dexhand.mock_training.differences import differences
from dexhand.mock_training.problems import Problems

NEEDED = ("model", "optimizer", "schedule", "random", "position", "epoch", "train_loop")
"""Keys of every checkpoint of a mock training."""


class CheckedStore(CheckpointStore):
    """``CheckpointStore`` that reads every checkpoint back after saving it, and compares."""

    def __init__(self, store: CheckpointStore, problems: Problems) -> None:
        super().__init__(store.folder, store.keep)
        self.saved = 0
        self._store = store
        self._problems = problems

    def save(self, state: Mapping[str, Any], *, iteration: int, numbered: bool = False, best: bool = False) -> Path:
        """See ``CheckpointStore.save``."""
        path = self._store.save(state, iteration=iteration, numbered=numbered, best=best)
        self.saved += 1
        latest = self._store.latest()
        self._problems.expect(latest is not None, "checkpoint", f"there is no latest.pth after {path} was saved")
        for name in sorted({path, latest or path}):
            self._compare(name, state)
        self._problems.expect(
            state.get("epoch") == iteration,
            "checkpoint",
            f"{path} is saved as iteration {iteration}, but its state has epoch {state.get('epoch')}",
        )
        return path

    def _compare(self, path: Path, state: Mapping[str, Any]) -> None:
        try:
            found = load_checkpoint(path)
        except CheckpointError as error:
            self._problems.add("checkpoint", str(error))
            return
        missing = [name for name in NEEDED if name not in found]
        self._problems.extend("checkpoint", [f"{path} has no {name!r}" for name in missing])
        self._problems.extend("checkpoint", (f"{path}: {text}" for text in differences(dict(state), found)))


def check_resume(
    algorithm: Algorithm,
    checkpoint: Path,
    rows: Mapping[int, Mapping[str, float]],
    final: Mapping[str, Any],
    problems: Problems,
) -> None:
    """Resume ``checkpoint`` in a new ``algorithm`` and train to the end, where the first training had state ``final``.

    Every value in ``rows``, the curves of the first training, and the final state must be bit-identical.
    """
    try:
        algorithm.load_state_dict(load_checkpoint(checkpoint))
    except (CheckpointError, ValueError, LookupError) as error:
        problems.add("resume", f"{checkpoint} cannot be resumed: {error}")
        return
    while algorithm.iterations_done < final["epoch"]:
        iteration = algorithm.iterate()
        for name, value in rows.get(iteration.iterations_done, {}).items():
            found = iteration.metrics[name]
            problems.expect(
                struct.pack("d", found) == struct.pack("d", value),
                "resume",
                f"from {checkpoint.name}, iteration {iteration.iterations_done}: {name}={found!r} instead of {value!r}",
            )
    known = {name: value for name, value in final.items() if name != "train_loop"}
    problems.extend("resume", (f"at the end {text}" for text in differences(known, algorithm.state_dict())))
