"""Run folders, the links to them, and what a run records about itself."""

import os
import re
import shutil
import string
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st

from dexhand.config.schema import TrainConfig
from dexhand.core.clock import SystemClock
from dexhand.mock.clock import FakeClock
from dexhand.workspace import workspace as workspace_module
from dexhand.workspace.links import Limits
from dexhand.workspace.run_name import RunName
from dexhand.workspace.workspace import PublishError, Run, Workspace, WorkspaceError, lock_run

TASKS = st.text(string.ascii_letters + string.digits, min_size=1, max_size=20)
KINDS = st.sampled_from(["train", "test"])


def raising(error: Exception) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


def refuse(*_: Any, **__: Any) -> Any:
    raise PermissionError(1, "Operation not permitted", "target", None, "link")


class TestRunNames:
    def test_a_name_says_task_kind_and_local_time(self, tmp_path: Path) -> None:
        """The folder is <Task>_<kind>_<YYYYMMDD_HHMMSS> in local time."""
        with freeze_time("2026-03-04 05:06:07"):
            run = Workspace(tmp_path / "runs").create_run("BaseTask", "train", SystemClock())
            stamp = time.strftime("%Y%m%d_%H%M%S", time.localtime(SystemClock().now()))
        assert run.path == tmp_path / "runs_all" / f"BaseTask_train_{stamp}"
        assert run.path.is_dir()

    def test_runs_of_one_second_are_counted(self, tmp_path: Path) -> None:
        """The second run of a second ends in _2, the third in _3."""
        workspace, clock = Workspace(tmp_path / "runs"), FakeClock()
        names = [workspace.create_run("A", "test", clock).name for _ in range(3)]
        assert names == [names[0], f"{names[0]}_2", f"{names[0]}_3"]
        assert [str(RunName.parse(name)) for name in names] == names

    @given(task=TASKS, kind=KINDS, now=st.integers(0, 2**32), attempt=st.integers(1, 10**6))
    def test_names_read_back(self, task: str, kind: str, now: int, attempt: int) -> None:
        """The parts of a name are found again in it."""
        name = RunName(task, kind, time.strftime("%Y%m%d_%H%M%S", time.gmtime(now)), attempt)
        assert RunName.parse(str(name)) == name

    @given(st.lists(st.tuples(TASKS, st.integers(0, 2**32), st.integers(1, 50)), min_size=1))
    def test_names_sort_by_time(self, runs: Any) -> None:
        """The order of names is the order in which the runs began, whatever the task; ties by their count."""
        names = [RunName(task, "train", time.strftime("%Y%m%d_%H%M%S", time.gmtime(now)), k) for task, now, k in runs]
        by_order = sorted(names, key=lambda name: name.order)
        by_time = sorted(zip(runs, names), key=lambda pair: pair[0][1:])
        assert [name.order for name in by_order] == [name.order for _, name in by_time]

    @pytest.mark.parametrize(
        "name", ["latest_train", "BaseTask_20240101_120000", "A_train_20240101_120000_0", "pinned"]
    )
    def test_other_names_are_no_run_names(self, name: str) -> None:
        """What is not built that way is not taken for it."""
        assert RunName.parse(name) is None

    @pytest.mark.parametrize("task", ["", "a/b", "..", "-x", "a b", "é"])
    def test_a_task_that_cannot_be_a_folder_is_refused(self, tmp_path: Path, task: str) -> None:
        """Nothing is made for a task whose name could leave the workspace."""
        with pytest.raises(WorkspaceError, match="cannot start a run's name"):
            Workspace(tmp_path / "runs").create_run(task, "train", FakeClock())
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("legacy_first", [True, False])
    def test_runs_of_one_second_in_both_layouts(self, tmp_path: Path, legacy_first: bool) -> None:
        """A name is given once, wherever the run lies."""
        layouts = [Workspace(tmp_path / "runs", None), Workspace(tmp_path / "runs")]
        first, second = layouts if legacy_first else layouts[::-1]
        clock = FakeClock()
        run, other = first.create_run("A", "train", clock), second.create_run("A", "train", clock)
        assert other.name == f"{run.name}_2"
        second.publish(other)

    def test_two_processes_in_one_second_get_two_folders(self, tmp_path: Path) -> None:
        """Processes that start at the same moment never share a folder."""
        script = (
            "import sys; from pathlib import Path; from dexhand.workspace.workspace import Workspace\n"
            "from dexhand.core.clock import SystemClock\n"
            "clock = SystemClock(); clock.now = lambda: 1.7e9\n"
            "sys.stdin.readline(); workspace = Workspace(Path(sys.argv[1]))\n"
            "for _ in range(20):\n"
            "    run = workspace.create_run('A', 'train', clock); workspace.publish(run); print(run.name)\n"
        )
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", script, str(tmp_path / "runs")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        for process in processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        names = [name for process in processes for name in process.communicate()[0].split()]
        assert len(names) == len(set(names)) == 40
        newest = sorted(names, key=lambda name: RunName.parse(name).order)[-10:]
        last = (tmp_path / "runs" / "latest_train").resolve().name  # published last, and shown even if begun earlier
        assert last in names
        assert {link.name for link in (tmp_path / "runs").iterdir()} == {*newest, last, "latest_train", "pinned"}


