"""Run folders, the links to them, and what a run records about itself."""

import os
import shlex
import string
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, List

import pytest
from filelock import FileLock
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st

from dexhand.core import workspace as workspace_module
from dexhand.core.clock import SystemClock
from dexhand.core.workspace import Run, RunName, Workspace, WorkspaceError, record
from dexhand.mock.clock import FakeClock

TASKS = st.text(string.ascii_letters + string.digits, min_size=1, max_size=20)
KINDS = st.sampled_from(["train", "test"])


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
        with pytest.raises(WorkspaceError, match="cannot begin a run's name"):
            Workspace(tmp_path / "runs").create_run(task, "train", FakeClock())
        assert list(tmp_path.iterdir()) == []

    def test_two_processes_in_one_second_get_two_folders(self, tmp_path: Path) -> None:
        """Processes that start at the same moment never share a folder."""
        script = (
            "import sys; from pathlib import Path; from dexhand.core.workspace import Workspace\n"
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
        assert {link.name for link in (tmp_path / "runs").iterdir()} == {*names, "latest_train"}
        assert (tmp_path / "runs" / "latest_train").resolve().name in names


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
            [first.name, test.name, second.name, "latest_test", "latest_train"]
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
        assert sorted(os.listdir(tmp_path / "runs")) == sorted([run.name, "latest_train"])

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
        assert sorted(os.listdir("/data/runs")) == sorted([run.name[:-2], run.name, "latest_train"])

    def test_no_symbolic_links(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file system without links is named, with the key that chooses another."""
        workspace = Workspace(tmp_path / "runs")
        run = workspace.create_run("A", "train", FakeClock())
        monkeypatch.setattr(os, "symlink", refuse)
        with pytest.raises(WorkspaceError, match=r"runs cannot be used for runs: .*symbolic links; .*train\.runsDir"):
            workspace.publish(run)

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

    def test_a_lock_held_by_another_process(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Publishing does not wait for ever."""
        monkeypatch.setattr(workspace_module, "LOCK_TIMEOUT", 0.05)
        workspace = Workspace(tmp_path / "runs")
        run = workspace.create_run("A", "train", FakeClock())
        with FileLock(str(tmp_path / "runs_all" / ".lock")), pytest.raises(WorkspaceError, match=r"\.lock is held by"):
            workspace.publish(run)

    def test_the_root_is_no_workspace(self) -> None:
        """A runs folder needs a name, because the archive is called after it."""
        with pytest.raises(WorkspaceError, match=r"train\.runsDir='/' needs a name"):
            Workspace(Path("/"))

    def test_a_folder_that_is_no_run_is_not_published(self, tmp_path: Path) -> None:
        """Only what create_run made has a kind to be the latest of."""
        with pytest.raises(WorkspaceError, match="is not called"):
            Workspace(tmp_path / "runs").publish(Run(tmp_path / "mine"))


class TestRecord:
    def make(self, folder: Path) -> Run:
        return Workspace(folder / "runs").create_run("A", "train", FakeClock())

    def git(self, folder: Path, *arguments: str) -> None:
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
        subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)

    def test_configuration_and_command(self, tmp_path: Path) -> None:
        """config.yaml is the text given; command.txt can be pasted into a shell."""
        run = self.make(tmp_path)
        argv: List[str] = ["python", "scripts/train.py", "task=A", "name=it's two words"]
        record(run, "a: ü\n", argv)
        assert run.config_file.read_text(encoding="utf-8") == "a: ü\n"
        assert shlex.split(run.command_file.read_text()) == argv
        assert not run.played_file.exists()

    def test_commit_and_uncommitted_changes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """git.txt leads back to the code that ran."""
        self.git(tmp_path, "init")
        (tmp_path / "code.py").write_text("old\n")
        self.git(tmp_path, "add", "code.py")
        self.git(tmp_path, "commit", "-m", "first")
        (tmp_path / "code.py").write_text("new\n")
        monkeypatch.chdir(tmp_path)
        run = self.make(tmp_path)
        record(run, "", [])
        text = run.git_file.read_text()
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert text.startswith(f"commit {head.stdout}")
        assert "-old\n+new\n" in text

    def test_outside_a_repository(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where there is no repository, git's own words are kept."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
        run = self.make(tmp_path)
        record(run, "", [])
        assert "not a git repository" in run.git_file.read_text()

    def test_without_git(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A machine without git records that."""
        monkeypatch.setenv("PATH", str(tmp_path))
        run = self.make(tmp_path)
        record(run, "", [])
        assert run.git_file.read_text() == "git is not installed\n"

    def test_a_git_that_hangs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A repository too slow to ask does not hold the run up."""
        (tmp_path / "git").write_text("#!/bin/sh\nexec sleep 60\n")
        (tmp_path / "git").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        monkeypatch.setattr(workspace_module, "GIT_TIMEOUT", 0.1)
        run = self.make(tmp_path)
        record(run, "", [])
        assert run.git_file.read_text() == "git did not answer within 0.1 s\n"

    def test_the_checkpoint_that_is_played(self, tmp_path: Path) -> None:
        """A checkpoint of the same workspace is named relative to the run, any other by its full path."""
        run = self.make(tmp_path)
        beside = tmp_path / "runs_all" / "B_train_20260101_000000" / "nn" / "latest.pth"
        record(run, "", [], played=beside)
        assert run.played_file.read_text() == "../B_train_20260101_000000/nn/latest.pth\n"
        record(run, "", [], played=tmp_path / "else.pth")
        assert run.played_file.read_text() == f"{tmp_path / 'else.pth'}\n"


def test_neither_workspace_nor_resolution_imports_torch() -> None:
    """A configuration error is reported before torch is imported."""
    code = "import sys, dexhand.core.workspace, dexhand.core.resolve, dexhand.core.clock; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert answer.stdout == "False\n"
