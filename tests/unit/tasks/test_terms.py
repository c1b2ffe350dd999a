"""Terms are declared once, where they are computed."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import torch
from composed import composed
from torch import Tensor

from dexhand.app.build import build_env
from dexhand.hand_env.task_env import TaskEnv
from dexhand.tasks import TASKS, BaseTask, BaseTaskConfig, HandState, TaskState, buffer, failure, option, reward
from dexhand.tasks.terms import Ending, Failure, Reward, config_class_of, terms_of

FOUR_FINGER = Path(__file__).parents[2] / "hands" / "four_finger"


class Derived(BaseTask):
    """Adds a term and overrides one."""

    @reward(weight=0.5)
    def low_wrist(self, state: HandState) -> Tensor:
        """Depth of the wrist.

        Below zero, metres.
        """
        return -state.hand_pos[:, 2]

    def object_height(self, state: HandState) -> Tensor:
        """No declaration of its own."""
        return state.hand_pos[:, 2]


def test_terms_are_inherited_in_the_order_of_their_declaration() -> None:
    """The base's first; an overridden method keeps its place and its declaration."""
    inherited, terms = terms_of(BaseTask, Reward), terms_of(Derived, Reward)
    assert list(terms) == [*inherited, "low_wrist"]
    assert terms["object_height"] == inherited["object_height"]


def test_the_configuration_has_a_weight_for_each_reward() -> None:
    """With the default of the declaration; the first line of the docstring is its help."""
    weights = config_class_of(Derived)().reward_weights
    assert weights.low_wrist == 0.5
    assert weights.alive == 0.0
    assert terms_of(Derived, Reward)["low_wrist"].help == "depth of the wrist"


def test_a_term_without_a_docstring_is_refused() -> None:
    """Its first line is the help."""
    with pytest.raises(TypeError, match="nameless is declared as a term without a docstring"):

        @failure()
        def nameless(self: BaseTask, state: HandState) -> Tensor:
            return state.hand_pos[:, 2] < 0.0


@pytest.mark.parametrize("task", sorted(TASKS))
def test_every_criterion_of_a_task_ends_its_episodes_unless_some_are_chosen(task: str) -> None:
    """An empty list means all."""
    env = build_env(composed(f"task={task}", "sim.backend=mock", "numEnvs=1"))
    assert list(env.task.failure_names) == list(terms_of(TASKS[task], Failure))
    chosen = composed(f"task={task}", "sim.backend=mock", "numEnvs=1", "task.active_failure_criteria=[hitting_ground]")
    assert build_env(chosen).task.failure_names == ("hitting_ground",)


@pytest.mark.parametrize("task", ["BaseTask", "BoxGrasping"])
def test_sizes_follow_from_the_hand(task: str) -> None:
    """A hand with four fingers has fewer pads, pairs of pads, joints and controls."""
    words = [f"task={task}", f"env.hand={FOUR_FINGER}", "sim.backend=mock", "numEnvs=2"]
    env = build_env(composed(*words))
    ours = build_env(composed(f"task={task}", "sim.backend=mock", "numEnvs=2"))
    assert env.reset()[0].shape == (2, env.single_observation_space.shape[0])
    assert env.single_observation_space.shape[0] < ours.single_observation_space.shape[0]


def test_a_task_may_declare_endings() -> None:
    """Each says when it is paid, and whether it is a bonus or a penalty."""

    class Fragile(BaseTask):
        breakage = Ending("subtracted when something breaks", "failure", -1.0)

    config = config_class_of(Fragile)()
    config.reward_weights.breakage = 3.0
    env = build_env(composed("task=BaseTask", "sim.backend=mock", "numEnvs=1"))
    assert isinstance(env, TaskEnv)
    task = Fragile(
        config,
        hand=env.simulator.scene.hand,
        num_envs=1,
        device=torch.device("cpu"),
        control_dt=0.01,
        dof_limits=env.simulator.dof_limits,
    )
    state = env.simulator.state
    state.body_pos[..., 2] = -1.0  # hitting_ground
    result = task.evaluate(state, torch.Generator())
    assert float(result.reward_terms[0, task.reward_names.index("breakage")]) == -3.0