class TestPublishing:
    def test_links_are_relative_and_latest_follows(self, tmp_path: Path) -> None:
        """runs/ shows each run and the latest of its kind; a moved workspace still works."""
        workspace, clock = Workspace(tmp_path / "place" / "runs"), FakeClock()
        first, test = workspace.create_run("A", "train", clock), workspace.create_run("A", "test", clock)
        clock.sleep(1)
        second = workspace.create_run("B", "train", clock)
        for run in (first, test, second):
            workspace.publish(run)
        (tmp_path / "place").rename(tmp_path / "moved")
        runs = tmp_path / "moved" / "runs"
        assert sorted(link.name for link in runs.iterdir()) == sorted(
            [first.name, test.name, second.name, "latest_test", "latest_train", "pinned"]
        )
        assert os.readlink(runs / "latest_train") == f"../runs_all/{second.name}"
        assert os.readlink(runs / "latest_test") == f"../runs_all/{test.name}"
        assert all(link.is_dir() for link in runs.iterdir())

    def test_a_run_is_not_shown_before_it_is_published(self, tmp_path: Path) -> None:
        """Making a run folder touches no link."""
        Workspace(tmp_path / "runs").create_run("A", "train", FakeClock())
        assert not (tmp_path / "runs").exists()

    def test_publishing_again_changes_nothing(self, tmp_path: Path) -> None:
        """The same links stand, and no temporary one is left."""
        workspace = Workspace(tmp_path / "runs")
        run = workspace.create_run("A", "train", FakeClock())
        workspace.publish(run)
        workspace.publish(run)
        assert sorted(os.listdir(tmp_path / "runs")) == sorted([run.name, "latest_train", "pinned"])

    @pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
    @pytest.mark.parametrize("which", ["latest", "own"])
    def test_what_the_user_put_there_is_never_deleted(self, tmp_path: Path, make: Any, which: str) -> None:
        """A file or folder in a link's place is an error that names it; it stays, and no other link is changed."""
        workspace = Workspace(tmp_path / "runs")
        run = workspace.create_run("A", "train", FakeClock())
        (tmp_path / "runs").mkdir()
        obstacle = tmp_path / "runs" / ("latest_train" if which == "latest" else run.name)
        make(obstacle)
        with pytest.raises(WorkspaceError, match=f"{obstacle.name} is in the way"):
            workspace.publish(run)
        assert os.listdir(tmp_path / "runs") == [obstacle.name]
        assert not obstacle.is_symlink()

    def test_runs_that_is_a_link_itself(self, tmp_path: Path) -> None:
        """Where runs/ points to a large disk, the runs are stored there and every link works."""
        (tmp_path / "disk" / "runs").mkdir(parents=True)
        (tmp_path / "runs").symlink_to(tmp_path / "disk" / "runs")
        workspace = Workspace(tmp_path / "runs")
        workspace.publish(workspace.create_run("A", "train", FakeClock()))
        assert (tmp_path / "disk" / "runs_all").is_dir()
        assert (tmp_path / "runs" / "latest_train").is_dir()

    def test_on_a_fake_file_system(self, fs: Any) -> None:
        """Folders, links and the lock go through Python's own functions."""
        workspace, clock = Workspace(Path("/data/runs")), FakeClock()
        for _ in range(2):
            run = workspace.create_run("A", "train", clock)
            workspace.publish(run)
        assert os.readlink("/data/runs/latest_train") == f"../runs_all/{run.name}"
        assert sorted(os.listdir("/data/runs")) == sorted([run.name[:-2], run.name, "latest_train", "pinned"])

    def test_read_only(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A place that cannot be written to is named, with the key that chooses another."""
        monkeypatch.setattr(Path, "mkdir", refuse)
        with pytest.raises(WorkspaceError, match=r"runs_all cannot be used for runs: Operation not permitted"):
            Workspace(tmp_path / "runs").create_run("A", "train", FakeClock())

    def test_a_file_where_the_archive_belongs(self, tmp_path: Path) -> None:
        """A file called runs_all is an error, and stays."""
        (tmp_path / "runs_all").touch()
        with pytest.raises(WorkspaceError, match="runs_all cannot be used for runs"):
            Workspace(tmp_path / "runs").create_run("A", "train", FakeClock())

    def test_the_root_is_no_workspace(self) -> None:
        """A runs folder needs a name, because the archive is called after it."""
        with pytest.raises(WorkspaceError, match=r"train\.runsDir='/' needs a name"):
            Workspace(Path("/"))

    def test_a_file_is_no_workspace(self, tmp_path: Path) -> None:
        (tmp_path / "runs").touch()
        with pytest.raises(WorkspaceError, match="is a file"):
            Workspace(tmp_path / "runs")

    def test_a_folder_that_is_no_run_is_not_published(self, tmp_path: Path) -> None:
        """Only what create_run made has a kind to be the latest of."""
        with pytest.raises(WorkspaceError, match="is not named"):
            Workspace(tmp_path / "runs").publish(Run(tmp_path / "mine"))


class TestWhereLinksCannotBeMade:
    """The run goes on; it is in runs_all/, and latest finds it."""

    def begin(self, tmp_path: Path, kind: Any = "train", seconds: int = 0) -> Run:
        return Workspace(tmp_path / "runs").create_run("A", kind, FakeClock(1.7e9 + seconds))

    @pytest.mark.parametrize("error", [OSError(30, "Read-only file system", "x"), NotImplementedError("no links")])
    def test_without_symbolic_links(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
        """A file system without them, or a runs/ that is read-only, is named, with the place where the run is."""
        workspace, run = Workspace(tmp_path / "runs"), self.begin(tmp_path)
        monkeypatch.setattr(os, "symlink", raising(error))
        with pytest.raises(
            PublishError, match=rf"runs cannot show the run: .*{re.escape(str(run.path))}, and checkpoint="
        ):
            workspace.publish(run)
        assert workspace.latest("train") == run.path

    def test_an_old_latest_is_not_believed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where runs/ became read-only, its link still names the run before; once it is writable, the link is right."""
        workspace, old = Workspace(tmp_path / "runs"), self.begin(tmp_path)
        workspace.publish(old)
        new, newer = self.begin(tmp_path, seconds=1), self.begin(tmp_path, seconds=2)
        with monkeypatch.context() as patch:
            patch.setattr(os, "symlink", refuse)
            with pytest.raises(PublishError):
                workspace.publish(new)
        assert (tmp_path / "runs" / "latest_train").resolve() == old.path
        assert workspace.latest("train") == new.path
        workspace.publish(newer)
        assert (tmp_path / "runs" / "latest_train").resolve() == newer.path == workspace.latest("train")

    @pytest.mark.parametrize("how", ["tidy", "another kind"])
    def test_links_are_created_later(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
        """As soon as somebody looks after links again, even if it is for a run of the other kind."""
        workspace, old, new = Workspace(tmp_path / "runs"), self.begin(tmp_path), self.begin(tmp_path, seconds=1)
        workspace.publish(new)
        with monkeypatch.context() as patch:
            patch.setattr(os, "symlink", refuse)
            with pytest.raises(PublishError):
                workspace.publish(old)
        if how == "tidy":
            workspace.tidy()
        else:
            workspace.publish(self.begin(tmp_path, "test", 2))
        assert (tmp_path / "runs" / "latest_train").resolve() == old.path == workspace.latest("train")
        assert workspace.tidy() == []

    def test_what_stood_in_latest_is_deleted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Then the newest of the others is the latest."""
        workspace, old, new = Workspace(tmp_path / "runs"), self.begin(tmp_path), self.begin(tmp_path, seconds=1)
        with monkeypatch.context() as patch:
            patch.setattr(os, "symlink", refuse)
            with pytest.raises(PublishError):
                workspace.publish(new)
        shutil.rmtree(new.path)
        assert workspace.latest("train") == old.path

    def test_a_lock_held_by_another_process(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Publishing does not wait for ever."""
        monkeypatch.setattr(workspace_module, "LOCK_TIMEOUT", 0.05)
        run = self.begin(tmp_path)
        with (
            FileLock(str(tmp_path / "runs_all" / ".lock")),
            pytest.raises(PublishError, match=r"\.lock has been held"),
        ):
            Workspace(tmp_path / "runs").publish(run)


class TestLimits:
    """runs/ shows the newest of each kind; nothing but our own links is ever removed."""

    LIMITS = Limits(train=2, test=1)

    def begin(self, place: Path, kind: Any, day: int, limits: Any = LIMITS) -> Run:
        """A run that began on a day of January 2026, published."""
        with freeze_time(f"2026-01-{day:02} 12:00:00"):
            workspace = Workspace(place / "runs", limits)
            run = workspace.create_run("A", kind, SystemClock())
            workspace.publish(run)
        return run

    def shown(self, place: Path) -> list[str]:
        """Days and kinds of the runs that are shown, newest first."""
        names = [RunName.parse(name) for name in os.listdir(place / "runs")]
        return sorted((f"{name.started[6:8]} {name.kind}" for name in names if name), reverse=True)

    def test_the_newest_of_each_kind(self, tmp_path: Path) -> None:
        """Older ones stay in runs_all/ for ever."""
        for day, kind in enumerate(("train", "test", "train", "train", "test"), start=1):
            self.begin(tmp_path, kind, day)
        assert self.shown(tmp_path) == ["05 test", "04 train", "03 train"]
        assert sum(path.is_dir() for path in (tmp_path / "runs_all").iterdir()) == 5

    def test_of_both_kinds_together(self, tmp_path: Path) -> None:
        """A limit of its own, beside the other two."""
        for day, kind in enumerate(("train", "test", "train", "train", "test"), start=1):
            self.begin(tmp_path, kind, day, Limits(train=10, test=10, together=3))
        assert self.shown(tmp_path) == ["05 test", "04 train", "03 train"]

    def test_a_larger_limit_brings_older_runs_back(self, tmp_path: Path) -> None:
        """The folder is a view: what it shows depends on nothing but the runs and the limits."""
        for day in (1, 2, 3):
            self.begin(tmp_path, "train", day, Limits(train=1))
        self.begin(tmp_path, "train", 4, Limits(train=3))
        assert self.shown(tmp_path) == ["04 train", "03 train", "02 train"]

    def test_a_run_that_goes_on_is_shown_and_latest(self, tmp_path: Path) -> None:
        """However old it is."""
        old = self.begin(tmp_path, "train", 1)
        for day in (2, 3, 4):
            self.begin(tmp_path, "train", day)
        Workspace(tmp_path / "runs", self.LIMITS).publish(old)
        assert self.shown(tmp_path) == ["04 train", "03 train", "01 train"]
        assert (tmp_path / "runs" / "latest_train").resolve() == old.path

    def test_a_run_that_a_process_works_in_is_shown(self, tmp_path: Path) -> None:
        """However many begin after it; once it has ended, it is one among the others."""
        old = self.begin(tmp_path, "train", 1)
        with lock_run(old):
            for day in (2, 3, 4):
                self.begin(tmp_path, "train", day)
            assert self.shown(tmp_path) == ["04 train", "03 train", "01 train"]
        self.begin(tmp_path, "train", 5)
        assert self.shown(tmp_path) == ["05 train", "04 train"]

    def test_a_deleted_run_is_not_shown(self, tmp_path: Path) -> None:
        """Its link goes, and what was hidden for it comes back; latest moves to the newest there is."""
        runs = [self.begin(tmp_path, "train", day) for day in (1, 2, 3)]
        shutil.rmtree(runs[2].path)
        self.begin(tmp_path, "test", 4)
        assert self.shown(tmp_path) == ["04 test", "02 train", "01 train"]
        assert (tmp_path / "runs" / "latest_train").resolve() == runs[1].path

    def test_a_copy_of_runs_without_runs_all_stays(self, tmp_path: Path) -> None:
        """Its links may yet be completed, so those within the limits stay although they lead nowhere."""
        for day, kind in enumerate(("train", "train", "test"), start=1):
            self.begin(tmp_path / "server", kind, day)
        shutil.copytree(tmp_path / "server" / "runs", tmp_path / "laptop" / "runs", symlinks=True)
        self.begin(tmp_path / "laptop", "test", 4)
        self.begin(tmp_path / "laptop", "test", 5)
        assert self.shown(tmp_path / "laptop") == ["05 test", "02 train", "01 train"]
        assert "02" in os.readlink(tmp_path / "laptop" / "runs" / "latest_train")

    def test_what_the_user_made_stays(self, tmp_path: Path) -> None:
        """Files, folders and links of any name, dangling or not; also links that only look like ours."""
        runs = tmp_path / "runs"
        (runs / "A_train_20200101_000000").mkdir(parents=True)
        (runs / "A_train_20200102_000000").touch()
        for name, target in (
            ("elsewhere", "/nowhere"),
            ("A_train_20200103_000000", "../runs_all/A_train_20200104_000000"),
            ("A_train_20200105_000000", "/runs_all/A_train_20200105_000000"),
            ("A_train_20200106_000000", "../other/A_train_20200106_000000"),
            ("loop", "loop"),
        ):
            (runs / name).symlink_to(target)
        before = {path.name: path.lstat() for path in runs.iterdir()}
        for day in (1, 2, 3, 4):
            self.begin(tmp_path, "train", day)
        assert before == {path.name: path.lstat() for path in runs.iterdir() if path.name in before}

    def test_the_limits_are_those_of_the_configuration(self) -> None:
        """The defaults stand in two places that do not know each other."""
        assert Limits() == Limits(TrainConfig.maxTrainRuns, TrainConfig.maxTestRuns, TrainConfig.maxRecentRuns)


class TestPins:
    """What lies in runs/pinned/ stays there, and is not shown a second time."""

    @pytest.fixture
    def workspace(self, tmp_path: Path) -> Workspace:
        return Workspace(tmp_path / "runs", Limits(train=1, test=1))

    def begin(self, workspace: Workspace, seconds: int = 0) -> Run:
        run = workspace.create_run("A", "train", FakeClock(1.7e9 + seconds))
        workspace.publish(run)
        return run

    @pytest.mark.parametrize("name", ["", "best grasp"])
    def test_moving_a_link_pins_the_run(self, workspace: Workspace, name: str) -> None:
        """Mv breaks the relative link; whoever begins next leads it back to its run, under its new name."""
        run = self.begin(workspace)
        pin = workspace.view.pinned / (name or run.name)
        (workspace.links / run.name).rename(pin)
        assert not pin.exists()
        for seconds in (1, 2):
            self.begin(workspace, seconds)
        assert pin.resolve() == run.path
        assert os.readlink(pin) == f"../../runs_all/{run.name}"
        assert not os.path.lexists(workspace.links / run.name)

    def test_pinning_the_latest_keeps_it_the_latest(self, workspace: Workspace) -> None:
        """The run is the same, wherever it is shown; going on in it shows it no second time."""
        run = self.begin(workspace)
        (workspace.links / run.name).rename(workspace.view.pinned / "best")
        workspace.publish(run)
        assert workspace.latest("train") == run.path
        assert sorted(os.listdir(workspace.links)) == ["latest_train", "pinned"]

    def test_a_link_that_was_renamed_is_a_pin_too(self, workspace: Workspace) -> None:
        """It is the user's from then on."""
        run = self.begin(workspace)
        (workspace.links / run.name).rename(workspace.links / "best")
        for seconds in (1, 2):
            self.begin(workspace, seconds)
        assert (workspace.links / "best").resolve() == run.path
        assert not os.path.lexists(workspace.links / run.name)

    @pytest.mark.parametrize("name", ["", "better"])
    def test_moving_a_pin_back(self, workspace: Workspace, name: str) -> None:
        """Under the run's own name it is one among the others again; under another it stays."""
        run, pin = self.begin(workspace), workspace.view.pinned / "best"
        workspace.pin(run.path, "best")
        pin.rename(workspace.links / (name or run.name))
        self.begin(workspace, 1)
        assert os.path.lexists(workspace.links / run.name) is False
        if name:
            assert (workspace.links / name).resolve() == run.path

    def test_a_pin_of_a_deleted_run_stays(self, workspace: Workspace) -> None:
        """It is the user's, and leads nowhere."""
        run = self.begin(workspace)
        workspace.pin(run.path, "best")
        shutil.rmtree(run.path)
        self.begin(workspace, 1)
        assert os.path.lexists(workspace.view.pinned / "best")

    def test_pinned_may_be_anything(self, workspace: Workspace, tmp_path: Path) -> None:
        """A file of that name stays; a link to a folder elsewhere is followed, and pins there are relative to it."""
        workspace.links.mkdir()
        workspace.view.pinned.touch()
        run = self.begin(workspace)
        assert workspace.view.pinned.is_file()
        workspace.view.pinned.unlink()
        (tmp_path / "a" / "b").mkdir(parents=True)
        workspace.view.pinned.symlink_to(tmp_path / "a" / "b")
        (workspace.links / run.name).rename(workspace.view.pinned / "best")
        self.begin(workspace, 1)
        assert (tmp_path / "a" / "b" / "best").resolve() == run.path


class TestRunsInRunsItself:
    """useCleanWorkspace=false: no runs_all/, and nothing is hidden."""

    def begin(self, tmp_path: Path, seconds: int = 0) -> Run:
        workspace = Workspace(tmp_path / "runs", None)
        run = workspace.create_run("A", "train", FakeClock(1.7e9 + seconds))
        workspace.publish(run)
        return run

    def test_run_folders_lie_in_runs(self, tmp_path: Path) -> None:
        """With latest and pinned/ beside them."""
        runs = [self.begin(tmp_path, seconds) for seconds in range(12)]
        assert {path.name for path in (tmp_path / "runs").iterdir()} == {
            *(run.name for run in runs),
            *(".lock", "latest_train", "pinned"),
        }
        assert os.readlink(tmp_path / "runs" / "latest_train") == runs[-1].name
        assert not (tmp_path / "runs_all").exists()

    def test_moving_a_folder_pins_the_run(self, tmp_path: Path) -> None:
        """It is found there; latest is the newest under a run's name until another begins."""
        old, run = self.begin(tmp_path), self.begin(tmp_path, 1)
        pinned = tmp_path / "runs" / "pinned" / run.name
        run.path.rename(pinned)
        workspace = Workspace(tmp_path / "runs", None)
        assert workspace.latest("train") == pinned
        pinned.rename(pinned.with_name("best"))
        assert workspace.latest("train") == old.path
        workspace.publish(Run(pinned.with_name("best")), "train")
        assert workspace.latest("train") == pinned.with_name("best")

    def test_it_works_without_symbolic_links(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Only latest_train is missing, and is found without its link."""
        monkeypatch.setattr(os, "symlink", refuse)
        workspace = Workspace(tmp_path / "runs", None)
        run = workspace.create_run("A", "train", FakeClock())
        with pytest.raises(PublishError):
            workspace.publish(run)
        assert workspace.latest("train") == run.path

    def test_both_layouts_in_one_place(self, tmp_path: Path) -> None:
        """Folders in runs/ are left alone by those who link, and the other way round."""
        folder = self.begin(tmp_path)
        workspace = Workspace(tmp_path / "runs", Limits(train=1))
        linked = [workspace.create_run("A", "train", FakeClock(1.7e9 + seconds)) for seconds in (5, 6)]
        for run in linked:
            workspace.publish(run)
        other = self.begin(tmp_path, 7)
        shown = {path.name for path in (tmp_path / "runs").iterdir() if RunName.parse(path.name)}
        assert shown == {folder.name, linked[1].name, other.name}
        workspace.publish(folder)
        assert (tmp_path / "runs" / "latest_train").resolve() == folder.path


def test_neither_workspace_nor_resolution_imports_torch() -> None:
    """A configuration error is reported before torch is imported."""
    modules = "dexhand.workspace.workspace, dexhand.workspace.checkpoint_names, dexhand.core.clock"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert answer.stdout == "False\n"
