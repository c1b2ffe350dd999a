"""The files that panels and players share: what is written is read, and nothing else is believed."""

import json
import logging
import os
from pathlib import Path

import pytest

from dexhand.checkpoints.choice import (
    ANNOUNCE_INTERVAL,
    AUTO,
    FORGOTTEN,
    LARGEST_FILE,
    STATE_NAME,
    Choice,
    PanelLink,
    in_words,
    read_choice,
    read_players,
    write_choice,
)
from dexhand.checkpoints.panel import CheckpointPanel
from dexhand.mock.clock import FakeClock


@pytest.fixture
def nn(tmp_path: Path) -> Path:
    """The checkpoints of a run."""
    nn = tmp_path / "run" / "nn"
    nn.mkdir(parents=True)
    return nn


@pytest.fixture
def clock() -> FakeClock:
    """Time."""
    return FakeClock()


def state(nn: Path) -> Path:
    return nn.parent / STATE_NAME


def test_what_is_chosen_is_read(nn: Path) -> None:
    """From the run's folder, by name; without a file it is Auto."""
    assert read_choice(nn) == AUTO
    write_choice(nn, Choice("manual", "checkpoint_100.pth"))
    chosen = read_choice(nn)
    assert (chosen.mode, chosen.checkpoint) == ("manual", "checkpoint_100.pth")
    assert str(nn) not in state(nn).read_text()


def test_each_choice_is_another_one(nn: Path) -> None:
    """Choosing the same again loads it again."""
    write_choice(nn, Choice("manual", "latest.pth"))
    before = read_choice(nn)
    write_choice(nn, Choice("manual", "latest.pth"))
    assert read_choice(nn) != before


def test_a_folder_of_checkpoints_outside_a_run_holds_the_file_itself(tmp_path: Path) -> None:
    """Not the folder above, which may hold others."""
    write_choice(tmp_path, Choice("manual"))
    assert (tmp_path / STATE_NAME).is_file()


GOOD = {"version": 1, "mode": "manual", "checkpoint": "checkpoint_100.pth", "id": "1"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "truncated"),
        (b"\xff\x00", "JSON is malformed"),
        (b"[" * 4000, "Expected"),
        (b"[]", "Expected `object`"),
        (b"{}", "mode"),
        (json.dumps({**GOOD, "mode": "newest"}), "mode"),
        (json.dumps({**GOOD, "mode": 1}), "mode"),
        (json.dumps({**GOOD, "checkpoint": ["a.pth"]}), "checkpoint"),
        (json.dumps({**GOOD, "checkpoint": "a" * 252 + ".pth"}), "name of a .pth file"),
        (json.dumps({**GOOD, "checkpoint": "../../other/nn/latest.pth"}), "name of a .pth file"),
        (json.dumps({**GOOD, "checkpoint": "/etc/passwd"}), "name of a .pth file"),
        (json.dumps({**GOOD, "checkpoint": ".pth"}), "name of a .pth file"),
        (json.dumps({**GOOD, "checkpoint": "a\0.pth"}), "name of a .pth file"),
        (json.dumps({**GOOD, "version": 2}), "version 2"),
        (b" " * (LARGEST_FILE + 1), f"more than {LARGEST_FILE} bytes"),
    ],
)
def test_what_no_panel_writes_is_refused(nn: Path, content: bytes | str, words: str) -> None:
    """In one line that names the file."""
    state(nn).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=words) as refusal:
        read_choice(nn)
    assert str(refusal.value).startswith(str(state(nn)))
    assert str(refusal.value).isprintable()


