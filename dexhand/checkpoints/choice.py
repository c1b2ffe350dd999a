"""Which checkpoint is to be played, and which one plays: small JSON files that panels and players share. No torch.

Both kinds lie in the run's folder, beside ``nn/``, and are replaced atomically. They can be
copied between machines in both directions. A player's file has one writer, but panels on either side write the choice:
copies of it must keep the newer one, as ``rsync -au`` does; ``cp -a`` and ``rsync -a`` may lose it. Names of
checkpoints are names in ``nn/``.

Panels write ``.checkpoint_state.json``, in which ``checkpoint`` is ``null`` for "stay with what plays", and ``id`` is
another one for each choice, so that the same checkpoint can be loaded again:

    {"version": 1, "mode": "auto" or "manual", "checkpoint": "checkpoint_100.pth" or null, "id": "5f0c9a1e"}

Each player writes ``.checkpoint_player.<random>.json``, at least every ``ANNOUNCE_INTERVAL`` seconds, and deletes it at
its end. ``written`` is its clock's time, seconds since 1970:

    {"version": 1, "host": "lab2", "process": 4711, "checkpoint": "checkpoint_100.pth", "iteration": 100,
     "problem": null or "why the choice does not play", "written": 1795278101.5, "lock": null or "5f0c9a1e 2049 17"}

``lock`` is the file's identity (``files.locks.identity_of``) if the player holds a lock on it for as long as it lives.
"""

import contextlib
import fnmatch
import logging
import os
import platform
import secrets
import stat
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, TypeVar

import msgspec

from dexhand.core.interfaces import Clock
from dexhand.files.atomic import write_atomically
from dexhand.files.locks import InUse, identity_of, is_in_use
from dexhand.files.output import printable

log = logging.getLogger(__name__)

