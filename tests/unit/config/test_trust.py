"""Runs of somebody else: what their configuration names is neither imported nor read unless it is the user's own."""

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import yaml

from dexhand.app.main import Workspaces, main
from dexhand.config.cli import Invocation, parse
from dexhand.config.compose import compose, to_yaml
from dexhand.config.errors import ConfigError
from dexhand.config.keys import all_keys
from dexhand.config.plugins import find_code, load_plugin
from dexhand.files.digest import with_digest

MARKED = """\
from pathlib import Path
from dexhand.tasks import BaseTask
Path({mark!r}).touch()

class Task(BaseTask):
    pass

def make(*args, **kwargs):
    pass
"""
RUN = "BaseTask_train_20260101_120000"
PLAIN = to_yaml(compose())
NAMES = {"code": "{module}:make", "module": "{module}", "files": "{module}"}
"""What a value of each kind looks like."""
NAMING = {key.name: NAMES[key.names] for key in all_keys().values() if key.names is not None}


class Place:
    """The user's working folder, and beside it a folder of somebody else's; modules of both leave a mark."""

    def __init__(self, folder: Path) -> None:
        self.mine, self.theirs = folder / "mine", folder / "theirs"
        self.mark = folder / "imported"
        for home in (self.mine, self.theirs):
            home.mkdir()

    def module(self, path: Path) -> str:
        """Write a module that leaves a mark when it is imported; returns its path."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(MARKED.format(mark=str(self.mark)))
        return str(path)

    def run(self, folder: Path, key: str, value: Any, text: str = PLAIN) -> Path:
        """Write a run whose configuration has ``value`` under ``key``."""
        (folder / "nn").mkdir(parents=True, exist_ok=True)
        (folder / "nn" / "latest.pth").touch()
        (folder / "config.yaml").write_text(with_digest(changed(text, key, value)))
        return folder

    @property
    def was_imported(self) -> bool:
        return self.mark.exists()


def changed(text: str, key: str, value: Any) -> str:
    """A configuration with another value, in a list where the key has one."""
    tree = yaml.safe_load(text)
    section, _, name = key.rpartition(".")
    target = tree
    for part in section.split("."):
        target = target[part]
    target[name] = [value] if isinstance(target.get(name), list) else value
    if key == "task.module":
        target["name"] = "Task"
    return yaml.safe_dump(tree)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    made = Place(tmp_path)
    monkeypatch.chdir(made.mine)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield made
    for name in set(sys.modules) - before:
        del sys.modules[name]
    importlib.invalidate_caches()


def composed(argv: Sequence[str]) -> Invocation:
    found = parse(argv, Workspaces())
    assert isinstance(found, Invocation)
    return found


def refused(argv: Sequence[str]) -> str:
    with pytest.raises(ConfigError) as error:
        parse(argv, Workspaces())
    assert "\n" not in str(error.value)
    return str(error.value)


def ways(run: Path) -> list[list[str]]:
    """The command lines that take something from a run's configuration."""
    return [
        ["test=true", f"checkpoint={run}"],
        ["test=true", f"checkpoint={run}/nn/latest.pth"],
        [f"resume={run}"],
        [f"config={run}/config.yaml"],
        [f"--config-dir={run}"],
    ]


@pytest.mark.parametrize("key", NAMING)
def test_what_only_a_foreign_run_names_is_refused(key: str, place: Place) -> None:
    """By every key that can name code or files, on every way, in one line with the key, the file and the ways out."""
    value = NAMING[key].format(module=place.module(place.theirs / "evil.py"))
    run = place.run(place.theirs / RUN, key, value)
    in_tests = key not in ("sim.backend", "train.sinks", "env.handAsset")
    for argv in [ways(run)[0], [f"resume={run}"], [f"resume={run}", "--dry-run"]][not in_tests :]:
        line = refused(argv)
        assert f"{key}={value}: only {run}/config.yaml names it" in line
        assert f"give {key}=" in line
        assert "train.trustCheckpoint=true" in line
    assert not place.was_imported


