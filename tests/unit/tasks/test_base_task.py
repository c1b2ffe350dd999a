"""BaseTask puts terms, criteria and buffers together."""

from typing import Any

import pytest
import torch
from composed import composed
from hand_made import HAND, limits, sim_state
from torch import Tensor

from dexhand.hand_env.interfaces import SimState
from dexhand.tasks import BaseTask, BaseTaskConfig, HandState, observation, reward, success


def config(**changes: Any) -> BaseTaskConfig:
    """BaseTask's configuration with some keys changed."""
    values = composed().task
    for name, value in changes.items():
        setattr(values, name, value)
    return values


def task(cls: type = BaseTask, num_envs: int = 2, **changes: Any) -> BaseTask:
    """A task whose episodes have begun at zero joints."""
    made = cls(
        config(**changes),
        hand=HAND,
        num_envs=num_envs,
        device=torch.device("cpu"),
        control_dt=0.01,
        dof_limits=limits(),
    )
    made.reset(torch.ones(num_envs, dtype=torch.bool), sim_state(num_envs), torch.Generator())
    return made


def step(made: BaseTask, state: SimState, action: float = 0.0) -> Any:
    """One control step that leaves the hand as it is."""
    made.dof_targets(torch.full((made.num_envs, made.num_actions), action))
    return made.evaluate(state, torch.Generator())


class TestCriteria:
    @pytest.mark.parametrize(
        ("body", "threshold"), [(0, "handbase_threshold"), (3, "fingertip_threshold"), (8, "fingerpad_threshold")]
    )
    def test_wrist_tips_and_pads_have_a_threshold_each(self, body: int, threshold: str) -> None:
        """Below its own threshold a body hits the ground; the others' thresholds do not matter."""
        state = sim_state(2)
        state.body_pos[1, body, 2] = 0.1
        assert step(task(**{threshold: 0.15}), state).failure.tolist() == [[False], [True]]
        assert step(task(**{threshold: 0.05}), state).failure.tolist() == [[False], [False]]

    def test_time_is_up_after_all_steps_but_one(self) -> None:
        """EpisodeLength 4 ends after 3 steps."""
        made = task(episodeLength=4)
        assert [step(made, sim_state(2)).timeout.tolist() for _ in range(3)] == [[False] * 2, [False] * 2, [True] * 2]


class ReachingTask(BaseTask):
    """Success above 0.6 m; the wrist sinks by itself, the policy has the fingers."""

    @success()
    def high(self, state: HandState) -> Tensor:
        """The wrist is high."""
        return state.hand_pos[:, 2] > 0.6

    def scripted_targets(self, targets: Tensor) -> Tensor:
        """1 mm down."""
        lower = targets.clone()
        lower[:, 2] -= 0.001
        return lower


class TestEndings:
    def test_endings_are_paid_once_success_before_failure_before_timeout(self) -> None:
        """Environment 0 succeeds and fails at once, 1 fails when time is up, 2 just runs out of time."""
        made = task(ReachingTask, num_envs=3, episodeLength=2)
        state = sim_state(3)
        state.body_pos[0, 0, 2] = 0.7
        state.body_pos[[0, 1], 3, 2] = -0.1
        terms = step(made, state).reward_terms
        endings = {name: terms[:, made.reward_names.index(name)].tolist() for name in made.reward_names[-3:]}
        assert endings == {
            "termination_success": [10, 0, 0],
            "termination_failure_penalty": [0, -5, 0],
            "termination_timeout_penalty": [0, 0, 0],
        }

    def test_a_task_built_on_it_adds_criteria_and_rules(self) -> None:
        """Success is named after its criterion; the rule moves what the policy does not control."""
        made = task(ReachingTask, policy_controls_hand_base=False)
        assert made.success_names == ("high",)
        assert made.num_actions == 12
        targets = made.dof_targets(torch.zeros(2, 12))
        assert targets[:, 2].tolist() == pytest.approx([-0.001] * 2)


class TestTerms:
    def test_only_weighted_terms_are_computed(self) -> None:
        """A weight of 0 takes a term out; the endings stay."""
        weights = config().reward_weights
        weights.alive = 0.0
        made = task(reward_weights=weights)
        assert "alive" not in made.reward_names
        assert made.reward_names[-1] == "termination_timeout_penalty"

    def test_observations_come_in_the_order_asked_for(self) -> None:
        """And are as long as announced."""
        made = task(policy_observation_keys=["episode_time", "hand_pose"])
        observations = step(made, sim_state(2)).observations.policy
        assert made.num_observations == observations.shape[1] == 8
        assert observations[0].tolist()[:4] == pytest.approx([0.01, 0, 0, 0.5])

    def test_the_policy_sees_224_numbers_by_default(self) -> None:
        """BaseTask's own choice."""
        assert task().num_observations == 224


