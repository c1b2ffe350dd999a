"""Damaged files: what is loaded is what was saved, or it is refused; nothing else, and never slowly."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from findings import Attack
from forks import TINY, End, program, run

from dexhand.app.main import Workspaces
from dexhand.checkpoints.format import read_plain_state
from dexhand.checkpoints.store import CheckpointError, load_checkpoint, parse_checkpoint, save_checkpoint
from dexhand.config.cli import Invocation, parse
from dexhand.config.compose import to_yaml
from dexhand.config.errors import ConfigError
from dexhand.mock_training.differences import differences
from dexhand.workspace.workspace import Run

SLOWEST = 1.0
"""Seconds of processor time that refusing a damaged file may take on a busy machine; a hundred times what it takes."""
Damage = Callable[[random.Random, bytes, bytes], bytes]


def flip_bits(draw: random.Random, content: bytes, _: bytes) -> bytes:
    """One bit, or a few."""
    damaged = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 8, 64))):
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def flip_where_it_hurts(draw: random.Random, content: bytes, _: bytes) -> bytes:
    """A bit of a header of the zip file: lengths, offsets, checksums, names."""
    damaged = bytearray(content)
    starts = [
        place for mark in (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06") for place in _all(content, mark)
    ]
    place = draw.choice(starts) + draw.randrange(64)
    damaged[min(place, len(damaged) - 1)] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def extreme_field(draw: random.Random, content: bytes, _: bytes) -> bytes:
    """A number of two, four or eight bytes, most often in the table of records, becomes an extreme one."""
    size = draw.choice((2, 4, 8))
    first = content.rfind(b"PK\x01\x02", 0, content.find(b"PK\x05\x06")) if draw.random() < 0.7 else 0
    place = draw.randrange(max(first, 0), len(content) - size)
    value = draw.choice((b"\x00", b"\xff", b"\x7f", b"\x80"))
    return content[:place] + value * size + content[place + size :]


def cut(draw: random.Random, content: bytes, _: bytes) -> bytes:
    """The end is missing."""
    return content[: draw.randrange(len(content))]


def cut_beginning(draw: random.Random, content: bytes, _: bytes) -> bytes:
    """The beginning is missing."""
    return content[draw.randrange(1, len(content)) :]


def blank_block(draw: random.Random, content: bytes, _: bytes) -> bytes:
    """A block that was never written."""
    size = draw.choice((1, 16, 512, 4096))
    start = draw.randrange(len(content)) // size * size
    blank = draw.choice((b"\x00", b"\xff")) * len(content[start : start + size])
    return content[:start] + blank + content[start + size :]


def swap_blocks(draw: random.Random, content: bytes, _: bytes) -> bytes:
    """Two blocks in each other's place."""
    size = draw.choice((1, 16, 512))
    first, second = sorted(draw.randrange(len(content) // size) * size for _ in range(2))
    damaged = bytearray(content)
    damaged[first : first + size], damaged[second : second + size] = (
        content[second : second + size],
        content[first : first + size],
    )
    return bytes(damaged)


def insert(draw: random.Random, content: bytes, _: bytes) -> bytes:
    """Bytes that do not belong there, such as a line ending of a transfer as text."""
    place = draw.randrange(len(content) + 1)
    return content[:place] + draw.choice((b"\r", b"\x00", draw.randbytes(64), b"PK\x05\x06")) + content[place:]


def drop(draw: random.Random, content: bytes, _: bytes) -> bytes:
    """Bytes are missing."""
    place = draw.randrange(len(content))
    return content[:place] + content[place + draw.choice((1, 2, 100)) :]


def tear(draw: random.Random, content: bytes, newer: bytes) -> bytes:
    """The beginning of one save and the end of another."""
    place = draw.randrange(len(content))
    return draw.choice((content[:place] + newer[place:], newer[:place] + content[place:]))


def repeat(draw: random.Random, content: bytes, newer: bytes) -> bytes:
    """One file behind another, whole or in part."""
    return content + draw.choice((content, newer))[draw.randrange(len(content)) :]


DAMAGES: tuple[Damage, ...] = (
    *(flip_bits, flip_where_it_hurts, extreme_field, cut, cut_beginning, blank_block),
    *(swap_blocks, insert, drop, tear, repeat),
)


def _all(content: bytes, mark: bytes) -> list[int]:
    found, place = [], content.find(mark)
    while place >= 0:
        found.append(place)
        place = content.find(mark, place + 1)
    return found


def states() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Pairs of a state and a later one of the same learner, whose files have the same length."""
    generator = torch.Generator().manual_seed(0)
    pairs = []
    for size in (3, 60):
        first, second = (
            {
                "epoch": epoch,
                "text": "größe",
                "nested": [(1.5, float("nan"), None), {"a": True, 3: -(2**70)}],
                "weights": torch.rand(size, size, generator=generator),
                "half": torch.rand(size, generator=generator).to(torch.bfloat16),
                "mask": torch.rand(size, generator=generator) > 0.5,
                "count": torch.tensor(epoch),
                "none": torch.empty(0, 4),
            }
            for epoch in (10, 11)
        )
        pairs.append((first, second))
    return pairs


@pytest.fixture
def trained(tmp_path: Path) -> Run:
    """A run of the real learner, with checkpoints after one and two iterations."""
    learner = ["train.algorithm=rl_games", "maxIter=2"]
    done = run(program(*TINY, *learner), tmp_path)
    assert done.code == 0, done.tail
    return Run((tmp_path / "runs" / "latest_train").resolve())


def test_damaged_checkpoints(attack: Attack, trained: Run, tmp_path: Path) -> None:
    """Every one is refused, or it is what was saved, because the damage hit what means nothing."""
    pairs = [
        *states(),
        tuple(load_checkpoint(path) for path in sorted(trained.checkpoints.glob("checkpoint_[12].pth"))),
    ]
    files = []
    for number, (first, second) in enumerate(pairs):
        paths = tmp_path / f"{number}_first.pth", tmp_path / f"{number}_second.pth"
        for path, state in zip(paths, (first, second)):
            save_checkpoint(path, state)
        files.append((first, second, paths[0].read_bytes(), paths[1].read_bytes()))
    count, refused, slowest = attack.times(60_000), 0, 0.0
    path = tmp_path / "damaged.pth"
    for number in range(count):
        first, second, content, newer = files[number % len(files)]
        damage = DAMAGES[number // len(files) % len(DAMAGES)]
        damaged = damage(attack.draw, content, newer)
        start = time.process_time()
        try:
            state = parse_checkpoint(path, damaged)
        except CheckpointError as error:
            refused += 1
            if "\n" in str(error):
                attack.found(f"{damage.__name__} {number}: an error of several lines: {error}")
        except BaseException as error:
            attack.found(f"{damage.__name__} {number}: {type(error).__name__}: {error}")
        else:
            if all(any(differences(state, whole)) for whole in (first, second)):
                attack.found(f"{damage.__name__} {number}: loaded silently wrong")
        seconds = time.process_time() - start
        slowest = max(slowest, seconds)
        if seconds > SLOWEST:
            attack.found(f"{damage.__name__} {number}: {seconds:.2f} s")
        if number % 10 == 0:
            path.write_bytes(damaged)
            _read_index(attack, path, f"{damage.__name__} {number}", (first, second))
    attack.report("damaged checkpoints", count)
    attack.report("damaged checkpoints: refused", refused)
    attack.report("damaged checkpoints: slowest, ms of processor time", round(1e3 * slowest))
    attack.conclude()


def _read_index(attack: Attack, path: Path, damage: str, whole: tuple[dict[str, Any], ...]) -> None:
    """The other reader, of the list of runs: the index alone."""
    try:
        epoch = read_plain_state(path).get("epoch")
    except ValueError:
        return
    except BaseException as error:
        attack.found(f"{damage}, index alone: {type(error).__name__}: {error}")
        return
    if epoch not in [state["epoch"] for state in whole]:
        attack.found(f"{damage}, index alone: read silently wrong")


def test_damaged_configurations(attack: Attack, trained: Run, tmp_path: Path) -> None:
    """A cut or damaged config.yaml of a run is refused or reported, or it means what it meant."""
    file = trained.config_file
    content = file.read_bytes()
    whole = _values(tmp_path)
    count, refused, reported = attack.times(2_000), 0, 0
    assert isinstance(whole, Invocation)
    for number in range(count):
        damage = (cut, flip_bits, blank_block, drop, swap_blocks, insert, repeat)[number % 7]
        damaged = damage(attack.draw, content, content)
        file.write_bytes(damaged)
        try:
            found = _values(tmp_path)
        except ConfigError:
            refused += 1
            continue
        except BaseException as error:
            attack.found(f"{damage.__name__} {number}: {type(error).__name__}: {str(error)[:200]} of {damaged[:99]!r}")
            continue
        reported += len(found.warnings) > len(whole.warnings)
        if len(found.warnings) == len(whole.warnings) and to_yaml(found.config) != to_yaml(whole.config):
            attack.found(f"{damage.__name__} {number}: other values, silently")
    attack.report("damaged configurations", count)
    attack.report("damaged configurations: refused, or used and reported", f"{refused:,}, {reported:,}")
    attack.conclude()


def _values(folder: Path) -> Invocation:
    """What ``resume=latest`` reads."""
    found = parse(["resume=latest", f"train.runsDir={folder / 'runs'}"], Workspaces())
    assert isinstance(found, Invocation)
    return found


def test_a_damaged_run(attack: Attack, trained: Run, tmp_path: Path) -> None:
    """Resuming or playing it works or ends with one line, and no file that it does not write is changed."""
    latest, numbered = trained.checkpoints / "latest.pth", trained.checkpoints / "checkpoint_1.pth"
    content, others = latest.read_bytes(), (numbered.read_bytes(), trained.config_file.read_bytes())
    count = attack.times(300)
    ends: list[End] = []
    for number in range(count):
        damage = DAMAGES[number % len(DAMAGES)]
        latest.unlink()
        latest.write_bytes(damage(attack.draw, content, content))
        words = ["test=true", "checkpoint=latest", "testGamesNum=1"] if number % 2 else ["resume=latest", "maxIter=2"]
        done = run(program(*words), tmp_path)
        ends.append(done)
        if done.problem:
            attack.found(f"{damage.__name__} {number}, {words[0]}: {done.problem}")
        if (numbered.read_bytes(), trained.config_file.read_bytes()) != others and not number % 2 and done.code:
            attack.found(f"{damage.__name__} {number}, {words[0]}: other files were changed")
    attack.report("damaged runs resumed or played", count)
    attack.report("damaged runs: refused", sum(done.code != 0 for done in ends))
    attack.conclude()
