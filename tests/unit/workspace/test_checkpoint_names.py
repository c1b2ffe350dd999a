"""Every way of naming a checkpoint, and what is said when there is none."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from dexhand.workspace.checkpoint_names import CheckpointNotFound, find_run, find_source, resolve_checkpoint
from dexhand.workspace.links import Limits
from dexhand.workspace.records import record, record_played
from dexhand.workspace.workspace import Run, Workspace, WorkspaceError, lock_run

OLD, NEW, TEST = "BaseTask_train_20260101_000000", "BaseTask_train_20260102_000000", "BaseTask_test_20260103_000000"
RUNS = Path("runs")


def make_run(name: str, *checkpoints: str) -> Run:
    run = Run(Path("runs_all", name))
    run.path.mkdir(parents=True)
    for checkpoint in checkpoints:
        run.checkpoints.mkdir(exist_ok=True)
        (run.checkpoints / checkpoint).touch()
    return run


def publish(run: Run) -> None:
    Workspace(RUNS).publish(Run(run.path.resolve()))


def meaning(spec: str) -> tuple[str, str]:
    """Run and file that a spec leads to."""
    path = resolve_checkpoint(spec, RUNS).resolve()
    assert path.is_file()
    return path.parent.parent.name, path.name


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace in the working directory: two training runs, then a test run that played the older."""
    monkeypatch.chdir(tmp_path)
    publish(make_run(OLD, "latest.pth", "checkpoint_best.pth", "checkpoint_100.pth"))
    publish(make_run(NEW, "latest.pth", "checkpoint_best.pth", "checkpoint_100.pth"))
    test = make_run(TEST)
    record(test, "", [], played=Path("runs_all", OLD, "nn", "checkpoint_best.pth"))
    publish(test)
    return tmp_path


@pytest.mark.parametrize(
    ("spec", "run", "file"),
    [
        ("latest", NEW, "latest.pth"),
        ("latest_train", NEW, "latest.pth"),
        ("runs/latest_train", NEW, "latest.pth"),
        ("latest_test", OLD, "checkpoint_best.pth"),
        (f"runs_all/{OLD}/nn/checkpoint_100.pth", OLD, "checkpoint_100.pth"),
        (f"runs/{OLD}/nn/checkpoint_100.pth", OLD, "checkpoint_100.pth"),
        (f"runs/{OLD}/nn", OLD, "latest.pth"),
        ("best", NEW, "checkpoint_best.pth"),
        (f"runs/{OLD}/nn/best.pth", OLD, "checkpoint_best.pth"),
        (f"{OLD}/best.pth", OLD, "checkpoint_best.pth"),
        (f"runs/{OLD}", OLD, "latest.pth"),
        (f"runs/{OLD}/", OLD, "latest.pth"),
        (f"runs_all/{OLD}", OLD, "latest.pth"),
        (f"./runs_all/{OLD}", OLD, "latest.pth"),
        (OLD, OLD, "latest.pth"),
        (f" {OLD} ", OLD, "latest.pth"),
        (TEST, OLD, "checkpoint_best.pth"),
        (f"runs/{OLD}/checkpoint.pth", OLD, "latest.pth"),
        ("runs/latest_train/checkpoint.pth", NEW, "latest.pth"),
        (f"{OLD}/checkpoint_100.pth", OLD, "checkpoint_100.pth"),
        (f"runs/{OLD}.pth", OLD, "latest.pth"),
        ("BaseTask", NEW, "latest.pth"),
        ("20260101", OLD, "latest.pth"),
        ("BaseTask_2026-01-01_00-00-00", OLD, "latest.pth"),
        ("_test_", OLD, "checkpoint_best.pth"),
    ],
)
def test_what_a_name_means(workspace: Path, spec: str, run: str, file: str) -> None:
    """Every spelling leads to one file."""
    assert meaning(spec) == (run, file)