class TestBuffers:
    def test_targets_start_where_the_joints_are(self) -> None:
        """So that nothing jumps when an episode begins."""
        made = task()
        state = sim_state(2)
        state.dof_pos[1, 2] = 0.25
        made.reset(torch.tensor([False, True]), state, torch.Generator())
        assert made.buffers.targets[:, 2].tolist() == [0.0, 0.25]

    def test_only_the_environments_that_begin_are_cleared(self) -> None:
        """The others keep timers, targets and actions."""
        made = task()
        step(made, sim_state(2), action=1.0)
        kept = {name: tensor[0].clone() for name, tensor in made.buffers.tensors().items()}
        made.reset(torch.tensor([False, True]), sim_state(2), torch.Generator())
        assert all(torch.equal(tensor[0], kept[name]) for name, tensor in made.buffers.tensors().items())
        assert made.buffers.steps.tolist() == [1, 0]
        assert made.buffers.actions[1].abs().sum() == 0

    def test_unbroken_contact_is_counted_from_one(self) -> None:
        """A step without contact starts anew."""
        made, touching = task(), sim_state(2)
        touching.contact_force[0, 1, 2] = 5.0
        counts = []
        for state in (touching, touching, sim_state(2), touching):
            step(made, state)
            counts.append(made.buffers.contact_steps[0, 1].item())
        assert counts == [1, 2, 0, 1]

    def test_observing_advances_nothing(self) -> None:
        """Observe may be called any number of times."""
        made = task()
        step(made, sim_state(2))
        before = made.state_dict()
        made.observe(sim_state(2))
        after = made.state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before)

    def test_its_state_is_a_copy_and_can_be_put_back(self) -> None:
        """Later steps do not change what was taken."""
        made = task()
        step(made, sim_state(2), action=0.5)
        state = made.state_dict()
        expected = {name: tensor.clone() for name, tensor in state.items()}
        step(made, sim_state(2), action=-1.0)
        assert all(torch.equal(state[name], expected[name]) for name in state)
        made.load_state_dict(state)
        assert all(torch.equal(made.state_dict()[name], expected[name]) for name in state)

    def test_a_state_of_an_earlier_version_is_loaded(self) -> None:
        """There the scripted targets had another name."""
        made = task()
        state = {name: value + 1 for name, value in made.state_dict().items()}
        former = {"rule_targets" if name == "scripted_targets" else name: value for name, value in state.items()}
        made.load_state_dict(former)
        assert torch.equal(made.state_dict()["scripted_targets"], state["scripted_targets"])


def test_terms_see_velocities_of_the_step_before() -> None:
    """What a control step stores is one step old in the next."""
    made = task()
    fast = sim_state(2)
    fast.body_linvel[:, 0, 0] = 2.0
    step(made, fast)
    assert made.buffers.hand_linvel[0].tolist() == [2.0, 0.0, 0.0]


def test_the_buffers_of_older_checkpoints_are_read() -> None:
    """They call the scripted targets rule_targets."""
    made = task()
    step(made, sim_state(2), action=0.5)
    saved = made.state_dict()
    old = {"rule_targets" if name == "scripted_targets" else name: tensor for name, tensor in saved.items()}
    fresh = task()
    fresh.load_state_dict(old)
    assert all(torch.equal(saved[name], tensor) for name, tensor in fresh.state_dict().items())


class TestCritic:
    def test_it_sees_what_the_policy_sees_unless_keys_are_given(self) -> None:
        """None, and no size."""
        made = task()
        assert made.num_critic_observations == 0
        assert made.observe(sim_state(2)).critic is None

    def test_it_sees_its_own_keys_in_their_order(self) -> None:
        """The policy's are another list."""
        made = task(critic_observation_keys=["episode_time", "hand_pose"], policy_observation_keys=["hand_pose"])
        seen = made.observe(sim_state(2))
        assert seen.critic is not None
        assert made.num_critic_observations == 8
        assert torch.equal(seen.critic[:, 1:], seen.policy)


class WrongShapes(BaseTask):
    """Terms that do not return what they declare."""

    @observation(3)
    def wrist_height(self, state: HandState) -> Tensor:
        """Height of the wrist."""
        return state.hand_pos[:, 2:]

    @reward()
    def high(self, state: HandState) -> Tensor:
        """Height of the wrist."""
        return state.hand_pos[:, 2:]

    @success()
    def far(self, state: HandState) -> Tensor:
        """Any coordinate is large."""
        return state.hand_pos > 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"policy_observation_keys": ["wrist_height"]},
            r"observation wrist_height must have shape \(num_envs, 3\) = \(2, 3\), but has \(2, 1\)",
        ),
        ({}, r"criterion far must have shape \(num_envs\) = \(2,\), but has \(2, 3\)"),
    ],
)
def test_a_term_of_another_shape_than_declared_is_refused(changes: dict[str, Any], message: str) -> None:
    """With the term's name and both shapes."""
    made = task(WrongShapes, **changes)
    with pytest.raises(ValueError, match=message):
        made.check_terms(sim_state(2))
