"""What every checkpoint panel shows and does."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from dexhand.checkpoints import panel as module
from dexhand.checkpoints.choice import AUTO, PanelLink, read_choice, write_choice
from dexhand.checkpoints.panel import SILENCE, CheckpointPanel
from dexhand.checkpoints.store import CheckpointStore
from dexhand.mock.clock import FakeClock


@pytest.fixture
def nn(tmp_path: Path) -> Path:
    """The checkpoints of a run that has done 300 iterations."""
    store = CheckpointStore(tmp_path / "run" / "nn")
    for iteration in (100, 200, 300):
        state = {"epoch": iteration, "train_loop": {"mean_return": iteration / 8}, "model": {"w": torch.zeros(10)}}
        store.save(state, iteration=iteration, numbered=True, best=iteration == 200)
    return store.folder


@pytest.fixture
def clock() -> FakeClock:
    """Time; it begins after the checkpoints were written."""
    return FakeClock(4e9)


@pytest.fixture
def panel(nn: Path, clock: FakeClock) -> Iterator[CheckpointPanel]:
    panel = CheckpointPanel(nn, clock)
    yield panel
    panel.close()


def test_all_checkpoints_are_listed_newest_first(panel: CheckpointPanel) -> None:
    """With iteration, return, age and size."""
    snapshot = panel.look()
    assert [(c.name, c.iteration, c.mean_return) for c in snapshot.checkpoints] == [
        ("latest.pth", 300, 37.5),
        ("checkpoint_300.pth", 300, 37.5),
        ("checkpoint_200.pth", 200, 25.0),
        ("checkpoint_best.pth", 200, 25.0),
        ("checkpoint_100.pth", 100, 12.5),
    ]
    cells = snapshot.cells(snapshot.checkpoints[0])
    assert cells[:3] == ("latest.pth", "300", "37.50")
    assert cells[3].endswith(" d")
    assert cells[4].endswith(" kB")


def test_the_order_does_not_depend_on_times(panel: CheckpointPanel, nn: Path) -> None:
    """A copy of a run has the times of copying."""
    os.utime(nn / "checkpoint_100.pth", (5e9, 5e9))
    assert panel.look().checkpoints[-1].name == "checkpoint_100.pth"


def test_files_of_other_programs_are_listed_by_name(panel: CheckpointPanel, nn: Path) -> None:
    """rl_games names iteration and return; of anything else only the name is known."""
    for name in ("last_Ant_ep_400_rew_123.5.pth", "last_Ant_ep_350_rew__-7.25_.pth", "Ant.pth", "x_ep_1_rew_nan.pth"):
        (nn / name).write_bytes(b"PK not ours")
    found = {c.name: (c.iteration, c.mean_return) for c in panel.look().checkpoints}
    assert found["last_Ant_ep_400_rew_123.5.pth"] == (400, 123.5)
    assert found["last_Ant_ep_350_rew__-7.25_.pth"] == (350, -7.25)
    assert found["Ant.pth"] == (None, None)
    assert found["x_ep_1_rew_nan.pth"] == (1, None)


def test_what_leads_out_of_the_folder_is_not_listed(panel: CheckpointPanel, nn: Path, tmp_path: Path) -> None:
    """Nor hidden files, nor folders."""
    (nn / "checkpoint_300.pth").rename(tmp_path / "elsewhere.pth")
    (nn / "checkpoint_300.pth").symlink_to(tmp_path / "elsewhere.pth")
    (nn / ".hidden.pth").touch()
    (nn / "folder.pth").mkdir()
    names = {checkpoint.name for checkpoint in panel.look().checkpoints}
    assert names == {"latest.pth", "checkpoint_200.pth", "checkpoint_best.pth", "checkpoint_100.pth"}


def test_an_unchanged_file_is_read_once(panel: CheckpointPanel, nn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And again when it has changed."""
    read: list[str] = []

    def note(path: Path) -> dict[str, Any]:
        read.append(path.name)
        return {}

    monkeypatch.setattr(module, "read_plain_state", note)
    for _ in range(3):
        panel.look()
    assert len(read) == 5
    os.utime(nn / "latest.pth", (1e9, 1e9))
    panel.look()
    assert set(read[5:]) == {"latest.pth", "checkpoint_300.pth"}  # two names of one file


