"""Whatever is done to a workspace, by us and by its user: no run is ever lost, and runs/ shows what the rules say."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dexhand.mock.clock import FakeClock
from dexhand.workspace.links import Limits
from dexhand.workspace.run_name import RunName
from dexhand.workspace.workspace import Run, Workspace, lock_run

LIMITS = Limits(train=2, test=1)
TASKS = st.sampled_from(["A", "B"])
KINDS = st.sampled_from(["train", "test"])
NUMBERS = st.integers(0, 1000)


class UsedWorkspace(RuleBasedStateMachine):
    """Runs begin, end and go on; links are moved, renamed and deleted; other things are put in between."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(os.path.realpath(tempfile.mkdtemp()))
        self.workspace = Workspace(self.place / "runs", LIMITS)
        self.links, self.archive, self.pinned = (
            self.place / "runs",
            self.place / "runs_all",
            self.place / "runs" / "pinned",
        )
        self.clock = FakeClock()
        self.runs: dict[str, str] = {}  # name: what lies in it
        self.latest: dict[str, str | None] = {"train": None, "test": None}  # where the links should lead
        self.new_run: set[str] = set()  # shown because it has just begun or gone on
        self.held: dict[str, Any] = {}
        self.users: dict[Path, str] = {}  # what the user put there, and what is in it or where it points
        self.pins: dict[Path, str] = {}
        self.tidied = False  # nothing has happened since links were last looked after

    def teardown(self) -> None:
        for name in list(self.held):
            self.held.pop(name).__exit__(None, None, None)
        shutil.rmtree(self.place)

    # --- ours ---------------------------------------------------------------------------------------------------------

    @rule(task=TASKS, kind=KINDS, seconds=st.integers(0, 2), works=st.booleans())
    def begin(self, task: str, kind: Any, seconds: int, works: bool) -> None:
        """Runs may begin in one second; some are worked in for a while."""
        self.clock.sleep(seconds)
        run = self.workspace.create_run(task, kind, self.clock)
        (run.path / "train.log").write_text(run.name)
        self.runs[run.name] = run.name
        if works:
            self.held[run.name] = lock_run(run)
            self.held[run.name].__enter__()
        self.publish(run.name)

    @precondition(lambda self: self.runs)
    @rule(number=NUMBERS)
    def go_on(self, number: int) -> None:
        self.publish(self.pick(self.runs, number))

    def publish(self, name: str) -> None:
        Workspace(self.place / "runs", LIMITS).publish(Run(self.archive / name))
        self.latest[parsed(name).kind] = name
        self.new_run = {name}
        self.tidy()

    @precondition(lambda self: self.held)
    @rule(number=NUMBERS)
    def finish(self, number: int) -> None:
        self.held.pop(self.pick(self.held, number)).__exit__(None, None, None)
        self.tidied = False

    @precondition(lambda self: self.links.is_dir())
    @rule()
    def prune(self) -> None:
        """What it says it would do it does, and then nothing is left to do."""
        planned = self.workspace.tidy(dry_run=True)
        assert self.workspace.tidy() == planned
        assert self.workspace.tidy() == []
        self.new_run = set()
        self.tidy()

    @precondition(lambda self: self.unpinned())
    @rule(number=NUMBERS, name=st.sampled_from(["good", "better", None]))
    def pin(self, number: int, name: str | None) -> None:
        run = self.pick(self.unpinned(), number)
        link = self.pinned / (name or run)
        if not os.path.lexists(link):
            self.workspace.pin(self.archive / run, link.name)
            self.pins[link] = run
            self.tidied = False

    @precondition(lambda self: set(self.pins.values()) & set(self.runs))
    @rule(number=NUMBERS)
    def unpin(self, number: int) -> None:
        link = self.pick([pin for pin, run in self.pins.items() if run in self.runs], number)
        self.workspace.unpin(link.name, self.archive / self.pins.pop(link))
        self.tidied = False

    # --- the user's ---------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.own_links())
    @rule(number=NUMBERS, name=st.sampled_from(["good", "better", None]))
    def move_a_link_into_pinned(self, number: int, name: str | None) -> None:
        """By ``mv runs/X runs/pinned/NAME``."""
        link = self.pick(self.own_links(), number)
        pin = self.pinned / (name or link.name)
        if not os.path.lexists(pin):
            link.rename(pin)
            self.pins[pin] = link.name
            self.tidied = False

    @precondition(lambda self: self.pins)
    @rule(number=NUMBERS, name=st.sampled_from(["good", "best"]))
    def rename_a_pin(self, number: int, name: str) -> None:
        pin = self.pick(self.pins, number)
        if not os.path.lexists(self.pinned / name):
            pin.rename(self.pinned / name)
            self.pins[self.pinned / name] = self.pins.pop(pin)

    @precondition(lambda self: self.pins)
    @rule(number=NUMBERS)
    def move_a_pin_back(self, number: int) -> None:
        pin = self.pick(self.pins, number)
        if not os.path.lexists(self.links / self.pins[pin]):
            pin.rename(self.links / self.pins.pop(pin))
            self.tidied = False

    @precondition(lambda self: self.links.is_dir() and any(self.links.iterdir()))
    @rule(number=NUMBERS)
    def delete_a_link(self, number: int) -> None:
        links = [path for path in sorted(self.links.iterdir()) if path.is_symlink() and path not in self.users]
        if links:
            link = self.pick(links, number)
            link.unlink()
            if link.name.startswith("latest_"):
                self.latest[link.name[len("latest_") :]] = None
            self.tidied = False

    @precondition(lambda self: set(self.runs) - set(self.held))
    @rule(number=NUMBERS)
    def delete_a_run(self, number: int) -> None:
        name = self.pick(set(self.runs) - set(self.held), number)
        shutil.rmtree(self.archive / name)
        del self.runs[name]
        self.tidied = False

    @precondition(lambda self: self.links.is_dir())
    @rule(
        name=st.sampled_from(["notes", "A_train_20200101_000000", "A_train_20300101_000000", "pinned/mine"]),
        what=st.sampled_from(["file", "folder", "../runs_all/gone", "../runs_all/A_train_20200102_000000", "/nowhere"]),
    )
    def put_something_there(self, name: str, what: str) -> None:
        path = self.links / name
        may_be_a_run = what == "folder" and RunName.parse(name)  # such a folder is one, in the other layout
        if os.path.lexists(path) or not path.parent.is_dir() or may_be_a_run:
            return
        if what == "file":
            path.write_text("mine")
        elif what == "folder":
            path.mkdir()
            (path / "mine").write_text("mine")
        else:
            path.symlink_to(what)
        self.users[path] = self.content(path)

    # --- what always holds --------------------------------------------------------------------------------------------

    @invariant()
    def no_run_is_lost(self) -> None:
        for name, content in self.runs.items():
            assert (self.archive / name / "train.log").read_text() == content
        if self.archive.is_dir():
            assert {path.name for path in self.archive.iterdir() if path.is_dir()} == set(self.runs)

    @invariant()
    def nothing_of_the_users_is_touched(self) -> None:
        assert {path: self.content(path) for path in self.users} == self.users
        assert all(os.path.islink(pin) and os.path.basename(os.readlink(pin)) == run for pin, run in self.pins.items())

    @invariant()
    def every_run_is_found_by_each_of_its_names(self) -> None:
        view = self.workspace.view
        for path, name in {**{self.links / run: run for run in self.runs}, **self.pins}.items():
            if name in self.runs and path not in self.users:
                found = view.settled(path) if os.path.lexists(path) else self.archive / name
                assert found == self.archive / name
        assert {entry.path.name for entry in view.entries() if entry.place == self.archive} == set(self.runs)

    @invariant()
    def latest_is_right(self) -> None:
        """The run that began or went on last; where its link or the run was deleted, the newest by name."""
        for kind, last in self.latest.items():
            found = self.workspace.latest(kind)
            assert (found.name if found else None) == (last if last in self.runs else self.newest(kind))
            link = self.links / f"latest_{kind}"
            if self.tidied and last in self.runs:
                assert os.readlink(link) == f"../runs_all/{last}"

    @invariant()
    def runs_shows_what_the_rules_say(self) -> None:
        if not self.tidied:
            return
        pinned = set(self.pins.values())
        newest: set[str] = set()
        for kind, limit in (("train", LIMITS.train), ("test", LIMITS.test)):
            ours = sorted((name for name in set(self.runs) - pinned if parsed(name).kind == kind), key=age)
            newest |= set(ours[-limit:])
        shown = {link.name for link in self.own_links() if link.exists()}
        assert shown == newest | (({*self.held} | self.new_run) - pinned)
        for pin, run in self.pins.items():
            assert pin.is_dir() == (run in self.runs)

    # --- helpers ------------------------------------------------------------------------------------------------------

    def tidy(self) -> None:
        """What looking after the links does to latest_*, as the rules say it."""
        self.tidied = True
        for kind, last in self.latest.items():
            was_deleted = last is not None and any(age(name)[0] <= age(last)[0] for name in self.runs)
            if last not in self.runs and (last is None or was_deleted):
                self.latest[kind] = self.newest(kind)

    def newest(self, kind: str) -> str | None:
        return max((name for name in self.runs if parsed(name).kind == kind), key=age, default=None)

    def unpinned(self) -> set[str]:
        return set(self.runs) - set(self.pins.values())

    def own_links(self) -> list[Path]:
        paths = sorted(self.links.iterdir()) if self.links.is_dir() else []
        links = [path for path in paths if path.is_symlink() and path not in self.users]
        return [path for path in links if os.path.basename(os.readlink(path)) == path.name]

    @staticmethod
    def content(path: Path) -> str:
        if path.is_symlink():
            return os.readlink(path)
        return (path / "mine" if path.is_dir() else path).read_text()

    @staticmethod
    def pick(items: Any, number: int) -> Any:
        ordered = sorted(items)
        return ordered[number % len(ordered)]


