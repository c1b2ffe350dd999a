"""The files that panels, players and lists of runs read: whatever somebody else puts in their place does no harm."""

import json
import os
import random
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from findings import Attack
from forks import TINY, program, run
from hostile_files import MEGABYTE, good_state, symlink_loop

from dexhand.checkpoints.choice import STATE_NAME, PanelLink, read_choice, write_choice
from dexhand.checkpoints.panel import CheckpointPanel
from dexhand.checkpoints.store import save_checkpoint
from dexhand.core.clock import SystemClock
from dexhand.files.output import printable
from dexhand.mock.clock import FakeClock
from dexhand.runs import main as list_runs

OUTSIDE = 987_654
"""Iteration of a checkpoint outside the run, which must never be played or shown."""
PLAYER_NAME = ".checkpoint_player.deadbeef.json"
CHOICE: dict[str, Any] = {"version": 1, "mode": "manual", "checkpoint": "latest.pth", "id": "1"}
PLAYER: dict[str, Any] = {
    "version": 1,
    "host": "a",
    "process": 1,
    "checkpoint": "latest.pth",
    "iteration": 1,
    "problem": None,
    "written": 1.8e9,
}
NAMES = [
    *("../../outside.pth", "../nn/latest.pth", "nn/latest.pth", "..", ".", "", "/", "~/outside.pth", "latest.pth/"),
    *("out.pth", "loop.pth", "fifo.pth", "folder.pth", ".hidden.pth", "latest.pth\0", "none.pth", "config.yaml"),
    *("a" * 900 + ".pth", "a" * 5000 + ".pth", "\ud800.pth", "a\nb.pth", "\x1b[2J\x1b]0;x\x07.pth", "<img src=x>.pth"),
    *("\u202egpj.pth", "-rf.pth", "*.pth", "${oc.env:HOME}.pth", "%s%n.pth", "latest.pth", "checkpoint_1.pth"),
]
"""Names of checkpoints that a choice may hold; ``run_folder`` has some of them."""
VALUES: list[Any] = [
    *(None, True, -1, 0, 1, 2.5, 10**30, 2**53, 1e308, float("nan"), float("inf"), "", "auto", "x" * 3000, "\ud800"),
    *([], {}, [1], {"a": 1}, [[[[]]]], "1", "\x1b[31m", "<script>", "\0"),
]
Place = Callable[[Path], None]


def content(data: bytes) -> Place:
    return lambda path: path.write_bytes(data) and None


def odd_json(good: dict[str, Any]) -> list[Place]:
    """Each value in each place, and texts that are no such object."""
    found = [{**good, key: value} for key in good for value in VALUES] + [
        {**good, "checkpoint": name} for name in NAMES
    ]
    texts = [json.dumps(one).encode() for one in found]
    texts += [json.dumps(one, ensure_ascii=False).encode(errors="surrogatepass") for one in found]
    good_text = json.dumps(good)
    texts += [
        text.encode()
        for text in ("", "null", "[]", "{}", "0", '"', good_text[:-1], good_text * 2, "\ufeff" + good_text)
    ]
    texts += [b"[" * 4000, b'{"a":' * 800, b"9" * 4000, b"1e999", b"\xff" * 100, b"\0" * 100, bytes(range(256))]
    texts += [good_text.encode("utf-16"), b'{"mode":"auto","mode":"manual"}', b" " * 5000, b"[" * 2_000_000]
    return [content(text) for text in texts]