def test_load_hold_and_follow(panel: CheckpointPanel, nn: Path) -> None:
    """Choices are for the players of the run."""
    panel.load("checkpoint_100.pth")
    assert (read_choice(nn).mode, read_choice(nn).checkpoint) == ("manual", "checkpoint_100.pth")
    assert panel.look().status()[0] == "Manual, holds checkpoint_100.pth"
    panel.hold()
    assert (read_choice(nn).mode, read_choice(nn).checkpoint) == ("manual", None)
    panel.follow_newest()
    assert read_choice(nn).mode == "auto"


@pytest.mark.parametrize("name", ["", "no.pth", "../nn/latest.pth", "/etc/passwd", "latest.pth/", "(none yet)", "a\0"])
def test_only_what_is_there_can_be_loaded(panel: CheckpointPanel, name: str, nn: Path) -> None:
    """Whatever a browser sends."""
    with pytest.raises(ValueError, match="no checkpoint"):
        panel.load(name)
    assert read_choice(nn).mode == "auto"


def test_a_name_that_is_not_utf8_is_shown_but_cannot_be_chosen(
    panel: CheckpointPanel, nn: Path, clock: FakeClock
) -> None:
    """JSON and browsers have no such text. It may play nevertheless, named on the command line."""
    name = os.fsdecode(b"caf\xe9.pth")
    (nn / name).write_bytes(b"PK not ours")
    PanelLink(clock).announce(nn / name, 1, None)
    snapshot = panel.look()
    (shown,) = (checkpoint for checkpoint in snapshot.checkpoints if checkpoint.name == name)
    assert snapshot.cells(shown)[0] == r"caf\udce9.pth"
    assert snapshot.is_playing(name)
    assert set(snapshot.choosable()) == {c.name for c in snapshot.checkpoints} - {name}
    with pytest.raises(ValueError, match="name is not UTF-8"):
        panel.load(name)


def test_all_lines_are_printable(tmp_path: Path, clock: FakeClock) -> None:
    """Whatever the run's folder is called."""
    nn = tmp_path / os.fsdecode(b"caf\xe9\x1b") / "nn"
    nn.mkdir(parents=True)
    (nn.parent / ".checkpoint_state.json").mkdir()
    panel = CheckpointPanel(nn, clock)
    assert all(line.isprintable() for line in panel.look().status())
    panel.close()


def test_a_chosen_file_that_is_deleted(panel: CheckpointPanel, nn: Path) -> None:
    """Is a problem that the panel tells."""
    panel.load("checkpoint_100.pth")
    (nn / "checkpoint_100.pth").unlink()
    assert "Problem: checkpoint_100.pth is not there" in panel.look().status()


def test_a_broken_choice_is_a_problem(panel: CheckpointPanel, nn: Path) -> None:
    """Beside the list, which stays."""
    (nn.parent / ".checkpoint_state.json").write_text("{")
    snapshot = panel.look()
    assert snapshot.checkpoints
    assert ".checkpoint_state.json" in snapshot.status()[-1]


def test_a_folder_that_does_not_exist_yet(tmp_path: Path, clock: FakeClock) -> None:
    """A run has no checkpoints before its first one."""
    panel = CheckpointPanel(tmp_path / "run" / "nn", clock)
    assert panel.look().status() == ["Auto, follows the newest checkpoint", "Nothing plays now"]
    panel.close()


