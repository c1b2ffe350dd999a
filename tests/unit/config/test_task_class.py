"""Tasks of the user's own, and what is asked of ours."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dexhand.app.build import build_env
from dexhand.config.compose import compose, to_yaml
from dexhand.config.errors import ConfigError

MODULE = '''\
"""A task with terms and a key of its own."""

from dataclasses import dataclass

from dexhand.tasks import BaseTask, BaseTaskConfig, failure, observation, option, reward


@dataclass
class Config(BaseTaskConfig):
    closed_at: float = option(1.0, "joint angle of a fist", unit="rad", above=0)
    angles: dict[str, float] = option({"thumb": 1}, "joint angles")


class MyTask(BaseTask):
    config_class = Config

    @reward(weight=0.5)
    def fist(self, state):
        """Fingers closed."""
        return (state.finger_pos / self.config.closed_at).mean(dim=1)

    @observation(1)
    def mean_angle(self, state):
        """Mean of the finger joints, rad."""
        return state.finger_pos.mean(dim=1, keepdim=True)

    @observation(2)
    def misfit(self, state):
        """Announces two numbers and returns one."""
        return state.finger_pos[:, :1]

    @observation(1)
    def unpacked(self, state):
        """Unpacks too much."""
        one, two = 1, 2, 3

    @reward()
    def precise_reward(self, state):
        """Of double precision."""
        return state.finger_pos[:, 0].double()

    @observation(1)
    def precise(self, state):
        """Of double precision."""
        return state.finger_pos[:, :1].double()

    @failure()
    def open_hand(self, state):
        """No finger is closed."""
        return state.finger_pos.amax(dim=1) < -1.0


class Strange:
    pass


class TwoKinds(BaseTask):
    @observation(1)
    def object_height(self, state):
        """Also the name of a reward."""


NotAClass = 3
'''
YAML = """\
# @package _global_
defaults: [BaseTask, _self_]
task:
  name: MyTask
  module: my_hand_task.py
  reward_weights:
    fist: 2.0
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The user's folder: ``my_hand_task.py`` beside ``conf/task/MyTask.yaml``."""
    before = set(sys.modules)
    (tmp_path / "my_hand_task.py").write_text(MODULE)
    (tmp_path / "conf" / "task").mkdir(parents=True)
    (tmp_path / "conf" / "task" / "MyTask.yaml").write_text(YAML)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def refused(*words: str) -> str:
    """The line with which the user's task is refused."""
    with pytest.raises(ConfigError) as error:
        compose(["task=MyTask", *words], config_dir="conf")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_it_is_played_with_its_own_keys_and_rewards(mine: Path) -> None:
    """Typed and checked like ours."""
    config = compose(["task=MyTask", "task.closed_at=0.5", "sim.backend=mock", "numEnvs=2"], config_dir="conf")
    env = build_env(config)
    assert "fist" in env.reward_names
    assert "failure:open_hand" in env.outcome_names
    assert config.task.closed_at == 0.5  # type: ignore[attr-defined]
    assert config.task.reward_weights.fist == 2.0


def test_a_key_that_is_a_mapping_takes_values_one_by_one(mine: Path) -> None:
    """Beside those of the declaration, in the type of the declaration."""
    task = compose(["task=MyTask", "task.angles.index=2"], config_dir="conf").task
    assert task.angles == {"thumb": 1.0, "index": 2.0}  # type: ignore[attr-defined]
    assert "task.angles.index=x: expected keys with values" in refused("task.angles.index=x")


def test_a_weight_that_no_file_gives_is_that_of_the_declaration(mine: Path) -> None:
    """``@reward(weight=0.5)``."""
    path = mine / "conf" / "task" / "MyTask.yaml"
    path.write_text(path.read_text().replace("fist: 2.0", "alive: 0.0"))
    assert compose(["task=MyTask"], config_dir="conf").task.reward_weights.fist == 0.5


def test_a_reward_of_double_precision_is_refused(mine: Path) -> None:
    """It would make all rewards double."""
    config = compose(["task=MyTask", "task.reward_weights.precise_reward=1", "sim.backend=mock"], config_dir="conf")
    with pytest.raises(ConfigError, match=r"^task=MyTask: reward precise_reward must be torch.float32, but is .*64$"):
        build_env(config)


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ("misfit", r"observation misfit must have shape \(num_envs, 2\) = \(3, 2\), but has \(3, 1\)"),
        ("precise", "observation precise must be torch.float32, but is torch.float64"),
        ("unpacked", r"observation unpacked: too many values to unpack \(expected 2\) \(.*my_hand_task.py, line 35\)"),
    ],
)
def test_a_term_that_fails_or_returns_other_than_declared_is_explained(term: str, message: str, mine: Path) -> None:
    """When the environment is built, in one line."""
    keys = f"task.policy_observation_keys=[{term}]"
    config = compose(["task=MyTask", keys, "sim.backend=mock", "numEnvs=3"], config_dir="conf")
    with pytest.raises(ConfigError, match=f"^task=MyTask: {message}$"):
        build_env(config)