class TestTheWaysOut:
    @pytest.fixture
    def run(self, place: Place) -> Path:
        """A run with a task beside it."""
        return place.run(place.theirs / RUN, "task.module", place.module(place.theirs / "evil.py"))

    @pytest.mark.parametrize("way", range(5))
    def test_trust(self, way: int, place: Place, run: Path) -> None:
        """On the command line."""
        assert composed([*ways(run)[way], "train.trustCheckpoint=true"]).config.task.name == "Task"
        assert place.was_imported

    @pytest.mark.parametrize("way", [0, 2])
    def test_naming_it(self, way: int, place: Place, run: Path) -> None:
        """On the command line."""
        composed([*ways(run)[way], f"task.module={place.theirs}/evil.py"])
        assert place.was_imported

    def test_a_folder_of_the_users_own_files_names_it(self, place: Place, run: Path) -> None:
        """With ``--config-dir``."""
        (place.mine / "conf" / "task").mkdir(parents=True)
        (place.mine / "conf" / "task" / "Task.yaml").write_text(
            "# @package _global_\ndefaults: [BaseTask, _self_]\ntask:\n  name: Task\n"
            f"  module: {place.theirs}/evil.py\n"
        )
        composed(["--config-dir=conf", "task=Task", "test=true", f"checkpoint={run}"])
        assert place.was_imported

    def test_a_run_does_not_trust_itself(self, place: Place, run: Path) -> None:
        """Whatever it says."""
        text = (run / "config.yaml").read_text().replace("trustCheckpoint: false", "trustCheckpoint: true")
        (run / "config.yaml").write_text("\n".join(text.splitlines()[1:-1]))
        for argv in ways(run):
            assert "task.module=" in refused(argv)

    @pytest.mark.parametrize("key", ["train.trustCheckpoint", "env.videoStreamBindAll"])
    def test_what_the_user_decides(self, key: str, place: Place) -> None:
        """Whether code in checkpoints is run, and whether other machines may watch."""
        run = place.run(place.theirs / "plain", key, "true")
        for argv in (ways(run)[2], ways(run)[3]):
            assert attrgetter(key)(composed(argv).config) is False
            assert attrgetter(key)(composed([*argv, f"{key}=true"]).config) is True