def test_absolute_paths_and_the_home_folder(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full paths and ~ are understood, wherever the program was started."""
    monkeypatch.setenv("HOME", str(workspace))
    monkeypatch.chdir("/")
    runs = workspace / "runs"
    for spec in (str(runs / OLD), f"~/runs/{OLD}", f"runs/{OLD}", OLD):
        assert resolve_checkpoint(spec, runs).resolve().parent.parent.name == OLD


def test_the_result_does_not_follow_a_later_latest(workspace: Path) -> None:
    """Latest is looked up once: a run that begins afterwards does not change which file was meant."""
    path = resolve_checkpoint("latest", RUNS)
    publish(make_run("BaseTask_train_20260104_000000", "latest.pth"))
    assert path.parent.parent.name == NEW
    assert meaning("latest")[0] == "BaseTask_train_20260104_000000"


def test_a_run_that_is_no_longer_linked_is_found_in_the_archive(workspace: Path) -> None:
    """runs/NAME still works after its link was removed."""
    os.unlink(f"runs/{OLD}")
    assert meaning(f"runs/{OLD}") == (OLD, "latest.pth")


def test_latest_without_its_link_is_the_newest_run(workspace: Path) -> None:
    """Where the link is missing, the names say which run is the newest."""
    os.unlink("runs/latest_train")
    os.unlink("runs/latest_test")
    assert meaning("latest") == (NEW, "latest.pth")
    assert meaning("latest_test") == (OLD, "checkpoint_best.pth")


def test_a_test_may_have_played_a_file_in_a_folder_whose_name_is_no_text(workspace: Path, tmp_path: Path) -> None:
    """Its bytes are kept."""
    played = tmp_path / os.fsdecode(b"\xff") / "latest.pth"
    played.parent.mkdir()
    played.touch()
    record_played(Run(Path("runs", "latest_test")), played)
    assert resolve_checkpoint("latest_test", Path("runs")) == played


def test_a_moved_workspace_keeps_what_a_test_played(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """latest_test leads to the played checkpoint after both folders were moved."""
    (workspace / "moved").mkdir()
    for name in ("runs", "runs_all"):
        (workspace / name).rename(workspace / "moved" / name)
    monkeypatch.chdir(workspace / "moved")
    assert meaning("latest_test") == (OLD, "checkpoint_best.pth")


@pytest.mark.parametrize(
    ("files", "preferred"),
    [
        (["latest.pth", "checkpoint_best.pth", "checkpoint_9.pth", "z.pth"], "latest.pth"),
        (["checkpoint_best.pth", "checkpoint_9.pth", "z.pth"], "checkpoint_9.pth"),
        (["checkpoint_best.pth", "z.pth"], "z.pth"),
        (["checkpoint_best.pth"], "checkpoint_best.pth"),
        (["Ant.pth", "last_Ant_ep_90_rew_5.0.pth", "last_Ant_ep_100_rew__4.2_.pth"], "last_Ant_ep_100_rew__4.2_.pth"),
        (["checkpoint_1.pth", ".latest.pth", ".latest.pth.Ab12.tmp"], "checkpoint_1.pth"),
        (["checkpoint_9.pth", "checkpoint_10.pth", "z.pth"], "checkpoint_10.pth"),
        (["y.pth", "z.pth", "notes.txt"], "y.pth"),
    ],
)
def test_which_file_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: Any, preferred: str) -> None:
    """Latest before the highest number before the newest file before best; hidden files are not there."""
    monkeypatch.chdir(tmp_path)
    make_run(OLD, *files)
    if "y.pth" in files:
        os.utime(f"runs_all/{OLD}/nn/z.pth", (1, 1))
    assert meaning(OLD) == (OLD, preferred)


def test_a_run_without_a_best_checkpoint_says_so(workspace: Path) -> None:
    (Path("runs_all", NEW, "nn", "checkpoint_best.pth")).unlink()
    with pytest.raises(CheckpointNotFound, match="has no best checkpoint: no episode has ended yet"):
        resolve_checkpoint("best", RUNS)


def test_part_of_a_name_prefers_runs_with_checkpoints(workspace: Path) -> None:
    """A newer run that saved nothing does not hide an older one that did."""
    publish(make_run("BaseTask_train_20260105_000000"))
    assert meaning("BaseTask_train") == (NEW, "latest.pth")


def test_runs_of_other_programs_are_found_by_part_of_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders called otherwise are ordered by their age on disk."""
    monkeypatch.chdir(tmp_path)
    for seconds, name in ((2, "Ant_2025-01-14_10-30-45"), (1, "Ant_2025-01-15_10-30-45")):
        make_run(name, "Ant.pth")
        os.utime(f"runs_all/{name}", (seconds, seconds))
    assert meaning("Ant") == ("Ant_2025-01-14_10-30-45", "Ant.pth")


class TestPinned:
    """Pinned runs are found by every name, whether the move has broken their link or not."""

    SPECS = ("best_grasp", "grasp", "pinned/best_grasp", "runs/pinned/best_grasp", "runs/pinned/best_grasp/")

    @pytest.fixture(params=["by command", "by mv", "by mv, repaired", "renamed in runs/"])
    def pinned(self, request: pytest.FixtureRequest, workspace: Path) -> str:
        """The older run pinned as best_grasp; returns how."""
        if request.param == "by command":
            Workspace(RUNS).pin(workspace / "runs_all" / OLD, "best_grasp")
        else:
            place = "runs" if request.param == "renamed in runs/" else "runs/pinned"
            os.rename(f"runs/{OLD}", f"{place}/best_grasp")
        if request.param == "by mv, repaired":
            Workspace(RUNS).tidy()
        return str(request.param)

    def test_by_name(self, pinned: str) -> None:
        """The name of the pin, a part of it, and its path; the run's own name still works."""
        specs = self.SPECS[:2] if pinned == "renamed in runs/" else self.SPECS
        for spec in (*specs, OLD, f"runs/{OLD}", "20260101"):
            assert meaning(spec) == (OLD, "latest.pth")

    def test_files_in_it(self, pinned: str) -> None:
        """A path may go on behind the pin."""
        place = "runs" if pinned == "renamed in runs/" else "runs/pinned"
        for spec in (f"{place}/best_grasp/nn/checkpoint_100.pth", f"{place}/best_grasp/checkpoint_100.pth"):
            assert meaning(spec) == (OLD, "checkpoint_100.pth")

    def test_from_elsewhere(self, pinned: str, monkeypatch: pytest.MonkeyPatch, workspace: Path) -> None:
        """By a full path, too."""
        place = "runs" if pinned == "renamed in runs/" else "runs/pinned"
        monkeypatch.chdir("/")
        path = resolve_checkpoint(str(workspace / place / "best_grasp"), workspace / "runs")
        assert path.resolve().parent.parent.name == OLD

    def test_it_is_as_old_as_its_run(self, pinned: str) -> None:
        """A pin made today does not make the newest run of an old one."""
        assert meaning("BaseTask_train") == (NEW, "latest.pth")
        os.unlink("runs/latest_train")
        assert meaning("latest") == (NEW, "latest.pth")

    def test_going_on_in_it(self, pinned: str, workspace: Path) -> None:
        """resume= means the run itself, in runs_all/."""
        Path("runs_all", OLD, "config.yaml").touch()
        run, checkpoint = find_run("best_grasp", RUNS)
        assert run.path == workspace / "runs_all" / OLD
        assert checkpoint.resolve() == run.checkpoints / "latest.pth"

    def test_a_test_run(self, workspace: Path) -> None:
        """A pinned test stands for what it played."""
        os.rename(f"runs/{TEST}", "runs/pinned/exam")
        assert meaning("exam") == (OLD, "checkpoint_best.pth")

    def test_a_pin_whose_run_is_gone(self, workspace: Path) -> None:
        """The message names the link and where it points."""
        os.rename(f"runs/{OLD}", "runs/pinned/best_grasp")
        shutil.rmtree(f"runs_all/{OLD}")
        with pytest.raises(CheckpointNotFound, match=rf"pinned/best_grasp points to \.\./runs_all/{OLD}, which is not"):
            resolve_checkpoint("runs/pinned/best_grasp", RUNS)


def test_a_test_that_goes_on_does_not_depend_on_links(workspace: Path) -> None:
    """What runs/NAME meant is still followed when its link was tidied away or pinned."""
    source = find_source(f"runs/{OLD}", RUNS)
    Workspace(RUNS, Limits(train=1)).tidy()
    assert not os.path.lexists(f"runs/{OLD}")
    assert source.checkpoints()[0].name == "latest.pth"


def test_a_link_of_the_users_is_followed_wherever_it_leads(workspace: Path) -> None:
    """It may lead to another run later."""
    os.symlink(f"../runs_all/{OLD}", "runs/current")
    source = find_source("runs/current", RUNS)
    os.unlink("runs/current")
    os.symlink(f"../runs_all/{NEW}", "runs/current")
    assert source.checkpoints()[0].resolve().parent.parent.name == NEW


def test_latest_after_its_run_was_deleted(workspace: Path) -> None:
    """Then the newest of the others is the latest; no copy was left incomplete."""
    shutil.rmtree(f"runs_all/{NEW}")
    assert meaning("latest") == (OLD, "latest.pth")


def test_runs_that_lie_in_runs_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """useCleanWorkspace=false: the same names, also of a folder that was moved into pinned/."""
    monkeypatch.chdir(tmp_path)
    for name in (OLD, NEW):
        run = Run(tmp_path / "runs" / name)
        run.checkpoints.mkdir(parents=True)
        (run.checkpoints / "latest.pth").touch()
        run.config_file.touch()
        Workspace(RUNS, None).publish(run)
    for spec, name in (("latest", NEW), (OLD, OLD), (f"runs/{OLD}", OLD), ("20260101", OLD), ("BaseTask", NEW)):
        assert meaning(spec) == (name, "latest.pth")
    os.rename(f"runs/{OLD}", "runs/pinned/best")
    for spec in ("best", "be", "runs/pinned/best"):
        assert meaning(spec) == ("best", "latest.pth")
    run, _ = find_run("best", RUNS)
    Workspace(RUNS, None).publish(run, "train")
    assert meaning("latest") == ("best", "latest.pth")


class TestMisses:
    def message(self, spec: str) -> str:
        with pytest.raises(CheckpointNotFound) as caught:
            resolve_checkpoint(spec, RUNS)
        message = str(caught.value)
        assert isinstance(caught.value, WorkspaceError)
        assert "\n" not in message
        assert message.startswith(f"train.checkpoint={spec!r}: ")
        return message

    def test_a_typing_error_is_answered_with_the_nearest_run(self, workspace: Path) -> None:
        """The message names what was looked for, where, what is near and what can be given."""
        publish(make_run("Other_train_20260109_000000", "latest.pth"))
        message = self.message("BaseTsk_train")
        assert "no file, folder or run has this name" in message
        assert f"runs_all: {NEW}, {OLD}" in message
        assert "Other" not in message
        assert message.endswith("Give latest, best, a run's name or a part of it, a run folder or a .pth file")

    def test_nothing_near(self, workspace: Path) -> None:
        """Where nothing is near, the newest runs are shown."""
        assert f"{TEST}, {NEW}, {OLD}" in self.message("xyz.pth")

    @pytest.mark.parametrize("spec", ["anything", "", "runs/x", "a/b/c.pth"])
    def test_an_empty_workspace(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str) -> None:
        """Before the first run, that is what is said."""
        monkeypatch.chdir(tmp_path)
        assert "hold no runs" in self.message(spec)

    @pytest.mark.parametrize(("spec", "kind"), [("latest", "training"), ("latest_test", "testing")])
    def test_no_latest(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, kind: str) -> None:
        """Latest before the first run says which kind of run is missing."""
        monkeypatch.chdir(tmp_path)
        assert f"there is no {kind} run in" in self.message(spec)

    def test_latest_has_not_saved_yet(self, workspace: Path) -> None:
        """Latest never quietly means an older run."""
        publish(make_run("BaseTask_train_20260105_000000"))
        assert "BaseTask_train_20260105_000000 has not saved a checkpoint yet" in self.message("latest")

    def test_a_test_run_without_a_pointer(self, workspace: Path) -> None:
        """Test runs hold no checkpoints, and one that names none leads nowhere."""
        os.unlink(f"runs_all/{TEST}/checkpoint.txt")
        assert "holds no checkpoint and names none in checkpoint.txt" in self.message("latest_test")

    def test_the_played_checkpoint_is_gone(self, workspace: Path) -> None:
        """A test run whose checkpoint was deleted says which it was."""
        os.unlink(f"runs_all/{OLD}/nn/checkpoint_best.pth")
        assert f"{OLD}/nn/checkpoint_best.pth, which no longer exists" in self.message("latest_test")

    def test_a_folder_without_checkpoints(self, workspace: Path) -> None:
        """A folder that exists is named with what it lacks."""
        (workspace / "empty").mkdir()
        assert f"there is no checkpoint in {workspace / 'empty'}" in self.message("empty")

    def test_the_folder_of_all_runs_is_no_experiment(self, workspace: Path) -> None:
        """Nobody saves a checkpoint there; a run in it may get one."""
        assert not find_source("runs_all", Path("runs")).is_experiment
        assert find_source(f"runs_all/{NEW}", Path("runs")).is_experiment

    def test_a_training_is_known_by_its_lock(self, workspace: Path) -> None:
        """While it runs, in its folder and for its files."""
        run, source = Run(Path(f"runs_all/{NEW}").absolute()), find_source(f"{NEW}/nn/latest.pth", Path("runs"))
        assert not source.is_training
        with lock_run(run):
            assert source.is_training
            assert find_source(NEW, Path("runs")).is_training
        assert not source.is_training

    @pytest.mark.parametrize("spec", ["latest", f"runs/{NEW}", f"runs/{NEW}/nn/latest.pth", f"runs/{NEW}.pth"])
    def test_a_link_to_nowhere_is_explained(self, workspace: Path, spec: str) -> None:
        """Copying runs/ without runs_all/ leaves links that lead nowhere; the message says so."""
        (workspace / "runs_all").rename(workspace / "elsewhere")
        message = self.message(spec)
        assert f"points to ../runs_all/{NEW}, which is not there" in message
        assert "copy the folder that holds them too" in message

    def test_a_name_no_file_system_takes(self, workspace: Path) -> None:
        """An impossible path is a miss like any other."""
        assert "cannot be looked for: File name too long" in self.message("x" * 5000)

    def test_checkpoint_pth_alone_means_no_other_file(self, workspace: Path) -> None:
        """A missing checkpoint.pth beside other .pth files is a miss that names those."""
        (workspace / "other.pth").touch()
        assert "there is no such file; . holds other.pth" in self.message("checkpoint.pth")