STATE_NAME = ".checkpoint_state.json"
LONGEST_NAME = 255
"""Bytes of a file's name, beyond which file systems raise errors."""
PLAYER_NAMES = ".checkpoint_player.*.json"
VERSION = 1
LARGEST_FILE = 4096
"""Bytes of each of these files."""
ANNOUNCE_INTERVAL = 15.0
"""Seconds after which a player tells again what it plays."""
FORGOTTEN = 86400.0
"""Seconds after which the file of a player that was killed is deleted."""
_Text = Annotated[str, msgspec.Meta(max_length=1000)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
S = TypeVar("S", "Choice", "Player")


class Choice(msgspec.Struct, frozen=True):
    """What to play."""

    mode: Literal["auto", "manual"]
    """``auto`` = follow the newest checkpoint, ``manual`` = hold one."""
    checkpoint: _Text | None = None
    """The name of the one to hold; ``None`` = what plays."""
    id: _Text = ""
    version: int = VERSION


AUTO = Choice("auto")
"""What is played where nothing was chosen."""


class Player(msgspec.Struct, frozen=True):
    """What a player plays."""

    host: _Text
    process: _Count
    checkpoint: _Text
    iteration: _Count
    problem: _Text | None
    """Why the choice, or the newest checkpoint, does not play."""
    written: float
    """Seconds since 1970, by the player's clock."""
    lock: _Text | None = None
    """The identity of the file on which the player holds a lock while it lives; ``None`` = it holds none."""
    version: int = VERSION


def home_of(checkpoints: Path) -> Path:
    """The folder for these files: the run's, or a folder of checkpoints that is not in a run."""
    return checkpoints.parent if checkpoints.name == "nn" else checkpoints


def is_shared(name: str) -> bool:
    """Whether a file of this name is one that panels and players share."""
    return name == STATE_NAME or fnmatch.fnmatchcase(name, PLAYER_NAMES)


def is_choosable(path: Path) -> bool:
    """Whether a panel may choose this path: a ``.pth`` file that is no link out of its folder."""
    if path.suffix != ".pth" or path.name.startswith(".") or not path.is_file():
        return False
    return os.path.dirname(os.path.realpath(path)) == os.path.realpath(path.parent)


def is_writable(name: str) -> bool:
    """Whether a choice can hold this name of a file: JSON has only UTF-8."""
    return name.encode(errors="ignore").decode() == name


def in_words(choice: Choice) -> str:
    """Say in a printable line what is to be played."""
    if choice.mode == "auto":
        return "Auto, follows the newest checkpoint"
    return f"Manual, holds {printable(choice.checkpoint or 'what plays')}"


def chosen_path(checkpoints: Path, name: str) -> Path:
    """The path of a chosen checkpoint. Raises ``ValueError`` if the name is a path or no ``.pth`` file."""
    is_name = name == os.path.basename(name) and "\0" not in name and len(name.encode(errors="replace")) <= LONGEST_NAME
    if not is_name or not name.endswith(".pth") or name.startswith("."):
        raise ValueError(f"checkpoint={name!r:.100} must be the name of a .pth file in {checkpoints.name}/")
    return checkpoints / name


def write_choice(checkpoints: Path, choice: Choice) -> None:
    """Choose, under a new ``id``. Raises ``OSError``."""
    encoded = _encoded(msgspec.structs.replace(choice, id=secrets.token_hex(4)))
    write_atomically(home_of(checkpoints) / STATE_NAME, lambda file: file.write(encoded))


def read_choice(checkpoints: Path) -> Choice:
    """Read what was chosen; ``AUTO`` if there is no file. Raises ``ValueError`` naming the file and the problem."""
    choice = _read(home_of(checkpoints) / STATE_NAME, Choice)
    if choice is None:
        return AUTO
    if choice.checkpoint is not None:
        try:
            chosen_path(checkpoints, choice.checkpoint)
        except ValueError as error:
            raise ValueError(f"{home_of(checkpoints) / STATE_NAME}: {error}") from None
    return choice


def read_players(checkpoints: Path) -> dict[Path, Player]:
    """Read what plays, by file; unreadable files are left out. Raises ``OSError``."""
    found = {}
    for path in sorted(home_of(checkpoints).glob(PLAYER_NAMES)):
        with contextlib.suppress(ValueError):
            player = _read(path, Player)
            if player is not None:
                found[path] = player
    return found


def has_died(path: Path, player: Player) -> bool:
    """Whether it is certain that the player of the file ``path`` was killed, which only its own machine can know."""
    try:
        return player.lock is not None and player.lock == identity_of(path.stat()) and not is_in_use(path)
    except OSError:  # it ended a moment ago
        return False


class PanelLink:
    """A player's side of the files."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._file: Path | None = None
        self._token = secrets.token_hex(4)
        self._announced: tuple[str, int, str | None] | None = None
        self._announce_again_at = 0.0
        self._chosen_in: Path | None = None
        self._choice = AUTO
        self._warned = ""
        self._has_complained = False
        self._marks: list[InUse] = []

    def choice(self, checkpoints: Path) -> Choice:
        """Read what was chosen; while the file is broken, which is reported once, the previous choice remains."""
        if checkpoints != self._chosen_in:
            self._chosen_in, self._choice = checkpoints, AUTO
        try:
            self._choice, self._warned = read_choice(checkpoints), ""
        except ValueError as error:
            if str(error) != self._warned:
                log.warning("A broken choice of the checkpoint panel is ignored: %s", error)
            self._warned = str(error)
        return self._choice

    def announce(self, checkpoint: Path, iteration: int, problem: str | None) -> None:
        """Tell panels what plays, if it has changed or was told long ago."""
        file = home_of(checkpoint.parent) / PLAYER_NAMES.replace("*", self._token)
        if file != self._file:
            self.close()
            self._file = file
            _remove_forgotten(checkpoint.parent, self._clock.now())
        told = checkpoint.name, iteration, problem
        if told == self._announced and self._clock.monotonic() < self._announce_again_at:
            return
        self._announced, self._announce_again_at = told, self._clock.monotonic() + ANNOUNCE_INTERVAL
        cut = problem and printable(problem)[:1000]
        player = Player(platform.node(), os.getpid(), printable(checkpoint.name), iteration, cut, self._clock.now())
        try:
            write_atomically(file, lambda opened: self._write_marked(opened, player))
            self._release(self._marks[:-1])
        except OSError as error:
            if not self._has_complained:
                log.info("The checkpoint panel cannot show what plays: %s", error)
            self._has_complained = True

    def _write_marked(self, file: BinaryIO, player: Player) -> None:
        """Mark the file, which others see when it is complete, and write ``player`` to it.

        The one before stays marked, since this one may never get its name.
        """
        self._release(self._marks[1:])
        mark = InUse(file)
        self._marks.append(mark)
        lock = identity_of(os.fstat(file.fileno())) if mark.is_held else None
        file.write(_encoded(msgspec.structs.replace(player, lock=lock)))

    def _release(self, marks: list[InUse]) -> None:
        for mark in marks:
            mark.release()
        self._marks = [mark for mark in self._marks if mark not in marks]

    def close(self) -> None:
        """Say that nothing plays any more."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.unlink(missing_ok=True)
        self._release(self._marks)
        self._file = self._announced = None


def _remove_forgotten(checkpoints: Path, now: float) -> None:
    with contextlib.suppress(OSError):
        for path, player in read_players(checkpoints).items():
            if now - player.written > FORGOTTEN or has_died(path, player):
                path.unlink(missing_ok=True)


def _encoded(content: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def _read(path: Path, kind: type[S]) -> S | None:
    """Read a file; ``None`` if there is none. Raises ``ValueError`` for everything that no panel or player writes."""
    try:
        content = _content(path)
        if content is None:
            return None
        found = msgspec.json.decode(content, type=kind)
        if found.version != VERSION:
            raise ValueError(f"version {found.version}, expected {VERSION}")
    except (ValueError, RecursionError) as error:
        raise ValueError(printable(f"{path}: {error}")) from None
    return found


def _content(path: Path) -> bytes | None:
    try:
        # a pipe must not make the reader wait, and a link must not lead it elsewhere
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError("not a file")
            content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_FILE:
        raise ValueError(f"has more than {LARGEST_FILE} bytes")
    return content