def test_a_decorator_without_brackets_is_refused() -> None:
    """It would declare nothing."""
    with pytest.raises(TypeError, match=r"slow_wrist lacks its brackets"):

        @reward
        def slow_wrist(self: BaseTask, state: HandState) -> Tensor:
            """Slow."""
            return state.hand_pos[:, 2]


class ForgottenBuffers(TaskState):
    goal: Tensor = buffer(3)


@dataclass
class TakenBuffers(TaskState):
    targets: Tensor = buffer(4)


@dataclass
class HidingBuffers(TaskState):
    load: Tensor = buffer(4)


class ForgottenKeys(BaseTaskConfig):
    gain: float = option(1.0, "gain")


@dataclass
class HidingKeys(BaseTaskConfig):
    check: bool = option(True, "hides a method")


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (ForgottenBuffers, "ForgottenBuffers declares goal: decorate the class with @dataclass"),
        (dataclass(type("Derived", (ForgottenBuffers,), {})), "ForgottenBuffers declares goal"),
        (ForgottenKeys, "ForgottenKeys declares gain: decorate the class with @dataclass"),
        (TakenBuffers, "TakenBuffers.targets: TaskState has targets already. Choose another name"),
        (HidingBuffers, "HidingBuffers.load: TaskState has load already. Choose another name"),
        (HidingKeys, "HidingKeys.check: BaseTaskConfig has check already. Choose another name"),
    ],
)
def test_a_field_that_would_be_lost_or_hide_another_is_refused(declared: type, message: str) -> None:
    """Buffers and configuration keys are fields of dataclasses."""
    kind = "buffers_class" if issubclass(declared, TaskState) else "config_class"
    with pytest.raises(TypeError, match=message):
        config_class_of(type("Mine", (BaseTask,), {kind: declared}))


def test_a_task_may_give_an_inherited_key_another_default() -> None:
    """Only buffers must be new."""

    @dataclass
    class Long(BaseTaskConfig):
        episodeLength: int = option(1000, "longer", low=2)

    assert config_class_of(type("Mine", (BaseTask,), {"config_class": Long}))().episodeLength == 1000


def test_a_task_drops_an_inherited_term() -> None:
    """By setting its name to None."""
    assert "hitting_ground" not in terms_of(type("Mine", (BaseTask,), {"hitting_ground": None}), Failure)


NAMES = ["load_state_dict", "check_terms", "advance", "config", "hand", "buffers", "device", "num_envs", "_anything"]


@pytest.mark.parametrize("name", NAMES)
def test_a_term_with_the_name_of_a_member_of_the_task_is_refused(name: str) -> None:
    """It would replace the member, or be replaced by it."""
    mine = type("Mine", (BaseTask,), {name: Ending("subtracted", "failure", -1.0)})
    with pytest.raises(TypeError, match=rf"Mine\.{name}: .* Choose another name"):
        config_class_of(mine)


def test_every_attribute_of_a_task_is_a_declared_member() -> None:
    """So that no term takes its name."""
    env = build_env(composed("task=BlindGrasping", "sim.backend=mock", "numEnvs=1"))
    assert isinstance(env, TaskEnv)
    for name in vars(env.task):
        with pytest.raises(TypeError, match="Choose another name"):
            terms_of(type("Mine", (type(env.task),), {name: Ending("subtracted", "failure", -1.0)}), Ending)


@pytest.mark.parametrize("wrapper", [property, cached_property])
def test_a_term_must_be_a_method(wrapper: "type[Any]") -> None:
    """A property would silently declare nothing."""

    @reward()
    def slow(self: BaseTask, state: HandState) -> Tensor:
        """Slow."""
        return state.hand_pos[:, 2]

    with pytest.raises(TypeError, match=f"Mine.slow: a term must be a method. Take out @{wrapper.__name__}"):
        config_class_of(type("Mine", (BaseTask,), {"slow": wrapper(slow)}))
