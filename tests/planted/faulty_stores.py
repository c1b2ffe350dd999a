"""Checkpoint stores with one fault each, and the checks of the conformance suite that must find it."""

import os
from pathlib import Path
from typing import Any

from planted import Faults

from dexhand.checkpoints.folder import numbered_name
from dexhand.checkpoints.store import CheckpointStore

FAULTS = Faults()
found_by = FAULTS.found_by


@found_by("numbered_checkpoints_stay_and_are_ordered_by_number")
class SortsAsText(CheckpointStore):
    """9 comes after 10."""

    def numbered(self) -> list[Path]:
        return sorted(super().numbered(), key=str)


@found_by("only_so_many_numbered_checkpoints_are_kept")
class KeepsOneLess(CheckpointStore):
    """Off by one."""

    def _remove_old(self) -> None:
        for path in self.numbered()[: -(self.keep or 99) + 1 or None] if self.keep else ():
            path.unlink()


@found_by(
    "files_of_others_are_never_deleted",
    "what_a_test_plays_is_kept",
    "leftovers_of_a_killed_process_are_removed_on_request",
)
class TidiesTooMuch(CheckpointStore):
    """Deletes every old file, whoever plays it or made it."""

    def _remove_old(self) -> None:
        if self.keep is not None:
            kept = [path.name for path in self.numbered()[-self.keep :]]
            for path in self.folder.glob("*[0-9]*.pth"):
                if path.name not in kept:
                    path.unlink()

    def remove_leftovers(self) -> None:
        for path in self.folder.glob("*.tmp"):
            path.unlink()


@found_by("best_is_the_newest_save_marked_best", "every_save_is_latest")
class EveryoneIsBest(CheckpointStore):
    """Moves the best checkpoint with every save."""

    def save(self, state: Any, *, iteration: int, numbered: bool = False, best: bool = False) -> Path:
        return super().save(state, iteration=iteration, numbered=numbered, best=True)


@found_by("an_empty_store_has_nothing", "a_folder_that_vanished_is_made_again")
class NeedsItsFolder(CheckpointStore):
    """Makes the folder once."""

    def __init__(self, folder: Path, keep: int | None = None) -> None:
        super().__init__(folder, keep)
        folder.mkdir(parents=True)

    def save(self, state: Any, **names: Any) -> Path:
        os.listdir(self.folder)
        return super().save(state, **names)


@found_by("a_negative_iteration_is_refused")
class TakesAnyNumber(CheckpointStore):
    def save(self, state: Any, *, iteration: int, numbered: bool = False, best: bool = False) -> Path:
        return super().save(state, iteration=abs(iteration), numbered=numbered, best=best)


@found_by("saving_the_same_iteration_again_replaces_it")
class KeepsTheFirst(CheckpointStore):
    """A number is given once."""

    def save(self, state: Any, *, iteration: int, numbered: bool = False, best: bool = False) -> Path:
        numbered = numbered and not (self.folder / numbered_name(iteration)).exists()
        return super().save(state, iteration=iteration, numbered=numbered, best=best)