def sparse(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(2000 * MEGABYTE)


def listening_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        os.chdir(path.parent)
        opened.bind(path.name)


OBJECTS: list[Place] = [
    *(os.mkfifo, os.mkdir, symlink_loop, sparse, listening_socket),
    *(lambda path, target=target: os.symlink(target, path) for target in ("/dev/zero", "/dev/stdin", "..", "none")),
    lambda path: (
        (path.parent.parent / "choice.json").write_text(json.dumps(CHOICE)) and os.symlink("../choice.json", path)
    ),
]
"""What is no ordinary file."""


def put(path: Path, place: Place) -> None:
    """Put something in the place of ``path``."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    path.unlink(missing_ok=True)
    here = os.getcwd()
    place(path)
    os.chdir(here)


class JumpingClock(FakeClock):
    """The time of day is set forward or back."""

    jump = 0.0

    def now(self) -> float:
        return super().now() + self.jump


@pytest.fixture
def nn(tmp_path: Path) -> Path:
    """The checkpoints of a run of two iterations, and beside them what a choice may name, but must not load."""
    assert run(program(*TINY, "maxIter=2"), tmp_path).code == 0
    folder = (tmp_path / "runs" / "latest_train").resolve() / "nn"
    save_checkpoint(tmp_path / "outside.pth", {**good_state(), "epoch": OUTSIDE})
    for outside in (folder.parents[1] / "outside.pth", folder / ".hidden.pth", folder.parent / "latest.pth"):
        shutil.copy(tmp_path / "outside.pth", outside)
    (folder / "out.pth").symlink_to(tmp_path / "outside.pth")
    symlink_loop(folder / "loop.pth")
    os.mkfifo(folder / "fifo.pth")
    (folder / "folder.pth").mkdir()
    for name in ("\x1b[2J.pth", "a\nb.pth", "<img src=x>.pth", os.fsdecode(b"\xff\xfe.pth")):
        (folder / name).write_bytes(b"no checkpoint")
    return folder


def watch(nn: Path, panel: CheckpointPanel, link: PanelLink) -> str | None:
    """Look at the files as a panel and a player do; returns what is wrong."""
    try:
        chosen = read_choice(nn).checkpoint
    except ValueError as error:
        if printable(str(error)) != str(error):
            return f"not printable: {error!r}"
        chosen = None
    if chosen is not None and (os.path.basename(chosen) != chosen or chosen.startswith(".")):
        return f"chosen: {chosen!r}"
    link.choice(nn)
    snapshot = panel.look()
    shown = [*snapshot.status(), *(cell for found in snapshot.checkpoints for cell in snapshot.cells(found))]
    if any(printable(text) != text or len(text) > 5000 for text in shown):
        return f"shown: {shown!r:.500}"
    iterations = [found.iteration for found in snapshot.checkpoints]
    return f"{OUTSIDE} is listed" if OUTSIDE in iterations else None


def test_choices_and_players(attack: Attack, nn: Path) -> None:
    """A panel and a player read them: odd values, damages, what is no file, and clocks that jump."""
    clock = JumpingClock()
    panel, link = CheckpointPanel(nn, clock), PanelLink(clock)
    count, slowest = 0, 0.0
    for name, good in ((STATE_NAME, CHOICE), (PLAYER_NAME, PLAYER)):
        path, text = nn.parent / name, json.dumps(good).encode()
        damages = [content(damaged(attack.draw, text)) for _ in range(attack.times(10_000))]
        for number, place in enumerate([*odd_json(good), *OBJECTS, *damages]):
            put(path, place)
            clock.sleep(attack.draw.choice((0.0, 0.5, 60.0, 1e6)))
            clock.jump = attack.draw.choice((0.0, 0.0, -1e6, 1e6, 1e9, -1.7e9))
            begin = time.process_time()
            try:
                problem = watch(nn, panel, link)
                link.announce(nn / "latest.pth", 2, None)
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
            seconds, count = time.process_time() - begin, count + 1
            slowest = max(slowest, seconds)
            if problem or seconds > 2.0:
                read = path.read_bytes()[:300] if path.is_file() else ""
                attack.found(f"{name}, {number}, {read!r}: {problem}, {seconds:.1f} s")
        put(path, content(text))
    panel.close()
    link.close()
    attack.report("choices and players that are odd or damaged", count)
    attack.report("choices and players: slowest, ms of processor time", round(1e3 * slowest))
    attack.conclude()


def damaged(draw: random.Random, good: bytes) -> bytes:
    """A few bytes changed, removed or repeated."""
    data = bytearray(good)
    for _ in range(draw.choice((1, 1, 2, 5))):
        at, length = draw.randrange(len(data) + 1), draw.randrange(20)
        data[at : at + draw.choice((0, 1, length))] = draw.choice(
            (
                bytes([draw.randrange(256)]),
                data[at : at + length] * 2,
                draw.choice((b'"', b"{", b"\\", b"null", b"1e9")),
            )
        )
        data = data or bytearray(b" ")
    return bytes(data)


def test_files_that_are_replaced_while_they_are_read(attack: Attack, nn: Path) -> None:
    """By other panels, by copies of them, and by an attacker who swaps file, link, pipe and folder."""
    clock = SystemClock()
    panel, link = CheckpointPanel(nn, clock), PanelLink(clock)
    path, places, is_over = nn.parent / STATE_NAME, [*odd_json(CHOICE)[::7], *OBJECTS], threading.Event()

    def replace() -> None:
        draw, coming = random.Random(1), nn.parent / "coming"
        while not is_over.is_set():
            place = draw.choice(places)
            if place not in (listening_socket,):
                put(coming, place)
                try:
                    os.replace(coming, path)
                except OSError:  # a folder is in the way
                    put(path, content(b""))

    def choose() -> None:
        while not is_over.is_set():
            try:
                panel.load("latest.pth")
                panel.follow_newest()
                write_choice(nn, read_choice(nn))
            except (OSError, ValueError):
                pass

    threads = [threading.Thread(target=work, daemon=True) for work in (replace, choose, choose)]
    for thread in threads:
        thread.start()
    count, end = 0, time.monotonic() + 60.0 * attack.share
    while time.monotonic() < end:
        try:
            problem = watch(nn, panel, link)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        count += 1
        if problem:
            attack.found(problem)
    is_over.set()
    for thread in threads:
        thread.join(10.0)
        if thread.is_alive():
            attack.found("a writer hangs")
    panel.close()
    attack.report("looks at choices while they are replaced", count)
    attack.conclude()


def test_a_test_that_is_told_to_play(attack: Attack, nn: Path, tmp_path: Path) -> None:
    """It plays on whatever is chosen, and nothing from outside the run."""
    places = [*odd_json(CHOICE), *OBJECTS]
    places = attack.draw.sample(places, attack.times(len(places)))
    path = nn.parent / STATE_NAME

    def play() -> None:
        def replace() -> None:
            try:
                for place in places:
                    put(path, place)
                    time.sleep(0.6)  # longer than a player takes to notice
            finally:
                os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=replace, daemon=True).start()
        program("test=true", f"checkpoint={nn.parent}", "testGamesNum=0", "reloadOn=event")()

    end = run(play, tmp_path, patience=30.0 + 3.0 * len(places))
    if end.problem or end.code:
        attack.found(f"{end.code}: {end.problem}: {end.tail}")
    if str(OUTSIDE) in end.out:
        attack.found(f"what lies outside the run was played: {end.tail}")
    if any(printable(line) != line for line in end.out.splitlines()):
        attack.found("a line is not printable")
    if list(nn.parent.glob(".checkpoint_player.*")):
        attack.found("the player's file is left")
    attack.report("choices put before a running test", len(places))
    attack.report("choices put before a running test: warnings", end.out.count("A broken choice"))
    attack.conclude()


def test_what_is_listed(attack: Attack, nn: Path, tmp_path: Path) -> None:
    """Results, comparisons, rankings and the played checkpoint of a run, which lists, tests and replays read."""
    results = {"summary": {"games": 3, "mean_return": 1.5}, "episodes": []}
    odd = [{"summary": value} for value in VALUES] + [
        {"summary": {"games": value, "mean_return": value}} for value in VALUES
    ]
    texts = [json.dumps(one, indent=2).encode() for one in [results, *odd]]
    texts += [b"", b'{"summary": ' + b"[" * 90_000, b'{"summary": {"games": ' + b"9" * 90_000, b'"summary": ' * 9000]
    texts += [str(name).encode(errors="surrogatepass") for name in NAMES] + [b"\xff" * 10, b"/dev/zero", b"/" * 9000]
    texts += [damaged(attack.draw, texts[0]) for _ in range(attack.times(100))]
    # a socket's path would be too long here
    places = [*map(content, texts), *(place for place in OBJECTS if place is not listening_socket)]
    names = (
        "results.json",
        "checkpoint.txt",
        "comparison.json",
        "ranking.json",
        "replay.html",
        ".checkpoint_state.json",
    )
    commands: dict[str, Callable[[], None]] = {
        "list": lambda: _exit(list_runs(["list", f"--runs-dir={tmp_path / 'runs'}", "--json"])),
        "play": program("test=true", f"checkpoint={nn.parent}", "testGamesNum=1", "reloadInterval=0"),
    }
    count, slowest = 0, 0.0
    for number, place in enumerate(places):
        path = nn.parent / attack.draw.choice(names if number > len(names) else names[:2])
        put(path, place)
        way = attack.draw.choice(("list", "list", "play"))
        end = run(commands[way], tmp_path)
        slowest, count = max(slowest, end.cpu), count + 1
        if end.problem or end.cpu > 10.0:
            attack.found(f"{path.name}, {number}, {way}: {end.problem}, {end.cpu:.1f} s")
        put(path, content(b""))
        path.unlink()
        for left in (tmp_path / "runs_all").glob("*_test_*"):
            shutil.rmtree(left)
    attack.report("odd files in runs that are listed and played", count)
    attack.report("odd files in runs: slowest, ms of processor time", round(1e3 * slowest))
    attack.conclude()


def _exit(code: int) -> None:
    raise SystemExit(code)
