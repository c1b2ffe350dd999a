"""What every checkpoint panel shows and does, whichever front shows it. No torch."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dexhand.checkpoints.choice import (
    AUTO,
    Choice,
    Player,
    has_died,
    home_of,
    in_words,
    is_choosable,
    is_writable,
    read_choice,
    read_players,
    write_choice,
)
from dexhand.checkpoints.folder import checkpoints_in, iteration_of, return_of
from dexhand.checkpoints.folder_changes import FolderChanges
from dexhand.checkpoints.format import read_plain_state
from dexhand.core.interfaces import Clock
from dexhand.files.output import printable
from dexhand.files.words import age_in_words, size_in_words

REFRESH_INTERVAL = 5.0
"""Seconds between two looks at the folder; also at each change that the file system reports."""
SILENCE = 60.0
"""Seconds without a word after which a player may have been killed; on this machine that is known at once."""
HEADERS = ("checkpoint", "iteration", "return", "age", "size")


@dataclass(frozen=True)
class Checkpoint:
    """A line of the list; ``None`` = unknown."""

    name: str
    size: int
    """Bytes."""
    modified: float
    """Seconds since 1970."""
    iteration: int | None
    mean_return: float | None
    """Mean return of the episodes that ended in its last iteration."""


@dataclass(frozen=True)
class Playing:
    """What a player plays."""

    player: Player
    silence: float
    """Seconds since it was last heard of."""
    has_died: bool = False
    """Whether it was killed, as far as this machine can know."""

    @property
    def is_alive(self) -> bool:
        """Whether it still plays."""
        return self.silence < SILENCE and not self.has_died


@dataclass(frozen=True)
class Snapshot:
    """All that a panel shows."""

    checkpoints: tuple[Checkpoint, ...]
    """The newest first."""
    choice: Choice
    players: tuple[Playing, ...]
    """Those that are alive; if there are none, the last one."""
    problem: str | None
    """Why the folder or the choice cannot be read."""
    time: float
    """Seconds since 1970."""

    def is_playing(self, name: str) -> bool:
        """Whether a player plays this checkpoint."""
        shown = printable(name)  # as players write it
        return any(shown == playing.player.checkpoint and playing.is_alive for playing in self.players)

    def choosable(self) -> tuple[str, ...]:
        """The names of the checkpoints that can be chosen: all but those that are not UTF-8."""
        return tuple(checkpoint.name for checkpoint in self.checkpoints if is_writable(checkpoint.name))

    def status(self) -> list[str]:
        """Say in a few printable lines what was chosen, what plays and what is wrong."""
        lines = [in_words(self.choice), *(_in_words(playing) for playing in self.players)]
        if not self.players:
            lines.append("Nothing plays now")
        problems = [playing.player.problem for playing in self.players] + [self.problem]
        name = self.choice.checkpoint
        if name is not None and all(name != checkpoint.name for checkpoint in self.checkpoints):
            problems.append(f"{name} is not there")
        lines += [f"Problem: {problem}" for problem in dict.fromkeys(problems) if problem]
        return [printable(line) for line in lines]

    def cells(self, checkpoint: Checkpoint) -> tuple[str, ...]:
        """The printable texts of a line of the list, one for each of ``HEADERS``."""
        return (
            printable(checkpoint.name),
            "-" if checkpoint.iteration is None else str(checkpoint.iteration),
            "-" if checkpoint.mean_return is None else f"{checkpoint.mean_return:,.2f}",
            age_in_words(max(self.time - checkpoint.modified, 0.0)),
            size_in_words(checkpoint.size),
        )


class CheckpointPanel:
    """Lists the checkpoints of a folder, and chooses which one plays. Call it from one thread, except ``refresh``."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """``folder`` holds ``.pth`` files: a run's ``nn/``, or another. It need not exist yet."""
        self.folder = folder
        self._clock = clock
        self._changes = FolderChanges()
        self._known: dict[tuple[str, int, int], Checkpoint] = {}
        self._heard: dict[Path, tuple[float, float]] = {}

    def look(self) -> Snapshot:
        """Read everything again; an unchanged file is not opened again."""
        self._changes.clear()
        self._changes.watch([path for path in {self.folder, home_of(self.folder)} if path.is_dir()])
        checkpoints: Sequence[Checkpoint] = ()
        players: Sequence[Playing] = ()
        choice, problem = AUTO, None
        try:
            checkpoints, players = self._checkpoints(), self._players()
            choice = read_choice(self.folder)
        except (OSError, ValueError) as error:
            problem = str(error)
        return Snapshot(tuple(checkpoints), choice, tuple(players), problem, self._clock.now())

    def wait(self, seconds: float = REFRESH_INTERVAL) -> bool:
        """Wait until something changes or ``refresh`` is called, at most so long; returns whether something did."""
        return self._changes.wait(seconds)

    def refresh(self) -> None:
        """End ``wait``. May be called from any thread."""
        self._changes.notify()

    def follow_newest(self) -> None:
        """Choose Auto. Raises ``OSError``."""
        write_choice(self.folder, AUTO)

    def hold(self) -> None:
        """Choose Manual: stay with what plays. Raises ``OSError``."""
        write_choice(self.folder, Choice("manual"))

    def load(self, name: str) -> None:
        """Choose Manual and a checkpoint, loaded again if it is the same. Raises ``ValueError`` and ``OSError``."""
        if name != os.path.basename(name) or not is_choosable(self.folder / name):
            raise ValueError(f"{printable(name)} is no checkpoint in {self.folder}")
        if not is_writable(name):
            raise ValueError(f"{printable(name)} cannot be chosen, since its name is not UTF-8. Rename it")
        write_choice(self.folder, Choice("manual", name))

    def close(self) -> None:
        """Stop watching the folder."""
        self._changes.close()

    def _checkpoints(self) -> list[Checkpoint]:
        before, self._known = self._known, {}
        for path in checkpoints_in(self.folder):
            try:
                status = path.stat()
            except FileNotFoundError:  # deleted since it was listed
                continue
            if is_choosable(path):
                key = path.name, status.st_size, status.st_mtime_ns
                self._known[key] = before.get(key) or _read(path, status)
        return sorted(
            self._known.values(),
            key=lambda found: (-1 if found.iteration is None else found.iteration, found.modified),
            reverse=True,
        )

    def _players(self) -> list[Playing]:
        """The players whose file has changed of late: while it is watched by this machine's clock, before by theirs."""
        now, found, heard = self._clock.monotonic(), [], {}
        for path, player in read_players(self.folder).items():
            written, at = self._heard.get(path, (player.written, now - max(self._clock.now() - player.written, 0.0)))
            heard[path] = player.written, at if written == player.written else now
            found.append(Playing(player, now - heard[path][1], has_died(path, player)))
        self._heard = heard
        found.sort(key=lambda playing: playing.silence)
        return [playing for playing in found if playing.is_alive] or found[:1]


def _in_words(playing: Playing) -> str:
    player = playing.player
    what = f"{player.checkpoint}, iteration {player.iteration} ({player.host}, process {player.process})"
    if playing.is_alive:
        return f"Plays {what}"
    if playing.has_died:
        return f"Played {what}, which was killed"
    return f"Played {what}, not heard of for {age_in_words(playing.silence)}"


def _read(path: Path, status: os.stat_result) -> Checkpoint:
    """Read what a checkpoint says of itself; a file of another program has only its name."""
    state: dict[str, Any] = {}
    try:
        state = read_plain_state(path)
    except (OSError, ValueError):  # of another program, or damaged, as playing it would say
        state = {"epoch": iteration_of(path), "train_loop": {"mean_return": return_of(path)}}
    loop = state.get("train_loop")
    iteration, mean = state.get("epoch"), loop.get("mean_return") if isinstance(loop, dict) else None
    return Checkpoint(
        path.name,
        status.st_size,
        status.st_mtime,
        iteration if type(iteration) is int and 0 <= iteration <= 2**53 else None,
        mean if type(mean) is float and math.isfinite(mean) else None,
    )