class TestTheUsersOwn:
    @pytest.mark.parametrize("value", ["mine.py", "mine", "package.mine", "package/mine.py"])
    def test_in_the_working_folder(self, value: str, place: Place) -> None:
        """A file or a module, also below; a later command need not name it."""
        place.module(place.mine / (value if value.endswith(".py") else f"{value.replace('.', '/')}.py"))
        for run in (place.mine / "runs_all" / RUN, place.theirs / RUN):
            assert composed([f"resume={place.run(run, 'task.module', value)}"]).config.task.name == "Task"
        assert place.was_imported

    def test_a_folder_of_the_same_name_elsewhere_hides_nothing(self, place: Place) -> None:
        """Python prefers a module in the working folder to a folder without ``__init__.py`` on its path."""
        (place.theirs / "own").mkdir()
        sys.path.append(str(place.theirs))
        assert find_code("own") == []
        place.module(place.mine / "own.py")
        importlib.invalidate_caches()
        assert find_code("own") == [place.mine / "own.py"]

    def test_a_package_in_several_folders_is_searched_in_the_order_of_the_path(self, place: Place) -> None:
        """As Python does: what comes with a run could otherwise pass for the module of the working folder."""
        for home in (place.theirs, place.mine):
            place.module(home / "several" / "part.py")
        sys.path.append(str(place.theirs))
        assert find_code("several.part") == [place.theirs / "several" / "part.py"]

    @pytest.mark.parametrize(
        ("run", "module"),
        [
            (f"runs_all/{RUN}", f"runs_all/{RUN}/evil.py"),
            (f"runs_all/{RUN}", "runs_all/evil.py"),
            (f"runs_all/{RUN}", "runs/evil.py"),
            (f"../theirs/{RUN}", "runs_all/other/evil.py"),
            (f"download/deep/{RUN}", "download/evil.py"),
            (RUN, f"{RUN}/evil.py"),
            (".", "evil.py"),
            ("..", "evil.py"),
            (RUN, ".venv/lib/site-packages/evil.py"),
        ],
    )
    def test_not_what_came_with_a_run(self, run: str, module: str, place: Place) -> None:
        """In its folder, in the part of the working folder that holds it, where runs are, or installed."""
        place.module(place.mine / module)
        folder = place.run(place.mine / run, "task.module", module)
        assert "task.module=" in refused([f"resume={folder}"])
        dotted = module.removesuffix(".py").replace("/", ".")
        place.run(folder, "task.module", dotted)
        assert "task.module=" in refused([f"resume={folder}"])
        assert not place.was_imported

    @pytest.mark.parametrize("module", ["runs_all/other/evil.py", "runs/other/evil.py"])
    def test_not_what_lies_in_runs_dir_whatever_the_run_says(self, module: str, place: Place) -> None:
        """A run cannot make other runs the user's own by naming another ``train.runsDir``."""
        run = place.run(place.mine / "download" / "out_all" / RUN, "train.runsDir", "download/out")
        text = (run / "config.yaml").read_text()
        place.run(run, "task.module", module, text)
        place.module(place.mine / module)
        assert "the working folder has no such code of your own" in refused([f"resume={run}"])
        assert not place.was_imported

    def test_a_link_counts_as_what_it_leads_to(self, place: Place) -> None:
        """In both directions."""
        evil = place.module(place.theirs / "evil.py")
        (place.mine / "linked.py").symlink_to(evil)
        run = place.run(place.theirs / RUN, "task.module", "linked.py")
        (place.mine / "runs").mkdir()
        (place.mine / "runs" / RUN).symlink_to(run)
        assert "task.module=linked.py" in refused([f"resume={run}"])
        place.run(run, "task.module", f"runs/{RUN}/../evil.py")
        assert "task.module=" in refused([f"resume=runs/{RUN}"])
        assert not place.was_imported

    def test_a_package_runs_with_its_modules(self, place: Place) -> None:
        """It must be the user's own, too; here it comes from elsewhere on Python's path."""
        place.module(place.theirs / "package" / "__init__.py")
        sys.path.append(str(place.theirs))
        place.run(place.theirs / RUN, "task.module", "package.nothing")
        assert "task.module=package.nothing" in refused([f"resume={place.theirs / RUN}"])
        assert not place.was_imported

    @pytest.mark.parametrize("value", ["os:system", "shutil:rmtree", "builtins:exec", "yaml:unsafe_load", "__main__:x"])
    def test_installed_code_is_named_by_the_user(self, value: str, place: Place) -> None:
        """The standard library and installed packages can do anything with their arguments."""
        run = place.run(place.theirs / RUN, "train.sinks", value)
        assert f"train.sinks={value}" in refused([f"resume={run}"])

    @pytest.mark.parametrize("name", ["system", "rmtree", "Path", "exec_"])
    def test_what_its_modules_import_from_python_is_no_plug_in(self, name: str, place: Place) -> None:
        """A run would choose the function, and its folder's name the argument."""
        (place.mine / "mine.py").write_text(
            "import functools\nfrom os import system\nfrom pathlib import Path\nfrom shutil import rmtree\n"
            "exec_ = exec\nmade = functools.partial(print)\n"
        )
        with pytest.raises(ConfigError, match="belongs to Python's standard library"):
            load_plugin("train.sinks", f"mine.py:{name}")
        assert callable(load_plugin("train.sinks", "mine.py:made"))

    def test_a_hand(self, place: Place) -> None:
        """A folder in the working folder is read; a built-in one always."""
        source = Path(__file__).parents[2] / "hands" / "four_finger"
        (place.mine / "hand").mkdir()
        for name in ("spec.yaml", "hand.xml"):
            (place.mine / "hand" / name).write_bytes((source / name).read_bytes())
        run = place.run(place.theirs / RUN, "env.hand", "hand")
        assert composed([f"resume={run}"]).config.env.hand == str(place.mine / "hand")
        place.run(run, "env.hand", "dexhand021_left")
        assert composed([f"resume={run}"]).config.env.hand == "dexhand021_left"


