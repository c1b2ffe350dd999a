"""What the policy can be shown."""

import pytest
import torch
from hand_made import hand_state, sim_state

from dexhand.config.task_schema import BASE_OBSERVATIONS
from dexhand.core import quaternions
from dexhand.hands import hand
from dexhand.tasks.observations import OBSERVATIONS


def test_the_schema_lists_the_observations_there_are() -> None:
    """Both tables hold the same keys."""
    assert set(OBSERVATIONS) == set(BASE_OBSERVATIONS)


@pytest.mark.parametrize("key", sorted(OBSERVATIONS))
def test_each_observation_has_its_size(key: str) -> None:
    """(N, size), float32."""
    value = OBSERVATIONS[key](hand_state(sim_state(num_envs=3)))
    assert value.shape == (3, BASE_OBSERVATIONS[key])
    assert value.dtype == torch.float32


def test_active_finger_joints_come_in_the_order_of_the_actions() -> None:
    """The first joint of each control: th_rot, th_mcp, th_dip, ff_spr ..."""
    state = sim_state()
    state.dof_pos[0] = torch.arange(26.0)
    shown = OBSERVATIONS["active_finger_dof_pos"](hand_state(state))[0].tolist()
    names = [hand.DOF_NAMES[int(index)] for index in shown]
    order = "1_1 1_2 1_3 2_1 2_2 2_3 3_2 3_3 4_2 4_3 5_2 5_3"
    assert [name.replace("r_f_joint", "") for name in names] == order.split()


def test_the_aligned_wrist_is_identity_at_zero_joints() -> None:
    """hand_pose keeps the 90 degrees, hand_pose_arr_aligned does not."""
    s = hand_state(sim_state())
    assert OBSERVATIONS["hand_pose"](s)[0].tolist() == pytest.approx([0, 0, 0.5, 0, 0.5**0.5, 0, 0.5**0.5])
    assert OBSERVATIONS["hand_pose_arr_aligned"](s)[0].tolist() == pytest.approx([0, 0, 0.5, 0, 0, 0, 1], abs=1e-6)


def test_poses_in_the_hands_frame_turn_with_the_hand() -> None:
    """The wrist is turned by 90 degrees about y: 0.2 along world x is 0.2 along its own z."""
    poses = OBSERVATIONS["fingertip_poses_hand"](hand_state(sim_state())).view(5, 7)
    assert poses[0].tolist() == pytest.approx([0, 0, 0.2, 0, 0, 0, 1], abs=1e-6)


def test_poses_in_the_hands_frame_ignore_where_the_hand_is() -> None:
    """Moving and turning everything together changes nothing."""
    state = sim_state()
    state.body_pos[0, 3] = torch.tensor([0.1, 0.05, 0.6])
    before = OBSERVATIONS["fingerpad_poses_hand"](hand_state(state)).clone()
    turn = quaternions.from_rotation_vector(torch.tensor([0.3, -0.8, 1.1]))
    state.body_pos.copy_(quaternions.rotate(turn, state.body_pos) + torch.tensor([1.0, 2.0, 3.0]))
    state.body_quat.copy_(quaternions.multiply(turn, state.body_quat))
    assert torch.allclose(OBSERVATIONS["fingerpad_poses_hand"](hand_state(state)), before, atol=1e-5)


def test_tips_and_pads_are_told_apart() -> None:
    """Bodies 1 to 5 are tips, 6 to 10 are pads, thumb first."""
    state = sim_state()
    state.body_pos[0, :, 1] = torch.arange(11.0)
    s = hand_state(state)
    assert OBSERVATIONS["fingertip_poses_world"](s).view(5, 7)[:, 1].tolist() == [1, 2, 3, 4, 5]
    assert OBSERVATIONS["fingerpad_poses_world"](s).view(5, 7)[:, 1].tolist() == [6, 7, 8, 9, 10]


def test_contact_is_a_force_above_the_threshold() -> None:
    """3-4-0 newtons are 5; the threshold itself is no contact."""
    state = sim_state()
    state.contact_force[0, 0] = torch.tensor([3.0, 4.0, 0.0])
    state.contact_force[0, 1] = torch.tensor([0.0, 0.0, 1.0])
    s = hand_state(state, contact_threshold=1.0)
    assert OBSERVATIONS["contact_force_magnitude"](s)[0].tolist() == [5, 1, 0, 0, 0]
    assert OBSERVATIONS["contact_binary"](s)[0].tolist() == [1, 0, 0, 0, 0]
    assert OBSERVATIONS["contact_forces"](s)[0, :6].tolist() == [3, 4, 0, 0, 0, 1]


def test_durations_are_steps_times_the_control_step() -> None:
    """Two steps of 20 ms."""
    s = hand_state(sim_state(), control_dt=0.02)
    s.memory.contact_steps[0, 2] = 3
    assert OBSERVATIONS["episode_time"](s).item() == pytest.approx(0.04)
    assert OBSERVATIONS["contact_duration"](s)[0].tolist() == pytest.approx([0, 0, 0.06, 0, 0])


def test_finger_targets_follow_the_couplings() -> None:
    """ff_spr at 0.1 commands 0.2 for the little finger's first joint."""
    s = hand_state(sim_state())
    s.memory.targets[0, 9] = 0.1
    targets = dict(zip(hand.FINGER_JOINTS, OBSERVATIONS["all_finger_dof_target"](s)[0].tolist()))
    assert targets["r_f_joint2_1"] == pytest.approx(0.1)
    assert targets["r_f_joint5_1"] == pytest.approx(0.2)
    assert OBSERVATIONS["active_finger_dof_target"](s)[0, 3].item() == pytest.approx(0.1)