@pytest.mark.parametrize("module", ["my_hand_task", "my_hand_task.py", "./my_hand_task.py"])
def test_the_module_is_named_as_python_or_as_a_path(module: str, mine: Path) -> None:
    """Either finds it in the working folder."""
    config = compose(["task=MyTask", f"task.module={module}"], config_dir="conf")
    assert type(config.task).__module__ == "my_hand_task"


def test_a_saved_configuration_finds_it_again(
    mine: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From another folder, too."""
    config = compose(["task=MyTask", "task.closed_at=0.5"], config_dir="conf")
    (mine / "saved.yaml").write_text(to_yaml(config))
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert compose(config=str(mine / "saved.yaml")) == config


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("task.closed_at=0", ["task.closed_at=0", "> 0, rad"]),
        ("task.closed_att=1", ["there is no key task.closed_att", "Did you mean 'task.closed_at'?"]),
        ("task.reward_weights.fists=1", ["Did you mean 'task.reward_weights.fist'?"]),
        ("task.policy_observation_keys=[mean_angel]", ["=mean_angel is unknown", "Did you mean 'mean_angle'?"]),
        ("task.critic_observation_keys=[mean_angel]", ["=mean_angel is unknown", "Did you mean 'mean_angle'?"]),
        ("task.active_failure_criteria=[open_hnd]", ["=open_hnd is unknown", "Did you mean 'open_hand'?"]),
        ("task.active_success_criteria=[done]", ["task.active_success_criteria=done is unknown. Known: none"]),
        ("task.module=nowhere.py", ["task.module=nowhere.py", "there is no file", "nowhere.py"]),
        ("task.module=no.where", ["task.module=no.where cannot be imported", "No module named 'no'"]),
        ("task.module=json", ["task.module=json: json has no MyTask. It has: "]),
    ],
)
def test_mistakes_are_explained(word: str, parts: list[str], mine: Path) -> None:
    """Key, value and what to do."""
    line = refused(word)
    assert all(part in line for part in parts), line


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Strange", "Strange is not built on dexhand.tasks.BaseTask. Write class Strange(BaseTask)"),
        ("TwoKinds", "TwoKinds.object_height: the observation has the name of an inherited reward"),
        ("NotAClass", "NotAClass is 3, which cannot be called"),
        ("MyTsk", "Did you mean 'MyTask'?"),
    ],
)
def test_a_class_that_is_no_task_is_explained(name: str, part: str, mine: Path) -> None:
    """Before anything is built."""
    path = mine / "conf" / "task" / "MyTask.yaml"
    path.write_text(path.read_text().replace("name: MyTask", f"name: {name}"))
    assert part in refused()


def test_an_error_in_the_module_is_shown(mine: Path) -> None:
    """With its own words."""
    (mine / "my_hand_task.py").write_text("import torch\n1 / 0\n")
    assert "cannot be imported: ZeroDivisionError: division by zero" in refused()


def test_the_standard_library_comes_before_the_working_folder(mine: Path) -> None:
    """A file that is called like one of its modules does not replace it."""
    (mine / "colorsys.py").write_text("1 / 0\n")
    sys.modules.pop("colorsys", None)
    (mine / "my_hand_task.py").write_text(f"import colorsys\n{MODULE}")
    assert compose(["task=MyTask"], config_dir="conf").task.name == "MyTask"


def test_a_default_of_another_type_is_explained(mine: Path) -> None:
    """With the key and the value."""
    (mine / "my_hand_task.py").write_text(MODULE.replace("closed_at: float", "closed_at: int"))
    assert "task.closed_at: its default does not fit its type: Value '1.0'" in refused()


def test_two_files_of_one_name_are_not_mixed_up(mine: Path) -> None:
    """Python knows a module by its name alone."""
    (mine / "other").mkdir()
    (mine / "other" / "my_hand_task.py").write_text(MODULE)
    compose(["task=MyTask"], config_dir="conf")
    assert "another module is called my_hand_task" in refused("task.module=other/my_hand_task.py")


def test_a_task_that_is_nobodys_is_refused_with_the_way_to_one_of_your_own() -> None:
    """``--config-dir`` and ``task.module``."""
    with pytest.raises(ConfigError, match=r"task=MyTask is unknown\. Known: Ant, BaseTask.*--config-dir"):
        compose(["task=MyTask"])


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("task.active_failure_criteria=[hitting_grond]", "Did you mean 'hitting_ground'?"),
        ("task.active_success_criteria=[grasp_lift_sucess]", "Did you mean 'grasp_lift_success'?"),
        ("task.reward_weights.aliv=1", "Did you mean 'task.reward_weights.alive'?"),
    ],
)
def test_a_misspelled_term_of_ours_is_explained(word: str, part: str) -> None:
    """Before anything is built."""
    with pytest.raises(ConfigError) as error:
        compose(["task=BoxGrasping", word])
    assert part in str(error.value)