class TestADryRun:
    def test_imports_nothing(self, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
        """Not even the user's own; its task's keys are shown as they were given."""
        place.module(place.mine / "mine.py")
        (place.mine / "conf" / "task").mkdir(parents=True)
        (place.mine / "conf" / "task" / "Task.yaml").write_text(
            "# @package _global_\ndefaults: [BaseTask, _self_]\ntask:\n  name: Task\n  module: mine\n  own: {a: [1]}\n"
        )
        words = ["--config-dir=conf", "task=Task", "task.reward_weights.mine=3", "env.factory=mine.py:make"]
        assert main([*words, "train.algorithm=mine:make", "train.sinks=[mine:make]", "--dry-run"]) == 0
        printed = capsys.readouterr().out
        assert "task.module=mine is not imported in a dry run" in printed
        assert "  own:\n    a:\n    - 1\n" in printed
        assert "mine: 3" in printed
        assert not place.was_imported

    @pytest.mark.parametrize(
        "word", ["task.episodeLength=1", "task.controlMode=fast", "numEnvs=0", "task.module=no.py"]
    )
    def test_still_checks(self, word: str, place: Place) -> None:
        """What every task has, and that the module is there."""
        place.module(place.mine / "mine.py")
        refused(["task.module=mine.py", word, "--dry-run"])
        assert not place.was_imported

    def test_a_mistyped_choice(self, place: Place) -> None:
        """It is taken for that, not for code."""
        assert "Did you mean 'mujoco'?" in refused(["sim.backend=mujco", "--dry-run"])

    def test_of_a_run_of_ones_own(self, place: Place) -> None:
        """Resumed or played."""
        place.module(place.mine / "mine.py")
        for argv in ways(place.run(place.mine / "runs_all" / RUN, "task.module", "mine.py"))[:3]:
            assert composed([*argv, "--dry-run"]).config.task.name == "Task"
        assert not place.was_imported


class TestARunsConfiguration:
    @pytest.mark.parametrize(
        ("text", "part"),
        [
            ("hydra: {searchpath: ['pkg://evil']}\n", "hydra"),
            ("defaults: [config, _self_]\n", "defaults"),
            ("'defaults': [/evil]\n", "defaults"),
        ],
    )
    def test_includes_nothing(self, text: str, part: str, place: Place) -> None:
        """Neither files nor packages."""
        place.module(place.mine / "evil" / "__init__.py")
        run = place.run(place.theirs / RUN, "train.seed", "1")
        (run / "config.yaml").write_text(text + PLAIN)
        for argv in ways(run):
            assert f"config.yaml: {part}:" in refused(argv)
        assert not place.was_imported

    @pytest.mark.parametrize(
        ("key", "value"),
        [("train.wandb.project", "${oc.env:SECRET}"), ("train.sinks", "a ${oc.decode:'1'}"), ("task.name", "${x}")],
    )
    def test_resolves_nothing(self, key: str, value: str, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """An environment variable would be recorded, and sent to Weights & Biases."""
        monkeypatch.setenv("SECRET", "token")
        for argv in ways(place.run(place.theirs / RUN, key, value)):
            line = refused(argv)
            assert f"config.yaml: {key}=" in line
            assert "token" not in line

    def test_runs_dir(self, place: Place) -> None:
        """It counts only if the run is there: otherwise links would be made in any folder."""
        elsewhere = place.run(place.theirs / RUN, "train.runsDir", str(place.theirs / "victim"))
        assert composed([f"resume={elsewhere}"]).config.train.runsDir == "runs"
        assert composed([f"config={elsewhere}/config.yaml"]).config.train.runsDir == "runs"
        there = place.run(place.mine / "out_all" / RUN, "train.runsDir", "out")
        assert composed([f"resume={there}"]).config.train.runsDir == "out"

    def test_a_file_of_the_users_own_may_do_all_that(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is not that of a run."""
        monkeypatch.setenv("NAME", "mine")
        (place.mine / "my.yaml").write_text(
            "defaults: [config, _self_]\ntrain:\n  trustCheckpoint: true\n  experimentName: ${oc.env:NAME}\n"
        )
        train = composed(["config=my.yaml"]).config.train
        assert (train.trustCheckpoint, train.experimentName) == (True, "mine")


@pytest.mark.parametrize(
    "spelled",
    [
        *("{path}", "{path}:make", "[1, {path}]", "[[{{a: {path}}}]]", "theirs.evil:make", "theirs.evil"),
        *("~/evil.xml", "none/../../evil.xml"),  # as Gymnasium's xml_file, in the home folder or from Gymnasium's own
    ],
)
def test_arguments_of_an_environment_name_nothing_foreign(
    spelled: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files and code, in whatever argument; other texts, and what is trusted, pass."""
    path = place.module(place.theirs / "evil.py")
    plain = to_yaml(compose(["task=gymnasium:Pendulum-v1"]))
    argument = yaml.safe_load(f"x: {spelled.format(path=path)}")
    run = place.run(place.theirs / RUN, "task.kwargs", argument, plain)
    monkeypatch.chdir(place.theirs.parent)
    words = [f"resume={run}", "--dry-run"]
    assert "task.kwargs.x=" in refused(words)
    assert composed([*words, "train.trustCheckpoint=true"]).dry_run
    place.run(place.theirs / RUN, "task.kwargs", {"x": "ant.xml", "y": "rk4", "z": "m/s"}, plain)
    assert composed(words).dry_run
    assert not place.was_imported


@pytest.mark.parametrize("name", ["train.log", ".lock", "command.txt", "nn/latest.pth", "summaries", "nn/deep/x"])
def test_a_run_does_not_lead_out_of_its_folder(name: str, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Resuming would write there; also said by a dry run. Links within the folder and trusted ones are followed."""
    run = place.run(place.theirs / RUN, "train.seed", "1")
    (run / "config.yaml").write_text(PLAIN)
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(place.mine / "victim")
    (run / "nn" / "checkpoint_1.pth").touch()
    (run / "nn" / "best.pth").symlink_to("checkpoint_1.pth")
    words = [f"resume={run}/nn/checkpoint_1.pth", "--dry-run"]
    assert main(words) == 2
    assert f"{run}/{name} is a link to {place.mine}/victim" in capsys.readouterr().err
    assert main([*words, "train.trustCheckpoint=true"]) == 0
    (run / name).unlink()
    assert main(words) == 0


@pytest.mark.parametrize("name", ["git.txt", "train.log", "nn/deep"])
def test_a_run_holds_only_files_and_folders(name: str, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Resuming would wait for ever for a pipe, trusted or not."""
    run = place.run(place.theirs / RUN, "train.seed", "1")
    os.mkfifo(run / name)
    for trust in ("false", "true"):
        assert main([f"resume={run}", "--dry-run", f"train.trustCheckpoint={trust}"]) == 2
        assert f"{run}/{name} is neither a file nor a folder" in capsys.readouterr().err


class TestFindingCode:
    @pytest.mark.parametrize("module", ["", ".", "a..b", "os", "sys", "no.such", "no.py", "\0.py", "\0"])
    def test_what_has_no_file(self, module: str) -> None:
        """Also names that no module can have."""
        assert find_code(module) == []

    def test_a_module_in_a_package(self, place: Place) -> None:
        """The package's file runs first."""
        first, second = place.mine / "pack" / "__init__.py", place.mine / "pack" / "part.py"
        place.module(first), place.module(second)
        assert find_code("pack.part") == [first, second]
        assert not place.was_imported


def test_a_search_path_imports_no_package(place: Place) -> None:
    """One that the user names has files, not code."""
    place.module(place.mine / "pack" / "__init__.py")
    (place.mine / "pack" / "train").mkdir()
    (place.mine / "pack" / "train" / "Mine.yaml").write_text("# @package train\nppo:\n  gamma: 0.5\n")
    assert composed(["hydra.searchpath=[pkg://pack]", "train=Mine", "--dry-run"]).config.train.ppo.gamma == 0.5
    assert "there is no package pkg://nothing" in refused(["hydra.searchpath=[pkg://nothing]"])
    assert not place.was_imported