def test_a_huge_file_is_not_read(nn: Path) -> None:
    """A gigabyte of nothing is refused as fast as a page of it."""
    with open(state(nn), "wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(ValueError, match="more than"):
        read_choice(nn)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_only_a_file_is_read(nn: Path, kind: str) -> None:
    """A link may lead anywhere, and a pipe would make the reader wait. No descriptor stays open."""
    if kind == "link":
        other = nn / "other.json"
        other.write_text(json.dumps(GOOD))
        state(nn).symlink_to(other)
    elif kind == "pipe":
        os.mkfifo(state(nn))
    else:
        state(nn).mkdir()
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(ValueError, match=r"cannot be read|not a file"):
        read_choice(nn)
    assert len(os.listdir("/dev/fd")) == before


def test_a_broken_choice_is_reported_once_and_the_one_before_remains(
    nn: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """However often it is read; another problem is another warning."""
    link = PanelLink(clock)
    write_choice(nn, Choice("manual", "checkpoint_100.pth"))
    chosen = link.choice(nn)
    for content in ("{", '{"mode": 1}'):
        state(nn).write_text(content)
        assert [link.choice(nn) for _ in range(3)] == [chosen] * 3
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2


def test_a_choice_is_not_that_of_another_run(nn: Path, clock: FakeClock, tmp_path: Path) -> None:
    """Where nothing valid was chosen before, a broken choice is Auto."""
    link, other = PanelLink(clock), tmp_path / "other" / "nn"
    other.mkdir(parents=True)
    state(other).write_text("{")
    write_choice(nn, Choice("manual", "checkpoint_100.pth"))
    assert link.choice(nn).mode == "manual"
    assert link.choice(other) == AUTO


def test_players_tell_what_they_play_until_they_end(nn: Path, clock: FakeClock) -> None:
    """Each in a file of its own, so that none overwrites another's."""
    links = [PanelLink(clock), PanelLink(clock)]
    links[0].announce(nn / "latest.pth", 500, None)
    links[1].announce(nn / "checkpoint_100.pth", 100, "too old")
    found = {(player.checkpoint, player.iteration, player.problem) for player in read_players(nn).values()}
    assert found == {("latest.pth", 500, None), ("checkpoint_100.pth", 100, "too old")}
    for link in links:
        link.close()
    assert list(nn.parent.iterdir()) == [nn]


def test_a_player_writes_at_changes_and_now_and_then(nn: Path, clock: FakeClock) -> None:
    """So that panels can tell one that was killed."""
    link = PanelLink(clock)

    def written_after(seconds: float, iteration: int) -> float:
        clock.sleep(seconds)
        link.announce(nn / "latest.pth", iteration, None)
        (player,) = read_players(nn).values()
        return player.written - start

    start = clock.now()
    assert written_after(0, 1) == 0
    assert written_after(1, 1) == 0
    assert written_after(1, 2) == 2
    assert written_after(ANNOUNCE_INTERVAL, 2) == 2 + ANNOUNCE_INTERVAL


def test_a_player_that_moves_to_another_run_leaves_nothing_behind(nn: Path, clock: FakeClock, tmp_path: Path) -> None:
    """As ``checkpoint=latest`` does."""
    link, other = PanelLink(clock), tmp_path / "other" / "nn"
    other.mkdir(parents=True)
    link.announce(nn / "latest.pth", 1, None)
    link.announce(other / "latest.pth", 2, None)
    assert not read_players(nn)
    assert len(read_players(other)) == 1


def test_the_files_of_killed_players_are_deleted_after_a_day(nn: Path, clock: FakeClock) -> None:
    """By the next player of the run."""
    PanelLink(clock).announce(nn / "latest.pth", 1, None)
    clock.sleep(FORGOTTEN + 1)
    PanelLink(clock).announce(nn / "latest.pth", 2, None)
    assert [player.iteration for player in read_players(nn).values()] == [2]


def test_a_player_goes_on_where_it_cannot_write(
    clock: FakeClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And says so once, as no warning: playing from a folder that cannot be written to is nothing unusual."""
    link = PanelLink(clock)
    with caplog.at_level(logging.INFO):
        for iteration in range(3):
            link.announce(tmp_path / "gone" / "nn" / "latest.pth", iteration, None)
    assert [record.levelno for record in caplog.records] == [logging.INFO]
    link.close()


def test_a_run_that_is_copied_in_both_directions(tmp_path: Path, clock: FakeClock) -> None:
    """A panel on one machine and a player on another find each other, under other paths and with other times."""
    panel_nn, player_nn = (tmp_path / machine / "runs_all" / "Reach_train_1" / "nn" for machine in ("lab", "server"))
    for nn in (panel_nn, player_nn):
        nn.mkdir(parents=True)
        (nn / "checkpoint_100.pth").write_bytes(b"PK")

    def copy(source: Path, target: Path) -> None:
        for path in source.parent.glob(".checkpoint_*"):
            if (
                not (target.parent / path.name).exists()
                or path.read_bytes() != (target.parent / path.name).read_bytes()
            ):
                (target.parent / path.name).write_bytes(path.read_bytes())

    panel, link = CheckpointPanel(panel_nn, FakeClock(clock.now() - 999)), PanelLink(clock)
    panel.load("checkpoint_100.pth")
    copy(panel_nn, player_nn)
    chosen = link.choice(player_nn)
    assert chosen == read_choice(panel_nn)
    link.announce(player_nn / str(chosen.checkpoint), 100, None)
    copy(player_nn, panel_nn)
    assert panel.look().is_playing("checkpoint_100.pth")
    panel.follow_newest()
    copy(panel_nn, player_nn)
    copy(player_nn, panel_nn)
    assert link.choice(player_nn).mode == panel.look().choice.mode == "auto"
    panel.close()


def test_names_cannot_control_a_terminal() -> None:
    """Where it is said what was chosen."""
    assert in_words(Choice("manual", "\x1b[2J\u202e.pth")) == r"Manual, holds \x1b[2J\u202e.pth"
