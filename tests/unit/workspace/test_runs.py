"""``dexhand runs``: what it shows, what it changes, and how it refuses."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from freezegun import freeze_time

from dexhand.checkpoints.store import CheckpointStore
from dexhand.config.compose import compose, to_yaml
from dexhand.core.clock import SystemClock
from dexhand.runs import main
from dexhand.tasks import TASKS
from dexhand.workspace.workspace import Run, Workspace, lock_run


def begin(day: int, kind: Any = "train", task: str = "BaseTask", place: Path = Path(), legacy: bool = False) -> Run:
    """A run that began at noon of a day of January 2026, in the workspace ``runs`` of ``place``."""
    with freeze_time(f"2026-01-{day:02} 12:00:00"):
        workspace = Workspace(place / "runs", None) if legacy else Workspace(place / "runs")
        run = workspace.create_run(task, kind, SystemClock())
        workspace.publish(run)
    return run


def save(run: Run, iterations: int, best_return: float | None) -> None:
    state = {"epoch": iterations, "train_loop": {"best_return": best_return}, "model": {"w": torch.zeros(1000)}}
    CheckpointStore(run.checkpoints).save(state, iteration=iterations, numbered=True, best=True)


def played(run: Run, games: int, mean_return: float) -> None:
    run.results_file.write_text(json.dumps({"summary": {"games": games, "mean_return": mean_return}}))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(argv) == 0
    return capsys.readouterr().out


def listed(capsys: pytest.CaptureFixture[str], *argv: str) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = json.loads(said(capsys, "list", "--json", *argv))
    return runs


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(argv)
    assert end.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


class TestList:
    def test_a_training(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Task, kind, age, iterations, best mean return, size on disk and where it is shown."""
        run = begin(1)
        save(run, 1234, 56.789)
        with freeze_time("2026-01-04 12:00:00"):
            (fact,) = listed(capsys)
        assert (fact["task"], fact["kind"], fact["age"]) == ("BaseTask", "train", 3 * 86400)
        assert (fact["iterations"], fact["best_return"]) == (1234, 56.789)
        assert (fact["shown"], fact["pinned"], fact["running"], fact["problem"]) == (True, [], False, None)
        once = (run.checkpoints / "latest.pth").stat().st_size  # three names, one file
        assert fact["size"] == once
        assert fact["path"] == str(run.path)

    def test_a_test(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Episodes and their mean return instead."""
        played(begin(1, "test"), 20, 41.5)
        (fact,) = listed(capsys)
        assert (fact["kind"], fact["games"], fact["mean_return"], fact["iterations"]) == ("test", 20, 41.5, None)

    def test_the_task_is_that_of_the_configuration(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Where a run is called otherwise; or the class that makes environments of one's own."""
        for day, task in enumerate(TASKS, start=1):
            begin(day, task="my-experiment").config_file.write_text(to_yaml(compose([f"task={task}"])))
        factory = to_yaml(compose(["env.factory=my/own.py:MyEnv"]))
        begin(9, task="my-experiment").config_file.write_text(factory)
        gymnasium = to_yaml(compose(["task=gymnasium:Pendulum-v1"]))
        begin(10, task="my-experiment").config_file.write_text(gymnasium)
        assert [fact["task"] for fact in listed(capsys)] == ["Pendulum-v1", "MyEnv", *reversed([*TASKS])]

    def test_the_table(self, capsys: pytest.CaptureFixture[str]) -> None:
        """One line a run, the newest first, never cut off."""
        runs = [begin(1, task="BlindGrasping"), begin(2, "test"), begin(3)]
        save(runs[0], 1234, 56.789)
        played(runs[1], 20, 41.5)
        Workspace(Path("runs")).pin(runs[0].path, "the very best of them all")
        with lock_run(runs[2]), freeze_time("2026-01-04 12:00:00"):
            header, *lines, note = said(capsys).splitlines()
        assert header.split() == ["run", "task", "kind", "age", "iterations", "best", "return", "size"]
        assert [line.split()[0] for line in lines] == [run.name for run in reversed(runs)]
        assert "24 h" in lines[0]
        assert lines[0].rstrip().endswith("running, shown")
        assert lines[1].split()[5:8] == ["20", "episodes", "41.50"]
        assert lines[2].split()[5:7] == ["1,234", "56.79"]
        assert "pinned as the very best of them all" in lines[2]
        assert "episodes and mean return" in note

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("nn/latest.pth", b"not a checkpoint"),
            ("results.json", b"{"),
            ("results.json", b"[]"),
            ("results.json", b'{"summary": 3}'),
            ("results.json", b"\xff"),
        ],
    )
    def test_a_damaged_file(self, capsys: pytest.CaptureFixture[str], name: str, content: bytes) -> None:
        """A question mark in its place, and a line that says which file and why; the others are listed."""
        save(begin(1), 5, 1.0)
        run = begin(2)
        run.checkpoints.mkdir()
        (run.path / name).write_bytes(content)
        damaged, whole = listed(capsys)
        assert damaged["problem"]
        assert (damaged["iterations"], damaged["games"]) == (None, None)
        assert whole["iterations"] == 5
        assert " ? " in said(capsys).splitlines()[1]

    def test_files_of_any_size(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Only their beginnings are read; the whole of this one would take a gigabyte."""
        run = begin(1, "test")
        played(run, 20, 41.5)
        for file in (run.results_file, run.config_file):
            with open(file, "ab") as opened:
                opened.truncate(10**9)
        (fact,) = listed(capsys)
        assert (fact["games"], fact["mean_return"], fact["problem"]) == (20, 41.5, None)

    def test_a_configuration_that_is_slow_to_search(self, capsys: pytest.CaptureFixture[str]) -> None:
        """In time that grows with the square of its length it would take hours."""
        begin(1).config_file.write_text(f"env:\n  factory: a:{'_' * 10**5}!\n")
        (fact,) = listed(capsys)
        assert fact["task"] == "BaseTask"

    def test_odd_values_are_no_values(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A file of ours that holds something else under these names; JSON knows no NaN."""
        run = begin(1)
        CheckpointStore(run.checkpoints).save({"epoch": "x", "train_loop": {"best_return": float("nan")}}, iteration=1)
        (fact,) = listed(capsys)
        assert (fact["iterations"], fact["best_return"], fact["problem"]) == (None, None, None)

    def test_a_run_without_files(self, capsys: pytest.CaptureFixture[str]) -> None:
        """It has just begun: nothing is missing, nothing is damaged."""
        begin(1)
        (fact,) = listed(capsys)
        assert (fact["iterations"], fact["best_return"], fact["size"], fact["problem"]) == (None, None, 0, None)
        assert "?" not in said(capsys)

    def test_folders_that_are_no_runs(self, capsys: pytest.CaptureFixture[str]) -> None:
        """They are the user's own affair."""
        run = begin(1)
        Path("runs", "notes").mkdir()
        Path("runs", "pinned", "papers").mkdir()
        Path("runs_all", "file").touch()
        assert [fact["name"] for fact in listed(capsys)] == [run.name]

    def test_runs_that_lie_in_runs(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Without runs_all/, also those moved into pinned/ under a name of the user's."""
        runs = [begin(day, legacy=True) for day in (1, 2)]
        save(runs[0], 7, None)
        runs[0].path.rename("runs/pinned/best")
        best, other = sorted(listed(capsys), key=lambda fact: str(fact["name"]), reverse=True)
        assert (best["name"], best["pinned"], best["iterations"], best["task"]) == ("best", ["best"], 7, None)
        assert (other["name"], other["shown"], other["pinned"]) == (runs[1].name, True, [])

    def test_a_link_of_the_users_is_no_second_run(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A run is listed once, whatever leads to it."""
        run = begin(1)
        Path("runs", "mine").symlink_to(Path("..", "runs_all", run.name))
        assert [(fact["name"], fact["shown"]) for fact in listed(capsys)] == [(run.name, True)]

    def test_no_runs_yet(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A workspace that is empty is no mistake."""
        Path("runs").mkdir()
        assert "no runs" in said(capsys)
        assert listed(capsys) == []

    def test_it_changes_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Not even a link that a move has broken."""
        run = begin(1)
        Path("runs", run.name).rename("runs/pinned/best")
        (fact,) = listed(capsys)
        assert fact["pinned"] == ["best"]
        assert os.readlink("runs/pinned/best") == f"../runs_all/{run.name}"

    def test_it_imports_no_torch(self, here: Path) -> None:
        """It answers in a fraction of a second."""
        save(begin(1), 3, 2.0)
        code = (
            "import sys; from dexhand.runs import main; main([])\n"
            "print(sorted({'torch', 'numpy', 'hydra', 'mujoco'} & {*sys.modules}))"
        )
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert answer.stdout.splitlines()[-1] == "[]", answer.stderr


class TestPin:
    def test_under_a_name(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The link moves from runs/ to runs/pinned/, relative, so that the workspace can move."""
        run = begin(1)
        said(capsys, "pin", run.name, "best")
        assert sorted(os.listdir("runs")) == ["latest_train", "pinned"]
        assert os.readlink("runs/pinned/best") == f"../../runs_all/{run.name}"
        assert listed(capsys)[0]["pinned"] == ["best"]

    @pytest.mark.parametrize(
        "spec", ["latest", "latest_train", "0102_", "runs/{}", "runs_all/{}", "./runs_all/{}/", "{}"]
    )
    def test_a_run_is_named_as_for_a_test(self, capsys: pytest.CaptureFixture[str], spec: str) -> None:
        """latest, a name, a part of one, or a path; without NAME the pin is called like the run."""
        begin(1)
        run = begin(2)
        said(capsys, "pin", spec.format(run.name))
        assert Path("runs/pinned", run.name).resolve() == run.path.resolve()

    def test_twice(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Nothing happens the second time; for another name there is mv."""
        run = begin(1)
        said(capsys, "pin", run.name, "best")
        assert "pinned already, as best" in said(capsys, "pin", run.name)
        assert "pinned already, as best" in said(capsys, "pin", "best", "best")
        assert "mv " in refused(capsys, "pin", run.name, "better")
        assert os.listdir("runs/pinned") == ["best"]

    @pytest.mark.parametrize("name", ["a/b", ".hidden", "latest", "latest_test", "pinned", "taken", "second"])
    def test_names_that_would_confuse(self, capsys: pytest.CaptureFixture[str], name: str) -> None:
        """Paths, hidden names, names with another meaning, and those of other runs and files."""
        run, second = begin(1), begin(2)
        Path("runs/pinned/taken").touch()
        assert "name" in refused(capsys, "pin", run.name, second.name if name == "second" else name)

    def test_which_run_is_not_clear(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A part that fits several is refused, naming them; one that fits none, naming the nearest."""
        runs = [begin(day) for day in range(1, 6)]
        assert f"matches 5 runs: {runs[4].name}, {runs[3].name}, {runs[2].name} and 2 more" in refused(
            capsys, "pin", "Base"
        )
        assert f"Nearest: {runs[4].name}" in refused(capsys, "pin", "xyz")
        assert "no run is named ''" in refused(capsys, "pin", "")

    def test_a_run_that_lies_in_runs_is_not_moved(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A training may be writing into it."""
        run = begin(1, legacy=True)
        said(capsys, "pin", "latest", "best")
        assert run.path.is_dir()
        assert os.readlink("runs/pinned/best") == f"../{run.name}"

    def test_where_there_are_no_links(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Pinning cannot work there, and says so."""
        begin(1)

        def refuse(*_: Any, **__: Any) -> None:
            raise OSError(30, "Read-only file system", "runs/pinned/x")

        monkeypatch.setattr(os, "symlink", refuse)
        assert "runs cannot be changed: Read-only file system" in refused(capsys, "pin", "latest", "best")


class TestUnpin:
    @pytest.mark.parametrize("spec", ["best", "be", "latest", "20260101"])
    def test_the_run_is_shown_among_the_others_again(self, capsys: pytest.CaptureFixture[str], spec: str) -> None:
        """By the pin's name, or as any run is named."""
        run = begin(1)
        said(capsys, "pin", run.name, "best")
        said(capsys, "unpin", spec)
        assert sorted(os.listdir("runs")) == sorted([run.name, "latest_train", "pinned"])
        assert os.listdir("runs/pinned") == []
        assert Path("runs", run.name).is_dir()

    def test_only_what_is_pinned(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A run that is not pinned is no pin."""
        run = begin(1)
        assert "There are none yet" in refused(capsys, "unpin", run.name)

    def test_a_folder_is_not_deleted(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Where the run itself lies in pinned/, it is to be moved."""
        run = begin(1, legacy=True)
        save(run, 1, None)
        run.path.rename("runs/pinned/best")
        assert "mv " in refused(capsys, "unpin", "best")
        assert Path("runs/pinned/best").is_dir()


class TestPrune:
    def test_it_brings_the_links_up_to_date(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Older runs are hidden, deleted ones vanish, pins are led back to their runs, missing links are made."""
        runs = [begin(day) for day in range(1, 6)]
        Path("runs", runs[0].name).rename("runs/pinned/first")
        Path("runs", runs[3].name).unlink()
        shutil.rmtree(runs[4].path)
        before = sorted(os.listdir("runs"))
        plan = said(capsys, "prune", "--dry-run", "--max-train-runs", "2")
        assert sorted(os.listdir("runs")) == before
        done = said(capsys, "prune", "--max-train-runs", "2")
        assert plan.replace("would ", "").replace("to be removed", "removed") == done
        assert sorted(os.listdir("runs")) == sorted([runs[2].name, runs[3].name, "latest_train", "pinned"])
        assert Path("runs/pinned/first").resolve() == runs[0].path.resolve()
        assert Path("runs/latest_train").resolve() == runs[3].path.resolve()
        assert all(run.path.is_dir() for run in runs[:4])
        for line in (
            f"link runs/{runs[3].name} -> ../runs_all/{runs[3].name} (among the newest, or running)",
            f"link runs/pinned/first -> ../../runs_all/{runs[0].name} (was moved)",
            f"link runs/latest_train -> ../runs_all/{runs[3].name} (is the newest)",
            f"remove runs/{runs[1].name} (beyond the newest)",
            f"remove runs/{runs[4].name} (its run was deleted)",
            "links removed: 2; no run is ever deleted",
        ):
            assert line in done.splitlines()
        assert said(capsys, "prune", "--max-train-runs", "2") == "links removed: 0; no run is ever deleted\n"

    def test_as_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        """For programs."""
        run = begin(1)
        (change,) = json.loads(said(capsys, "prune", "--json", "--max-recent-runs", "0"))
        assert change == {
            "link": str(run.path.parents[1] / "runs" / run.name),
            "target": None,
            "reason": "beyond the newest",
        }


class TestCommandLine:
    def test_another_place(self, capsys: pytest.CaptureFixture[str], here: Path) -> None:
        """--runs-dir before or after the command."""
        run = begin(1, place=here / "there")
        place = str(here / "there" / "runs")
        for argv in (["--runs-dir", place, "list", "--json"], ["list", "--runs-dir", place, "--json"]):
            assert json.loads(said(capsys, *argv))[0]["name"] == run.name

    @pytest.mark.parametrize(
        ("argv", "words"),
        [
            (["list"], "there is neither"),
            (["--runs-dir", "/nope/x"], "there is neither /nope/x nor /nope/x_all"),
            (["--runs-dir", "/"], "needs a name"),
            (["frob"], "invalid choice: 'frob'"),
            (["pin"], "required: RUN"),
            (["prune", "--max-test-runs", "-1"], "'-1' is not a number of runs"),
            (["--frob"], "unrecognized arguments: --frob"),
        ],
    )
    def test_mistakes_are_one_line(self, capsys: pytest.CaptureFixture[str], argv: list[str], words: str) -> None:
        """And exit code 2."""
        assert words in refused(capsys, *argv)

    def test_help_shows_examples(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Every command, and what RUN may be."""
        with pytest.raises(SystemExit) as end:
            main(["--help"])
        assert end.value.code == 0
        page = capsys.readouterr().out
        for word in ("list", "pin", "unpin", "prune --dry-run", "--runs-dir", "--json", "RUN is latest"):
            assert word in page

    def test_a_reader_that_has_seen_enough(self, here: Path) -> None:
        """A pipe that closes early is no error."""
        for day in range(1, 29):
            begin(day)
        command = f"{sys.executable} -m dexhand.runs list --json | head -1"
        answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
        assert (answer.stdout, answer.stderr) == ("[\n", "")


def configured(day: int, *words: str) -> Run:
    """A run with a configuration."""
    run = begin(day)
    run.config_file.write_text(to_yaml(compose(words)))
    return run


class TestDiff:
    def test_the_keys_that_differ_are_shown_with_their_values(self, capsys: pytest.CaptureFixture[str]) -> None:
        first = configured(1, "task=BoxGrasping", "seed=1")
        second = configured(2, "task=BoxGrasping", "seed=1", "task.box.mass=0.3", "train.network.units=[64,64]")
        header, *lines = said(capsys, "diff", first.name, second.name).splitlines()
        assert header.split() == ["key", first.name, second.name]
        found = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines}
        assert found.keys() == {"task.box.mass", "train.network.units"}
        assert found["task.box.mass"].split() == ["0.1", "0.3"]

    def test_a_key_that_a_run_does_not_have(self, capsys: pytest.CaptureFixture[str]) -> None:
        runs = configured(1, "task=BaseTask"), configured(2, "task=BlindGrasping"), configured(3, "task=BlindGrasping")
        lines = said(capsys, "diff", *(run.name for run in runs)).splitlines()
        (line,) = (line for line in lines if line.startswith("task.box.mass "))
        assert line.split() == ["task.box.mass", "-", "0.1", "0.1"]

    def test_runs_that_do_not_differ(self, capsys: pytest.CaptureFixture[str]) -> None:
        runs = configured(1, "seed=1"), configured(2, "seed=1")
        assert said(capsys, "diff", *(run.name for run in runs)) == "Their configurations are the same\n"

    def test_what_cannot_be_compared_is_one_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        run, bare = configured(1), begin(2)
        assert "Give two or more" in refused(capsys, "diff", run.name)
        assert str(bare.config_file) in refused(capsys, "diff", run.name, bare.name)
