"""What a run records about itself."""

import os
import platform
import shlex
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from dexhand.files.atomic import LARGEST
from dexhand.files.digest import with_digest
from dexhand.mock.clock import FakeClock
from dexhand.workspace import records
from dexhand.workspace.records import record
from dexhand.workspace.workspace import Run, Workspace, WorkspaceError


class TestRecord:
    def make(self, folder: Path) -> Run:
        return Workspace(folder / "runs").create_run("A", "train", FakeClock())

    def git(self, folder: Path, *arguments: str) -> None:
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
        subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)

    def test_configuration_and_command(self, tmp_path: Path) -> None:
        """config.yaml is the text given, with a digest; command.txt can be pasted into a shell."""
        run = self.make(tmp_path)
        argv: list[str] = ["python", "scripts/train.py", "task=A", "name=it's two words"]
        record(run, "a: ü\n", argv)
        assert run.config_file.read_text(encoding="utf-8") == with_digest("a: ü\n")
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

    @pytest.mark.parametrize(
        "key",
        ["core.fsmonitor", "diff.external", "diff.evil.command", "diff.evil.textconv", "filter.evil.clean"],
    )
    def test_a_repository_of_somebody_else_runs_nothing(
        self, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of the commands that its settings name."""
        self.git(tmp_path, "init")
        (tmp_path / ".gitattributes").write_text("code.py diff=evil filter=evil\n")
        (tmp_path / "code.py").write_text("old\n")
        self.git(tmp_path, "add", ".")
        self.git(tmp_path, "commit", "-m", "first")
        (tmp_path / "code.py").write_text("changed\n")
        command = f"touch {tmp_path}/mark; cat"
        self.git(tmp_path, "config", key, command)
        subprocess.run(["git", "diff", "HEAD"], cwd=tmp_path, capture_output=True, check=False)
        (tmp_path / "mark").unlink()  # that the command leaves
        monkeypatch.chdir(tmp_path)
        run = self.make(tmp_path)
        record(run, "", [])
        assert run.git_file.read_text().startswith("commit ")
        assert not (tmp_path / "mark").exists()

    def test_a_hook_of_somebody_elses_repository_does_not_run(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Git runs one when it notices that a file was written again and is the same."""
        self.git(tmp_path, "init")
        (tmp_path / "code.py").write_text("old\n")
        self.git(tmp_path, "add", ".")
        self.git(tmp_path, "commit", "-m", "first")
        hook = tmp_path / ".git" / "hooks" / "post-index-change"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/mark\n")
        hook.chmod(0o755)
        os.utime(tmp_path / "code.py", (1, 1))
        subprocess.run(["git", "diff", "HEAD"], cwd=tmp_path, capture_output=True, check=False)
        (tmp_path / "mark").unlink()  # that the hook leaves
        os.utime(tmp_path / "code.py", (2, 2))
        monkeypatch.chdir(tmp_path)
        run = self.make(tmp_path)
        record(run, "", [])
        assert run.git_file.read_text().startswith("commit ")
        assert not (tmp_path / "mark").exists()

    def test_a_repository_in_somebody_elses_repository_runs_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A submodule is recorded as another commit, and git does not compare its files."""
        part = tmp_path / "part"
        part.mkdir()
        for folder in (part, tmp_path):
            self.git(folder, "init")
            (folder / "code.py").write_text("old\n")
            self.git(folder, "add", ".")
            self.git(folder, "commit", "-m", "first")
        (part / "code.py").write_text("new\n")
        self.git(part, "commit", "-a", "-m", "second")
        self.git(part, "config", "diff.external", f"touch {tmp_path}/mark; cat")
        self.git(tmp_path, "config", "diff.submodule", "diff")
        subprocess.run(["git", "diff", "HEAD"], cwd=tmp_path, capture_output=True, check=False)
        (tmp_path / "mark").unlink()  # that the command leaves
        monkeypatch.chdir(tmp_path)
        run = self.make(tmp_path)
        record(run, "", [])
        assert "+Subproject commit " in run.git_file.read_text()
        assert not (tmp_path / "mark").exists()

    def test_without_git(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A machine without git records that."""
        monkeypatch.setenv("PATH", str(tmp_path))
        run = self.make(tmp_path)
        record(run, "", [])
        assert run.git_file.read_text() == "git cannot be run: No such file or directory\n"

    def test_a_git_that_hangs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A repository too slow to ask does not hold the run up."""
        (tmp_path / "git").write_text("#!/bin/sh\nexec sleep 60\n")
        (tmp_path / "git").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        monkeypatch.setattr(records, "GIT_TIMEOUT", 0.1)
        run = self.make(tmp_path)
        record(run, "", [])
        assert run.git_file.read_text() == "git did not answer within 0.1 s\n"

    def test_python_and_packages(self, tmp_path: Path) -> None:
        """packages.txt has the running Python, then what pip would list, each once, in order."""
        run = self.make(tmp_path)
        record(run, "", [])
        first, *rest = run.packages_file.read_text(encoding="utf-8").splitlines()
        assert first == f"Python {platform.python_version()}"
        assert f"filelock=={metadata.version('filelock')}" in rest
        names = [line.partition("==")[0].lower() for line in rest]
        assert names == sorted(set(names))

    def test_of_every_start(self, tmp_path: Path) -> None:
        """A run that goes on keeps the records of its starts, and has the newest configuration."""
        run = self.make(tmp_path)
        for seed in ("1", "2"):
            record(run, f"seed: {seed}\n", ["train", f"seed={seed}"])
        assert run.config_file.read_text() == with_digest("seed: 2\n")
        assert run.command_file.read_text() == "train seed=1\ntrain seed=2\n"
        assert run.packages_file.read_text().count("Python ") == 2

    def test_a_full_disk_destroys_nothing(self, tmp_path: Path, disk_with_room_for: Any) -> None:
        """Every file is as it was, and the error is one line."""
        run = self.make(tmp_path)
        record(run, "seed: 1\n", ["train"])
        before = {path: path.read_bytes() for path in run.path.iterdir()}
        room = 3 * max(map(len, before.values()))
        for size, config in ((0, ""), (room, "a" * 2 * room)):
            with disk_with_room_for(size), pytest.raises(WorkspaceError) as raised:
                record(run, config, ["train"])
            assert str(raised.value).startswith(f"{run.path} cannot be used for runs: File too large ({run.path}/")
            assert "\n" not in str(raised.value)
            assert run.config_file.read_bytes() == before[run.config_file]
            for path, content in before.items():
                assert path.read_bytes().startswith(content)
            assert set(run.path.iterdir()) == set(before)

    def test_an_enormous_file_is_not_read(self, tmp_path: Path) -> None:
        """It may have taken no room on the disk until then."""
        run = self.make(tmp_path)
        run.git_file.touch()
        os.truncate(run.git_file, LARGEST + 1)
        with pytest.raises(WorkspaceError, match=r"over 100 MB, move it elsewhere \(.*/git.txt\)"):
            record(run, "", [])
        assert not run.config_file.exists()

    def test_leftovers_of_a_start_that_was_killed_are_removed(self, tmp_path: Path) -> None:
        """When the run is started again."""
        run = self.make(tmp_path)
        (run.path / ".config.yaml.0123abcd.tmp").touch()
        record(run, "", [])
        assert not list(run.path.glob(".*.tmp"))

    def test_the_checkpoint_that_is_played(self, tmp_path: Path) -> None:
        """A checkpoint of the same workspace is named relative to the run, any other by its full path."""
        run = self.make(tmp_path)
        beside = tmp_path / "runs_all" / "B_train_20260101_000000" / "nn" / "latest.pth"
        record(run, "", [], played=beside)
        assert run.played_file.read_text() == "../B_train_20260101_000000/nn/latest.pth\n"
        record(run, "", [], played=tmp_path / "else.pth")
        assert run.played_file.read_text() == f"{tmp_path / 'else.pth'}\n"
