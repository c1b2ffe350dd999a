"""The command line."""

import subprocess
import sys
from pathlib import Path

import pytest

from dexhand.app.main import main
from dexhand.config import cli
from dexhand.config.aliases import ALIASES
from dexhand.config.compose import to_yaml
from dexhand.config.errors import ConfigError
from dexhand.config.keys import all_keys
from dexhand.config.schema import Config
from dexhand.config.settings import SavedConfig
from dexhand.config.sources import names_of
from dexhand.files.digest import is_cut, with_digest
from dexhand.tasks import TASKS, BaseTask
from dexhand.tasks.terms import Observation, terms_of


class Saved:
    """The run that ``resume=`` or ``checkpoint=`` names left its configuration in ``<its name>/config.yaml``."""

    def to_resume(self, spec: str, runs_dir: str) -> Path:
        return Path(spec, "config.yaml")

    def behind(self, checkpoint: str, runs_dir: str) -> SavedConfig | None:
        path = Path(checkpoint, "config.yaml")
        return SavedConfig(path) if path.is_file() else None


def parse(argv: list[str]) -> cli.Invocation:
    """Read the command line of one run."""
    invocation = cli.parse(argv, Saved())
    assert isinstance(invocation, cli.Invocation)
    return invocation


def page(argv: list[str]) -> str:
    """The text that a command line asks for."""
    found = cli.parse(argv, Saved())
    assert isinstance(found, cli.Page)
    return found.text


def refused(argv: list[str]) -> str:
    """The line with which a command line is refused."""
    with pytest.raises(ConfigError) as error:
        cli.parse(argv, Saved())
    line = str(error.value)
    assert "\n" not in line
    return line


def test_help_names_every_key_alias_and_choice() -> None:
    """The page is complete."""
    text = page(["--help"])
    missing = [
        word
        for word in [
            *all_keys(),
            *ALIASES,
            *terms_of(BaseTask, Observation),
            "physics=",
            "--dry-run",
            "--config-name",
            "-cd",
        ]
        if word not in text
    ]
    assert missing == []


def test_help_shows_the_chosen_tasks_values() -> None:
    """Of its terms, its files and the command line."""
    text = page(["--help", "task=BlindGrasping", "numEnvs=7"])
    assert "task.reward_weights.s1_completion=500.0" in text
    assert "env.numEnvs=7" in text
    assert "task.reward_weights.object_to_goal" not in text
    assert "Did you mean 'task'?" in refused(["--help", "tsk=BlindGrasping"])


def test_a_key_with_dashes_is_shown_without() -> None:
    """As users of other programs write it."""
    assert refused(["--task=BaseTask"]) == "--task=BaseTask: keys have no dashes. Write task=BaseTask"


def test_the_folder_of_a_run_is_no_configuration(tmp_path: Path) -> None:
    """But the file in it is, and is named."""
    (tmp_path / "config.yaml").write_text(to_yaml(parse([]).config))
    assert f"Name the file in it: config={tmp_path / 'config.yaml'}" in refused([f"config={tmp_path}"])


def test_every_key_is_explained() -> None:
    """No key without a meaning."""
    assert [name for name, key in all_keys().items() if len(key.help) < 5] == []


@pytest.mark.parametrize(
    "argv", [["config=test", "checkpoint=x"], ["-cn", "test", "checkpoint=x"], ["--config-name=test", "checkpoint=x"]]
)
def test_a_whole_configuration_is_chosen_in_each_way(argv: list[str]) -> None:
    """As in the user documents."""
    assert parse(argv).config.train.testGamesNum == 50


def test_a_runs_folder_runs_again(tmp_path: Path) -> None:
    """The saved configuration is used, not ours of the same name."""
    first = parse(["numEnvs=7", "seed=-1"]).config
    (tmp_path / "config.yaml").write_text(to_yaml(first))
    assert parse(["--config-dir", str(tmp_path), "--config-name", "config"]).config == first
    assert parse(["-cd", str(tmp_path)]).config == first


def test_dry_run_is_noted() -> None:
    """It is a flag, not a key."""
    assert parse(["--dry-run"]).dry_run
    assert not parse([]).dry_run


def test_a_run_that_goes_on_has_its_own_configuration(tmp_path: Path) -> None:
    """Keys on the command line change it."""
    first = parse(["task=BlindGrasping", "numEnvs=7", "train.resume=weights"]).config
    (tmp_path / "config.yaml").write_text(to_yaml(first))
    invocation = parse([f"resume={tmp_path}", "maxIter=77", "task=BlindGrasping"])
    assert invocation.resume == str(tmp_path)
    first.train.maxIterations = 77
    assert invocation.config == first


