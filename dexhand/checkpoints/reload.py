"""Hot reload: find and load new checkpoints while the current policy plays."""

import hashlib
import logging
import math
import os
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple, Optional, Protocol

import torch

from dexhand.checkpoints.choice import AUTO, PanelLink, chosen_path, in_words, is_choosable
from dexhand.checkpoints.folder import BEST_NAME, iteration_of
from dexhand.checkpoints.folder_changes import FolderChanges
from dexhand.checkpoints.store import CheckpointError, read_checkpoint
from dexhand.core.eval_loop import LoadedPolicy
from dexhand.core.interfaces import Clock, Policy
from dexhand.core.stop import StopRequest
from dexhand.files.locks import InUse
from dexhand.files.output import printable

log = logging.getLogger(__name__)

WAIT_INTERVAL = 0.5
"""Seconds between checks while there is no checkpoint to play yet."""
REMINDER_INTERVAL = 60.0
"""Seconds between two warnings about a file that keeps changing and stays bad for the same reason."""
CHOICE_INTERVAL = 0.5
"""Seconds between checks of what was chosen in a panel, also on file systems that report no changes."""
CLOSE_TIMEOUT = 0.5
"""Seconds that ``close`` waits for a check in progress."""


class FileId(NamedTuple):
    """Identifies a version of a file: equal as long as file and content are the same."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, path: Path) -> Optional["FileId"]:
        """Return ``None`` if there is no file, or it cannot be accessed."""
        try:
            status = path.stat()
        except OSError:
            return None
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class Source(Protocol):
    """Where checkpoints appear, such as ``dexhand.workspace.checkpoint_names.CheckpointSource``."""

    def checkpoints(self) -> list[Path]:
        """Playable files, the preferred one first. May raise ``OSError`` or ``ValueError``."""

    def folders(self) -> list[Path]:
        """The folders to watch for changes of ``checkpoints()``."""


Load = Callable[[Path, bytes], tuple[Policy, int]]
"""Creates a policy from a file's path and content, and returns it with its iteration. Called in a thread; may raise."""