def test_what_plays_is_shown_until_nothing_is_heard_any_more(
    panel: CheckpointPanel, nn: Path, clock: FakeClock
) -> None:
    """A player that was killed leaves its file; what it has played is still told."""
    link = PanelLink(clock)
    link.announce(nn / "latest.pth", 300, None)
    assert panel.look().is_playing("latest.pth")
    assert "Plays latest.pth, iteration 300" in panel.look().status()[1]
    clock.sleep(SILENCE)
    assert not panel.look().is_playing("latest.pth")
    assert "Played latest.pth, iteration 300" in panel.look().status()[1]
    link.announce(nn / "latest.pth", 300, None)
    assert panel.look().is_playing("latest.pth")


def killed_player(nn: Path) -> int:
    """Announce what a process plays that is then killed; returns its number."""
    child = os.fork()
    if child == 0:
        PanelLink(FakeClock(4e9)).announce(nn / "latest.pth", 300, None)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    return child


def test_a_player_that_was_killed_on_this_machine_is_known_at_once(panel: CheckpointPanel, nn: Path) -> None:
    """From its lock; the next player removes what it left."""
    child = killed_player(nn)
    snapshot = panel.look()
    assert not snapshot.is_playing("latest.pth")
    assert snapshot.status()[1].endswith(f", process {child}), which was killed")
    link = PanelLink(FakeClock(4e9))
    link.announce(nn / "checkpoint_100.pth", 100, None)
    link.announce(nn / "checkpoint_200.pth", 200, None)
    assert [playing.player.checkpoint for playing in panel.look().players] == ["checkpoint_200.pth"]
    assert panel.look().is_playing("checkpoint_200.pth")
    assert len([*nn.parent.glob(".checkpoint_player.*")]) == 1


def test_of_a_player_elsewhere_only_its_silence_is_known(clock: FakeClock, nn: Path, tmp_path: Path) -> None:
    """Its lock is not seen in a copy of the folder, so nothing follows from its absence."""
    killed_player(nn)
    copy = shutil.copytree(nn.parent, tmp_path / "copy") / "nn"
    panel = CheckpointPanel(copy, clock)
    assert panel.look().is_playing("latest.pth")
    clock.sleep(SILENCE)
    assert not panel.look().is_playing("latest.pth")
    panel.close()


def test_a_player_whose_disk_is_full_for_a_while_is_alive(
    panel: CheckpointPanel, nn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it wrote before stays locked."""
    link = PanelLink(FakeClock(4e9))
    link.announce(nn / "latest.pth", 300, None)
    with monkeypatch.context() as context:
        context.setattr(os, "fsync", lambda descriptor: exec("raise OSError(28, 'full')"))
        for iteration in (301, 302):
            link.announce(nn / "latest.pth", iteration, None)
    assert panel.look().is_playing("latest.pth")


@pytest.mark.parametrize("skew", [-3600.0, 3600.0])
def test_the_clocks_of_two_machines_need_not_agree(
    panel: CheckpointPanel, nn: Path, clock: FakeClock, skew: float
) -> None:
    """A player whose file changes is alive, whatever time it writes."""
    theirs = FakeClock(clock.now() + skew)
    link = PanelLink(theirs)
    for _ in range(2):
        link.announce(nn / "latest.pth", 300, None)
        snapshot = panel.look()
        theirs.sleep(30)
        clock.sleep(30)
    assert snapshot.is_playing("latest.pth")
    clock.sleep(SILENCE)
    assert not panel.look().is_playing("latest.pth")


def test_the_problem_of_a_player_is_shown(panel: CheckpointPanel, nn: Path, clock: FakeClock) -> None:
    """Such as a checkpoint of another network."""
    PanelLink(clock).announce(nn / "latest.pth", 300, "its network has other units")
    assert "Problem: its network has other units" in panel.look().status()


def test_a_change_and_a_wish_end_the_wait(panel: CheckpointPanel, nn: Path) -> None:
    """At once, where the file system reports changes."""
    panel.look()
    assert not panel.wait(0.0)
    panel.refresh()
    assert panel.wait(0.0)
    panel.look()
    (nn / "checkpoint_100.pth").unlink()
    assert panel.wait(30.0)
    panel.look()
    write_choice(nn, AUTO)
    assert panel.wait(30.0)