def test_a_run_of_another_task_does_not_go_on(tmp_path: Path) -> None:
    """Naming the task is a check, not a choice."""
    (tmp_path / "config.yaml").write_text(to_yaml(parse(["task=BlindGrasping"]).config))
    line = refused([f"resume={tmp_path}", "task=BaseTask"])
    assert "is a run of task=BlindGrasping, not task=BaseTask" in line


@pytest.mark.parametrize(
    ("word", "recorded"),
    [
        ("seed=7", "train.seed=42"),
        ("train.network.units=[8]", "train.network.units=[512, 256, 128]"),
        ("train.network={activation:relu}", "train.network.activation=elu"),
        ("train.resume=weights", "train.resume=exact"),
        ("train.experimentName=mine", "train.experimentName=None"),
    ],
)
def test_what_matters_at_the_start_is_not_changed_in_a_run_that_goes_on(
    word: str, recorded: str, tmp_path: Path
) -> None:
    """It would have no effect, or another one than in the training so far."""
    (tmp_path / "config.yaml").write_text(to_yaml(parse([]).config))
    line = refused([f"resume={tmp_path}", word])
    assert word in line
    assert f"continues with {recorded}" in line
    assert f"config={tmp_path}/config.yaml checkpoint={tmp_path} train.resume=weights" in line


def test_what_matters_at_the_start_may_be_repeated(tmp_path: Path) -> None:
    """And everything else be changed."""
    (tmp_path / "config.yaml").write_text(to_yaml(parse([]).config))
    words = ["seed=42", "train.network.units=[512,256,128]", "train.ppo.learning_rate=0.1", "maxIter=7"]
    config = parse([f"resume={tmp_path}", *words]).config
    assert (config.train.ppo.learning_rate, config.train.maxIterations) == (0.1, 7)


class TestASavedConfigurationThatIsNotWhole:
    @pytest.fixture
    def saved(self, tmp_path: Path) -> Path:
        """The ``config.yaml`` of a run."""
        path = tmp_path / "config.yaml"
        path.write_text(with_digest(to_yaml(parse(["task=BlindGrasping", "numEnvs=7"]).config)))
        return path

    def test_wherever_it_is_cut_it_is_refused(self, saved: Path) -> None:
        """No value is silently another one."""
        text = saved.read_text()
        for kept in range(1, len(text) - 1):
            assert is_cut(text[:kept])
        for line in (1, 3, len(text.splitlines()) - 1):
            saved.write_text("".join(text.splitlines(keepends=True)[:line]))
            for argv in ([f"resume={saved.parent}"], [f"config={saved}"], ["test=true", f"checkpoint={saved.parent}"]):
                assert f"{saved} is not complete: its last line" in refused(argv)

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (b"", "config.yaml is empty"),
            (bytes(3000), "config.yaml cannot be read"),
            (b"task: {name: [\n", "config.yaml, line 2: "),
        ],
    )
    def test_one_that_holds_nothing_is_refused(self, saved: Path, content: bytes, problem: str) -> None:
        """A test does not play another task instead."""
        saved.write_bytes(content)
        assert problem in refused(["test=true", f"checkpoint={saved.parent}"])
        refused([f"resume={saved.parent}"])

    def test_one_that_was_changed_is_used_and_the_change_reported(self, saved: Path) -> None:
        """Editing it is allowed."""
        assert parse([f"resume={saved.parent}"]).warnings == ()
        saved.write_text(saved.read_text().replace("maxIterations: ", "maxIterations: 1"))
        resumed = parse([f"resume={saved.parent}"])
        assert "config.yaml was changed since" in resumed.warnings[0]
        assert "config.yaml was changed since" in parse(["test=true", f"checkpoint={saved.parent}"]).warnings[0]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["env.numEnvs=abc"], "env.numEnvs=abc"),
        (["--dryrun"], "Did you mean '--dry-run'?"),
        (["-cn"], "-cn/--config-name/--config: expected one argument"),
        (["--config-dir", "/nowhere"], "no such folder"),
        (["--config-dir="], "no such folder"),
        (["config="], "config= is unknown. Known: config, "),
        (["config=test", "-cn", "debug"], "config=test and config=debug"),
        (["resume=latest", "config=test"], "exclude each other"),
        (["resume=latest", "checkpoint=latest"], "train.checkpoint= cannot be given with it"),
        (["resume=latest", "physics=fast"], "physics= cannot be given with it"),
        (["resume=weights"], "train.resume=weights"),
        (["resume=latest", "runsDir=5"], "there is no training run in"),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(argv: list[str], words: str, capsys: pytest.CaptureFixture) -> None:
    """Nothing on standard output."""
    code = main(argv)
    printed = capsys.readouterr()
    assert code == 2
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert words in printed.err