class ReloadWatcher:
    """Loads new checkpoints of a source.

    A file is new if its inode, size or times have changed, and its content too. ``latest.pth`` is loaded whenever it is
    new; a numbered file if its number is higher than the current policy's iteration, or if none of the files seen
    before exist any more. If a file cannot be read, does not fit, or the current policy's file is deleted, this is
    reported once, and the current policy stays.

    A panel can choose one checkpoint, which is loaded once and then stays until something else is chosen.
    """

    def __init__(
        self,
        source: Source,
        load: Load,
        *,
        clock: Clock,
        interval: float,
        changes: FolderChanges | None = None,
        panels: PanelLink | None = None,
        executor: Executor | None = None,
    ) -> None:
        """Check every ``interval`` seconds (0 = never) and whenever ``changes`` reports something.

        With ``panels``, play what was chosen in a checkpoint panel.
        """
        self._source = source
        self._load = load
        self._clock = clock
        self._interval = interval
        self._changes = changes
        self._panels = panels
        self._choice = AUTO
        self._folder: Path | None = None
        """Where the choice was made."""
        self._has_chosen = False
        """Whether the chosen checkpoint has been loaded."""
        self._missing: str | None = None
        self._problem: str | None = None
        # more torch threads would take processor cores from the loop, for little
        self._executor = executor or ThreadPoolExecutor(1, "reload", initializer=torch.set_num_threads, initargs=(1,))
        self._looking: Future[LoadedPolicy | None] | None = None
        self._next_look = clock.monotonic() + interval
        self._next_glance = clock.monotonic() + CHOICE_INTERVAL
        self._playing: LoadedPolicy | None = None
        self._playing_file: tuple[Path, FileId] | None = None
        self._playing_digest = b""
        self._in_use: InUse | None = None
        self._seen: dict[Path, FileId] = {}
        self._complaints: dict[tuple[Path, str], tuple[FileId, float]] = {}
        self._source_complaint = ""
        self._is_deleted = self._is_awaiting = False

    def wait(self, stop: StopRequest, fatal: tuple[type[Exception], ...] = ()) -> LoadedPolicy | None:
        """Wait for the first playable checkpoint and return it, or ``None`` if a stop is requested.

        Errors of the types in ``fatal`` are raised; after others it waits for another file.
        """
        has_said = False
        while not stop.requested:
            loaded = self.look_once(stop, fatal)
            if loaded is not None:
                return loaded
            if not has_said and not stop.requested:
                log.info("Waiting for checkpoint in %s (Ctrl-C stops)", self._source)
                has_said = True
            self._clock.sleep(WAIT_INTERVAL)
        return None

    def look_once(self, stop: StopRequest, fatal: tuple[type[Exception], ...] = ()) -> LoadedPolicy | None:
        """Call ``look`` in the watcher's thread; returns ``None`` if a stop is requested while a read hangs."""
        self._looking = looking = self._executor.submit(self.look, fatal)
        while not looking.done() and not stop.requested:
            wait([looking], timeout=0.05)
        if not looking.done():
            return None
        self._looking = None
        return looking.result()

    def poll(self) -> LoadedPolicy | None:
        """Return the policy loaded since the last call, or ``None``. Never waits; call it between two steps."""
        if self._looking is not None:
            if not self._looking.done():
                return None
            looking, self._looking = self._looking, None
            return looking.result()
        self._look_if_due()
        return None

    def keep_looking(self) -> None:
        """Do what ``poll`` does, while no step is made; the next ``poll`` returns what is loaded."""
        if self._looking is not None and self._looking.done() and not self._looking.exception():
            self._looking = None if self._looking.result() is None else self._looking
        if self._looking is None:
            self._look_if_due()

    @property
    def is_busy(self) -> bool:
        """Whether a check or load is in progress."""
        return self._looking is not None and not self._looking.done()

    def _look_if_due(self) -> None:
        if self._is_due():
            self._next_look = self._clock.monotonic() + self._interval
            self._looking = self._executor.submit(self.look)
        elif self._panels is not None and self._clock.monotonic() >= self._next_glance:
            self._next_glance = self._clock.monotonic() + CHOICE_INTERVAL
            self._looking = self._executor.submit(self._look_if_chosen)

    def _is_due(self) -> bool:
        if self._changes is not None and self._changes.happened():
            return True
        return self._interval > 0 and self._clock.monotonic() >= self._next_look

    def look(self, fatal: tuple[type[Exception], ...] = ()) -> LoadedPolicy | None:
        """Check the source in this thread and load what is new."""
        found = self._found()
        self._problem = None
        self._read_choice(found)
        candidates = self._candidates(found)
        loaded = self._load_preferred(candidates, fatal)
        playing = self._playing_file
        if playing is not None and playing in candidates.items() and playing[0].name == self._choice.checkpoint:
            self._has_chosen = True
        self._report_missing(found)
        self._announce()
        return loaded

    def _look_if_chosen(self) -> LoadedPolicy | None:
        """Look if something else was chosen."""
        before = self._choice
        self._read_choice({})
        self._announce()
        return self.look() if self._choice != before else None

    def _read_choice(self, found: dict[Path, FileId]) -> None:
        """Read what was chosen for the files found; a checkpoint that is held stays when ``latest`` is a newer run."""
        if found and self._choice.mode == "auto":
            self._folder = next(iter(found)).parent
        if self._panels is None or self._folder is None:
            return
        choice = self._panels.choice(self._folder)
        if choice != self._choice:
            log.info("Checkpoint panel: %s", in_words(choice))
            self._choice, self._has_chosen, self._missing, self._seen = choice, False, None, {}

    def _candidates(self, found: dict[Path, FileId]) -> dict[Path, FileId]:
        """The files that may be loaded now: those found, or the chosen one until it has been loaded.

        While nothing plays yet, those found may take the place of a chosen one that cannot be loaded.
        """
        name = self._choice.checkpoint
        if self._folder is None or self._choice.mode == "auto" or (name is None and self._playing is None):
            return found
        if name is None or self._has_chosen:
            return {}
        path, instead = chosen_path(self._folder, name), found if self._playing is None else {}
        identity = FileId.of(path) if is_choosable(path) else None
        if identity is not None:
            return {path: identity, **instead}
        self._problem = f"{name} is not there"
        if name != self._missing:
            log.warning("Checkpoint panel: %s is not in %s%s", printable(name), self._folder, self._what_plays_on())
        self._missing = name
        return instead

    def _announce(self) -> None:
        if self._panels is not None and self._playing is not None and self._playing_file is not None:
            self._panels.announce(self._playing_file[0], self._playing.iteration, self._problem)

    def _load_preferred(self, found: dict[Path, FileId], fatal: tuple[type[Exception], ...]) -> LoadedPolicy | None:
        """Load the first of the files that is new and may replace the current policy."""
        all_are_new = not any(self._seen.get(path) == identity for path, identity in found.items())
        if found:
            self._seen = found
            self._complaints = {about: said for about, said in self._complaints.items() if about[0] in found}
        for rank, (path, identity) in enumerate(found.items()):
            is_preferred = rank == 0
            if not (is_preferred and all_are_new) and not self._may_replace_current(path, is_preferred):
                continue
            if self._is_of_older_run(path, identity):
                continue
            if (path, identity) == self._playing_file:
                return None
            try:
                return self._load_if_new(path, identity)
            except fatal:
                raise
            except Exception as error:  # no file may end the test
                self._complain(path, identity, error)
        return None

    def _is_of_older_run(self, path: Path, identity: FileId) -> bool:
        """Whether a file is of an older run, which ``latest`` stands for once the current one is deleted."""
        file = self._playing_file
        if file is None or path.parent == file[0].parent or identity.mtime_ns >= file[1].mtime_ns:
            return False
        return FileId.of(file[0]) is None

    def _report_missing(self, found: dict[Path, FileId]) -> None:
        """Say once that the current policy's file was deleted, or that ``latest`` is now a run without checkpoints."""
        playing, file = self._playing, self._playing_file
        if playing is None or file is None or self._source_complaint:
            return
        is_deleted = file[0] not in found and FileId.of(file[0]) is None
        if is_deleted and not self._is_deleted:
            log.warning("%s no longer exists. Iteration %d plays on", file[0], playing.iteration)
        self._is_deleted = is_deleted
        if is_deleted:
            self._problem = self._problem or f"{file[0].name} is not there"
        is_awaiting = not found and not is_deleted and self._choice.mode == "auto"
        if is_awaiting and not self._is_awaiting:
            log.info(
                "A newer run has begun. Iteration %d plays on until that run's first checkpoint", playing.iteration
            )
        self._is_awaiting = is_awaiting

    def _found(self) -> dict[Path, FileId]:
        """The playable files in order of preference, with their current versions."""
        try:
            if self._changes is not None:
                self._changes.clear()
                self._changes.watch(self._source.folders())
            found = [(path, FileId.of(path)) for path in self._source.checkpoints()]
        except (OSError, ValueError) as error:
            if str(error) != self._source_complaint:
                log.warning("Cannot look for checkpoints: %s", error)
            self._source_complaint = str(error)
            return {}
        self._source_complaint = ""
        return {path: identity for path, identity in found if identity is not None}

    def _may_replace_current(self, path: Path, is_preferred: bool) -> bool:
        playing = self._playing
        if playing is None or path == playing.path or path.name == self._choice.checkpoint:
            return True
        iteration = iteration_of(path)
        if iteration is None:
            return is_preferred and path.name != BEST_NAME
        return iteration > playing.iteration

    def _load_if_new(self, path: Path, identity: FileId) -> LoadedPolicy | None:
        start = self._clock.monotonic()
        content = read_checkpoint(path)
        digest = hashlib.blake2b(content).digest()
        if digest != self._playing_digest:
            policy, iteration = self._load(path, content)
            self._playing = LoadedPolicy(
                policy,
                path,
                iteration,
                age=self._clock.now() - identity.mtime_ns / 1e9,
                load_seconds=self._clock.monotonic() - start,
            )
        is_new = digest != self._playing_digest
        self._playing_file, self._playing_digest = (path, identity), digest
        self._complaints = {about: said for about, said in self._complaints.items() if about[0] != path}
        self._mark(path)
        return self._playing if is_new else None

    def _mark(self, path: Path) -> None:
        before, self._in_use = self._in_use, InUse(path)
        if before is not None:
            before.release()

    def _complain(self, path: Path, identity: FileId, error: Exception) -> None:
        """Warn once for each file and reason, and again while the file changes but stays bad, now and then."""
        reason = str(error) if str(path) in str(error) else f"{path}: {type(error).__name__}: {error}"
        self._problem = reason.replace(f"{path.parent}{os.sep}", "")  # a panel may know the folder by another path
        kind = error.problem.partition(":")[0] if isinstance(error, CheckpointError) else str(error)
        file, said_at = self._complaints.get((path, kind), (None, -math.inf))
        now = self._clock.monotonic()
        if file == identity or now - said_at < REMINDER_INTERVAL:
            return
        self._complaints[path, kind] = identity, now
        said = "not loaded" if file is None else "still not loaded"
        log.warning("Checkpoint %s: %s%s", said, reason, self._what_plays_on())
        log.debug("Why %s was not loaded", path, exc_info=error)

    def _what_plays_on(self) -> str:
        return "" if self._playing is None else f". Iteration {self._playing.iteration} plays on"

    def close(self) -> None:
        """Stop checking; a load in progress is dropped, and abandoned if it hangs."""
        releasing = self._executor.submit(self._release)
        self._executor.shutdown(wait=False)
        wait([releasing], timeout=CLOSE_TIMEOUT)

    def _release(self) -> None:
        if self._changes is not None:
            self._changes.close()
        if self._panels is not None:
            self._panels.close()
        if self._in_use is not None:
            self._in_use.release()
