"""Reward terms against states computed by hand."""

import math

import pytest
import torch
from hand_made import base_task, limits, sim_state

from dexhand.hand_env.interfaces import SimState
from dexhand.tasks import BaseTask
from dexhand.tasks.rewards import HandRewards
from dexhand.tasks.terms import Reward, terms_of

TERMS = terms_of(HandRewards, Reward)


def value(name: str, state: SimState, task: BaseTask | None = None) -> float:
    """One term of one environment."""
    task = task or base_task()
    return float(getattr(task, name)(task.hand_state(state)))


def test_every_term_has_its_largest_value_at_rest_but_joint_limit() -> None:
    """Zero joints, nothing moves, nothing near the ground: 1, and 0.81 for 19 joints at their lower limit."""
    for name in TERMS:
        expected = 0.81 if name == "joint_limit" else 1.0
        assert value(name, sim_state()) == pytest.approx(expected, abs=1e-4), name


def test_the_largest_reward_of_base_task_is_2_25() -> None:
    """With all joints in the middle of their ranges."""
    from dexhand.config.compose import compose

    weights = vars(compose().task.reward_weights)
    state = sim_state()
    state.dof_pos[0, 6:] = limits()[6:].mean(1)
    total = sum(weights[name] * value(name, state) for name in TERMS)
    assert total == pytest.approx(2.25, abs=1e-3)


def test_height_safety_looks_at_the_lowest_tip() -> None:
    """At 5 cm: 1 - exp(-20 * 0.03) = 0.451; at 2 cm and below: 0."""
    state = sim_state()
    state.body_pos[0, 4, 2] = 0.05
    assert value("height_safety", state) == pytest.approx(1 - math.exp(-0.6))
    state.body_pos[0, 4, 2] = 0.01
    assert value("height_safety", state) == 0.0


def test_velocities_are_measured_by_their_norm() -> None:
    """3-4-0 is 5: exp(-0.5), exp(-1), exp(-1)."""
    state = sim_state()
    state.dof_vel[0, 6:8] = torch.tensor([3.0, 4.0])
    state.body_linvel[0, 0] = torch.tensor([3.0, 4.0, 0.0])
    state.body_angvel[0, 0] = torch.tensor([0.0, 4.0, 3.0])
    assert value("finger_velocity", state) == pytest.approx(math.exp(-0.5))
    assert value("hand_velocity", state) == pytest.approx(math.exp(-1.0))
    assert value("hand_angular_velocity", state) == pytest.approx(math.exp(-1.0))


def test_the_wrists_joints_do_not_count_as_fingers() -> None:
    """finger_velocity starts behind the six base joints."""
    state = sim_state()
    state.dof_vel[0, :6] = 9.0
    assert value("finger_velocity", state) == 1.0


def test_joint_limit_counts_the_outer_fifth_of_the_range() -> None:
    """One of 20 joints at 90 % of the way from the middle to its limit costs (0.9 - 0.8) / 20."""
    state = sim_state()
    state.dof_pos[0, 6:] = limits()[6:].mean(1)
    state.dof_pos[0, 6] = 2.2 / 2 * 1.9
    assert value("joint_limit", state) == pytest.approx(1 - 0.1 / 20, abs=1e-4)


@pytest.mark.parametrize(
    ("term", "field", "decay"),
    [
        ("finger_acceleration", "finger_vel", 2.0),
        ("hand_acceleration", "hand_linvel", 0.5),
        ("hand_angular_acceleration", "hand_angvel", 0.5),
    ],
)
def test_acceleration_is_the_change_since_the_last_control_step(term: str, field: str, decay: float) -> None:
    """0.3 and 0.4 change to 0: exp(-decay * 0.5). Nothing has changed in the first step of an episode."""
    task = base_task()
    getattr(task.buffers, field)[0, :2] = torch.tensor([0.3, 0.4])
    assert value(term, sim_state(), task) == pytest.approx(math.exp(-decay * 0.5))
    task.buffers.steps.fill_(1)
    assert value(term, sim_state(), task) == 1.0


def test_contact_stability_counts_bodies_whose_contact_changed() -> None:
    """Thumb began, index ceased, middle stays: exp(-2). The limit is 0.1 N whatever the task's threshold."""
    state = sim_state()
    state.contact_force[0, [0, 2], 2] = 0.2
    task = base_task(contact_binary_threshold=1.0)
    task.buffers.touching[0, [1, 2]] = True
    assert value("contact_stability", state, task) == pytest.approx(math.exp(-2.0))
    task.buffers.steps.fill_(1)
    assert value("contact_stability", state, task) == 1.0