def test_no_slow_import_is_needed() -> None:
    """Neither composing nor refusing imports torch, numpy or a simulator."""
    code = (
        "import sys; from dexhand.app.main import main; main(['--cfg', 'job']); main(['numEnvz=1'])\n"
        "print([name for name in ('torch', 'numpy', 'mujoco', 'rl_games', 'gymnasium') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.fixture(scope="module")
def config() -> Config:
    """A configuration."""
    return parse(["numEnvs=8"]).config


class TestShowing:
    """``--cfg`` prints what ``--dry-run`` would, without looking for checkpoints."""

    @pytest.mark.parametrize("flag", [["--cfg", "job"], ["--cfg=job"], ["-c", "job"], ["--cfg", "job", "--resolve"]])
    def test_the_whole_configuration(self, flag: list[str], config: Config) -> None:
        """It reads back as the configuration it is of."""
        assert page([*flag, "numEnvs=8"]) == to_yaml(config)

    @pytest.mark.parametrize(
        ("key", "shown"),
        [
            ("train.ppo", "gamma: 0.9\n"),
            ("task.policy_observation_keys", "- hand_pose\n"),
            ("env.num_envs", "8\n"),
            ("env.handAsset", "null\n"),
            ("train.test", "false\n"),
            ("sim.dt", "0.005\n"),
        ],
    )
    def test_a_section_or_a_value(self, key: str, shown: str, config: Config) -> None:
        """In any spelling."""
        text = to_yaml(config, key)
        assert shown in text
        assert text == shown or key in ("train.ppo", "task.policy_observation_keys")

    def test_a_section_of_the_command_lines_configuration(self) -> None:
        """With ``--package``."""
        assert page(["-c", "job", "--package=env.numEnvs", "numEnvs=1"]) == "1\n"

    @pytest.mark.parametrize(
        "argv",
        [
            ["--cfg", "hydra"],
            ["--cfg"],
            *(["--cfg", "job", "-p", name] for name in ("nothing", "train.__class__", "task.check", "train.seed.real")),
        ],
    )
    def test_what_there_is_not(self, argv: list[str]) -> None:
        """One line."""
        refused(argv)


class TestSweeps:
    def jobs(self, *argv: str) -> list[cli.Invocation]:
        sweep = cli.parse(argv, Saved())
        assert isinstance(sweep, cli.Sweep)
        return list(sweep.jobs)

    def test_one_job_for_each_combination(self) -> None:
        """The last key changes fastest; everything else is the same in all."""
        jobs = self.jobs("--multirun", "seed=1,2", "numEnvs=8", "task=BaseTask,BoxGrasping")
        assert [(job.config.train.seed, job.config.task.name, job.config.env.numEnvs) for job in jobs] == [
            (1, "BaseTask", 8),
            (1, "BoxGrasping", 8),
            (2, "BaseTask", 8),
            (2, "BoxGrasping", 8),
        ]
        assert parse(list(jobs[-1].argv)).config == jobs[-1].config

    @pytest.mark.parametrize(
        ("word", "values"),
        [("seed=range(1,4)", [1, 2, 3]), ("seed=choice(5,7)", [5, 7]), ("seed=3", [3]), ("train.seed=1,2", [1, 2])],
    )
    def test_hydras_ways_to_give_several_values(self, word: str, values: list[int]) -> None:
        """Also in short form."""
        assert [job.config.train.seed for job in self.jobs("-m", word)] == values

    def test_a_glob_asks_what_there_is(self) -> None:
        """Of our presets."""
        assert [job.config.sim.mujoco.substeps for job in self.jobs("-m", "physics=glob(*)", "task=BaseTask")] == [
            *(5, 2, 1)
        ]

    def test_a_glob_finds_tasks(self, tmp_path: Path) -> None:
        """Each of ours, and those in the folder of ``--config-dir``."""
        (tmp_path / "task").mkdir()
        (tmp_path / "task" / "Mine.yaml").write_text("# @package _global_\ndefaults: [BaseTask, _self_]\n")
        assert [job.config.task.name for job in self.jobs("-m", "task=glob(*)")] == [
            name for name in names_of("task") if name != "gymnasium"
        ]
        assert len(self.jobs("-m", "task=glob([B*,Mine])", f"--config-dir={tmp_path}")) == len(TASKS) + 1

    def test_lists_stay_lists(self) -> None:
        """Commas in brackets separate elements."""
        jobs = self.jobs("-m", "train.network.units=[8,8],[16]")
        assert [job.config.train.network.units for job in jobs] == [[8, 8], [16]]

    @pytest.mark.parametrize(
        ("argv", "part"),
        [
            (["-m", "seed=1,2", "numEnvs=8,0"], "env.numEnvs=0 is out of range"),
            (["-m", "resume=latest"], "--multirun and resume exclude each other"),
            (["-m", "--cfg", "job"], "--multirun and --cfg exclude each other"),
            (["-m", "seed=interval(0,1)"], "cannot be listed"),
            (["-m", "seed=range(0,1e12)"], "cannot be listed"),
            (["-m", "seed=shuffle(range(1e12,0,-1))"], "cannot be listed"),
            (["-m", "seed=range(0,900)", "numEnvs=8,16"], "more than 1000 jobs"),
            (["seed=1,2"], "--multirun"),
        ],
    )
    def test_mistakes_are_found_before_the_first_job_begins(self, argv: list[str], part: str) -> None:
        """Whichever job they are in."""
        assert part in refused(argv)


class TestTheTaskOfARunThatIsPlayed:
    @pytest.fixture
    def trained(self, tmp_path: Path) -> Path:
        """A run of BlindGrasping with a heavy box, a slow control loop and other gains."""
        words = ["task=BlindGrasping", "task.box.mass=0.3", "env.controlDecimation=4", "actuators=manufacturer"]
        (tmp_path / "config.yaml").write_text(to_yaml(parse([*words, "sim.backend=mock", "numEnvs=7"]).config))
        return tmp_path

    def test_it_need_not_be_given(self, trained: Path) -> None:
        """Task, hand and control rate are the run's; simulator and number of environments are not."""
        played = parse(["test=true", f"checkpoint={trained}"])
        config = played.config
        assert (config.task.name, config.task.box.mass) == ("BlindGrasping", 0.3)
        assert (config.env.controlDecimation, config.env.actuators.fingers.stiffness, config.sim.dt) == (4, None, 0.01)
        assert (config.sim.backend, config.env.numEnvs) == ("auto", 4)
        assert played.warnings == (f"task=BlindGrasping, which {trained.name} was trained for",)

    def test_the_command_line_says_otherwise(self, trained: Path) -> None:
        """Key by key, and for presets."""
        words = ["test=true", f"checkpoint={trained}", "task.box.mass=0.2", "actuators=compliant", "physics=fast"]
        config = parse(words).config
        assert (config.task.name, config.task.box.mass) == ("BlindGrasping", 0.2)
        assert (config.env.actuators.fingers.stiffness, config.sim.mujoco.substeps) == (50.0, 1)

    def test_the_task_may_be_given_too(self, trained: Path) -> None:
        """It changes nothing."""
        invocation = parse(["test=true", f"checkpoint={trained}", "task=BlindGrasping"])
        assert invocation.config.task.box.mass == 0.3
        assert invocation.config == parse(["test=true", f"checkpoint={trained}"]).config

    def test_even_a_task_of_ones_own_that_no_file_declares(self, trained: Path) -> None:
        """Its run tells all about it."""
        file, module = trained / "config.yaml", trained / "mine.py"
        file.write_text(file.read_text().replace("name: BlindGrasping", "name: Mine"))
        module.touch()
        words = ["test=true", f"checkpoint={trained}", f"task.module={module}", "--dry-run"]
        assert parse([*words, "task=Mine"]).config.task.name == "Mine"
        with pytest.raises(ConfigError, match="task=Another"):
            parse([*words, "task=Another"])

    def test_another_task_is_played_with_its_own_settings(self, trained: Path) -> None:
        """And what is dropped is said."""
        invocation = parse(["test=true", f"checkpoint={trained}", "task=BoxGrasping"])
        assert (invocation.config.task.name, invocation.config.task.box.mass) == ("BoxGrasping", 0.1)
        dropped = f"task=BoxGrasping drops the task, hand and control rate of {trained.name}, task=BlindGrasping"
        assert dropped in invocation.warnings

    def test_a_training_is_of_the_task_that_is_given(self, trained: Path) -> None:
        """Fine-tuning on another task begins with ``checkpoint=``, too."""
        assert parse([f"checkpoint={trained}"]).config.task.name == "BaseTask"

    def test_nothing_is_known_of_a_single_file(self, tmp_path: Path) -> None:
        """Then the task is the default."""
        assert parse(["test=true", f"checkpoint={tmp_path}/policy.pth"]).config.task.name == "BaseTask"