def parsed(name: str) -> RunName:
    run = RunName.parse(name)
    assert run is not None
    return run


def age(name: str) -> Any:
    return parsed(name).order, name


TestUsedWorkspace = UsedWorkspace.TestCase
TestUsedWorkspace.settings = settings(max_examples=15, stateful_step_count=30, deadline=None, derandomize=True)


BEGIN_MANY = """
import sys
from pathlib import Path
from dexhand.core.clock import SystemClock
from dexhand.workspace.links import Limits
from dexhand.workspace.workspace import Workspace, lock_run
sys.stdin.readline()
workspace = Workspace(Path(sys.argv[1]), Limits(train=3, test=3))
for number in range(15):
    run = workspace.create_run("A", "train", SystemClock())
    with lock_run(run):
        workspace.publish(run)
        assert (workspace.links / run.name).is_dir(), "a run that goes on is shown"
        workspace.tidy()
        assert (workspace.links / run.name).is_dir(), "a run that goes on is shown"
    print(run.name, flush=True)
"""


def test_several_processes_begin_runs_and_tidy_up_at_once(tmp_path: Path) -> None:
    """No run is lost, none that goes on is hidden, and in the end the newest are shown."""
    command = [sys.executable, "-c", BEGIN_MANY, str(tmp_path / "runs")]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(4)]
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60) for process in processes]
    assert [err for _, err in answers] == [""] * 4
    names = {name for out, _ in answers for name in out.split()}
    assert len(names) == 60
    assert {path.name for path in (tmp_path / "runs_all").iterdir() if path.is_dir()} == names
    Workspace(tmp_path / "runs", Limits(train=3)).tidy()
    newest = sorted(names, key=age)[-3:]
    assert sorted(os.listdir(tmp_path / "runs")) == sorted([*newest, "latest_train", "pinned"])
    assert list(tmp_path.rglob("*.tmp")) == []
