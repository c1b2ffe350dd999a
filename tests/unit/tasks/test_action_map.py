"""Actions move 18 controls, which drive 26 joints."""

import pytest
import torch
from hand_made import HAND, limits
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dexhand.tasks.action_map import ActionMap

NUM_CONTROLS = HAND.num_controls
DT = 0.01
LIMITS = limits()
VELOCITY = torch.tensor([0.5] * 3 + [1.5] * 3 + [1.0] * 12)
unit = st.floats(-1.0, 1.0, width=32)


def action_map(mode: str, base: bool = True, fingers: bool = True) -> ActionMap:
    """The map with BaseTask's limits."""
    return ActionMap(
        mode, hand=HAND, dof_limits=LIMITS, max_velocity=VELOCITY, control_dt=DT, base=base, fingers=fingers
    )


def within(mapping: ActionMap, fractions: list[float]) -> Tensor:
    """Control targets (1, 18) at fractions -1 ... 1 of their ranges."""
    share = (torch.tensor([fractions]) + 1.0) / 2.0
    return mapping.lower + share * (mapping.upper - mapping.lower)


@settings(deadline=None)
@given(
    mode=st.sampled_from(["position", "position_delta"]),
    start=st.lists(unit, min_size=NUM_CONTROLS, max_size=NUM_CONTROLS),
    actions=st.lists(unit, min_size=NUM_CONTROLS, max_size=NUM_CONTROLS),
)
def test_targets_keep_to_position_and_velocity_limits(mode: str, start: list[float], actions: list[float]) -> None:
    """From anywhere, by any action, in both modes."""
    mapping = action_map(mode)
    before = within(mapping, start)
    after = mapping.compute_targets(before, before, torch.tensor([actions]))
    assert bool(((after >= mapping.lower) & (after <= mapping.upper)).all())
    assert bool(((after - before).abs() <= VELOCITY * DT + 1e-6).all())


@settings(deadline=None)
@given(fractions=st.lists(unit, min_size=NUM_CONTROLS, max_size=NUM_CONTROLS))
def test_controls_can_be_read_back_from_joints(fractions: list[float]) -> None:
    """A pose that respects the couplings is the pose of exactly one set of controls."""
    mapping = action_map("position")
    targets = within(mapping, fractions)
    assert torch.equal(mapping.controls(mapping.joints(targets)), targets)


def test_a_delta_of_one_is_the_fastest_change() -> None:
    """0.5 m/s for 10 ms is 5 mm; 1.5 rad/s is 15 mrad; 1 rad/s is 10 mrad."""
    mapping = action_map("position_delta")
    start = within(mapping, [0.0] * NUM_CONTROLS)
    change = mapping.compute_targets(start, start, torch.ones(1, NUM_CONTROLS)) - start
    assert change[0, [0, 3, 6]].tolist() == pytest.approx([0.005, 0.015, 0.01], abs=1e-6)


def test_a_position_is_approached_at_the_fastest_change() -> None:
    """Action 0 means the middle of the range: 0.65 rad for th_mcp, reached in 10 mrad steps."""
    mapping = action_map("position")
    targets = torch.zeros(1, NUM_CONTROLS)
    for _ in range(64):
        targets = mapping.compute_targets(targets, targets, torch.zeros(1, NUM_CONTROLS))
    assert targets[0, 7].item() == pytest.approx(0.64, abs=1e-5)
    targets = mapping.compute_targets(targets, targets, torch.zeros(1, NUM_CONTROLS))
    targets = mapping.compute_targets(targets, targets, torch.zeros(1, NUM_CONTROLS))
    assert targets[0, 7].item() == pytest.approx(0.65, abs=1e-5)


def test_spreading_moves_the_little_finger_twice_as_far() -> None:
    """ff_spr drives the first joints of index, ring and little finger; the middle one's stays at 0."""
    mapping = action_map("position")
    targets = torch.zeros(1, NUM_CONTROLS)
    targets[0, 9] = 0.2
    joints = dict(zip(HAND.dof_names, mapping.joints(targets)[0].tolist()))
    assert joints["r_f_joint2_1"] == joints["r_f_joint4_1"] == pytest.approx(0.2)
    assert joints["r_f_joint5_1"] == pytest.approx(0.4)
    assert joints["r_f_joint3_1"] == 0.0
    assert sum(value != 0.0 for value in joints.values()) == 3


@pytest.mark.parametrize(
    ("base", "fingers", "moving"), [(True, False, range(6)), (False, True, range(6, 18)), (True, True, range(18))]
)
def test_what_the_policy_does_not_control_follows_the_script(base: bool, fingers: bool, moving: range) -> None:
    """The action has as many numbers as there are controls left to the policy."""
    mapping = action_map("position_delta", base, fingers)
    assert mapping.num_actions == len(moving)
    start = within(mapping, [0.0] * NUM_CONTROLS)
    scripted = start + 0.001
    change = mapping.compute_targets(start, scripted, torch.full((1, len(moving)), -1.0)) - start
    assert [i for i in range(NUM_CONTROLS) if change[0, i] < 0] == list(moving)
    others = [i for i in range(NUM_CONTROLS) if i not in moving]
    assert change[0, others].tolist() == pytest.approx([0.001] * len(others), abs=1e-6)
