"""Tasks of Gymnasium on the command line."""

from pathlib import Path

import pytest

from dexhand.app.build import contract_of
from dexhand.config.compose import compose, to_yaml
from dexhand.config.errors import ConfigError
from dexhand.config.help import help_text
from dexhand.tasks.gymnasium_tasks import AnyGymnasiumConfig, GymnasiumConfig


def task_of(*words: str) -> GymnasiumConfig:
    """The section ``task`` of a command line."""
    task = compose(words).task
    assert isinstance(task, GymnasiumConfig)
    return task


def test_keys_are_the_arguments_of_gymnasium() -> None:
    """In Gymnasium's spelling, with its defaults."""
    task = task_of("task=Ant", "task.ctrlCostWeight=0.1", "task.max_episode_steps=500")
    assert task.environment == "Ant-v5"
    assert task.arguments()["ctrl_cost_weight"] == 0.1
    assert task.arguments()["max_episode_steps"] == 500
    assert task.arguments()["healthy_z_range"] == [0.2, 1.0]
    assert "xml_file" not in task.arguments()


@pytest.mark.parametrize(
    ("value", "package", "name"),
    [
        ("gymnasium:Pendulum-v1", None, "Pendulum-v1"),
        ("gymnasium:my_envs/Mine-v0", None, "my_envs/Mine-v0"),
        ("gymnasium:my_package.envs:Mine-v0", "my_package.envs", "Mine-v0"),
    ],
)
def test_any_environment_is_chosen_by_its_name(value: str, package: str | None, name: str) -> None:
    """With the package that registers it, if it has one."""
    task = task_of(f"task={value}", "task.kwargs.g=9.0")
    assert (task.package, task.environment, task.arguments()) == (package, name, {"g": 9.0})


def test_a_run_can_be_composed_again(tmp_path: Path) -> None:
    """From its ``config.yaml``, which lists no keys of hands."""
    for number, words in enumerate([["task=Humanoid"], ["task=gymnasium:Pendulum-v1", "task.kwargs.g=9.0"]]):
        config, file = compose(words), tmp_path / f"{number}.yaml"
        file.write_text(to_yaml(config))
        again = compose(config=str(file))
        assert (to_yaml(again), again.task, again.train) == (to_yaml(config), config.task, config.train)
        assert not {"hand:", "physx:", "actuators:"} & set(to_yaml(config).split())
    assert isinstance(config.task, AnyGymnasiumConfig)
    assert config.subject == "Pendulum-v1"


@pytest.mark.parametrize("word", ["env.hand=dexhand021_left", "physics=fast", "sim.backend=mujoco", "sim.dt=0.01"])
def test_keys_of_hands_are_refused(word: str) -> None:
    """On the command line, where they would have no effect."""
    with pytest.raises(ConfigError, match=f"^{word} has no effect on task=Ant"):
        compose(["task=Ant", word])


def test_threads_can_be_chosen() -> None:
    """They step Gymnasium's environments, too."""
    assert compose(["task=Ant", "sim.mujoco.threads=2"]).sim.mujoco.threads == 2


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["task=gymnasium"], ["task.id=null", "task=gymnasium:Pendulum-v1"]),
        (["task=gymnasium:no such name"], ["task=gymnasium:NAME"]),
        (["task=Ant", "task.healthy_z_range=[1.0]"], ["task.healthy_z_range=[1.0]", "two numbers"]),
        (["task=Ant", "task.ctrl_cost=1"], ["Did you mean 'task.ctrl_cost_weight'?"]),
        (["task=Ant", "task.episodeLength=9"], ["task.episodeLength=9", "the chosen task has no task.episodeLength"]),
    ],
)
def test_mistakes_are_errors_of_one_line(words: list[str], parts: list[str]) -> None:
    """Which say what to write."""
    with pytest.raises(ConfigError) as error:
        compose(words)
    assert all(part in str(error.value) for part in parts), str(error.value)


def test_help_shows_what_has_an_effect() -> None:
    """Keys of the task, none of hands."""
    text = help_text(compose(["task=Ant"]))
    assert "task.ctrl_cost_weight=0.5" in text
    assert "sim.mujoco.threads=0" in text
    assert "env.hand=" not in text
    assert "sim.dt=" not in text


def test_the_page_of_all_tasks_says_whose_keys_are_whose() -> None:
    """And what to write for any environment."""
    text = " ".join(help_text().split())
    assert "Humanoid, gymnasium:NAME" in text
    assert "control steps (a whole number >= 1) [gymnasium only]" in text
    assert "[Ant, Humanoid only]" in text


def test_the_contract_of_a_checkpoint_names_what_the_policy_sees() -> None:
    """A policy of ants that feel contacts does not fit others."""
    assert contract_of(compose(["task=Ant", "task.include_cfrc_ext_in_observation=false"])) == {
        "env.factory": None,
        "task.name": "Ant",
        "task.exclude_current_positions_from_observation": True,
        "task.include_cfrc_ext_in_observation": False,
    }
