"""What the policy can be shown."""

import pytest
import torch
from hand_made import HAND, base_task, sim_state
from torch import Tensor

from dexhand.core import quaternions
from dexhand.hand_env.interfaces import SimState
from dexhand.tasks import BaseTask
from dexhand.tasks.terms import Observation, terms_of

OBSERVATIONS = terms_of(BaseTask, Observation)


def observed(key: str, state: SimState, task: BaseTask | None = None) -> Tensor:
    """One observation."""
    task = task or base_task(len(state.dof_pos))
    value: Tensor = getattr(task, key)(task.hand_state(state))
    return value


@pytest.mark.parametrize("key", sorted(OBSERVATIONS))
def test_each_observation_has_its_size(key: str) -> None:
    """(N, size), float32."""
    value = observed(key, sim_state(num_envs=3))
    assert value.shape == (3, OBSERVATIONS[key].size_for(HAND))
    assert value.dtype == torch.float32


def test_active_finger_joints_come_in_the_order_of_the_actions() -> None:
    """The first joint of each control: th_rot, th_mcp, th_dip, ff_spr ..."""
    state = sim_state()
    state.dof_pos[0] = torch.arange(26.0)
    shown = observed("active_finger_dof_pos", state)[0].tolist()
    names = [HAND.dof_names[int(index)] for index in shown]
    order = "1_1 1_2 1_3 2_1 2_2 2_3 3_2 3_3 4_2 4_3 5_2 5_3"
    assert [name.replace("r_f_joint", "") for name in names] == order.split()


def test_the_aligned_wrist_is_identity_at_zero_joints() -> None:
    """hand_pose keeps the 90 degrees, hand_pose_arr_aligned does not."""
    s = sim_state()
    assert observed("hand_pose", s)[0].tolist() == pytest.approx([0, 0, 0.5, 0, 0.5**0.5, 0, 0.5**0.5])
    assert observed("hand_pose_arr_aligned", s)[0].tolist() == pytest.approx([0, 0, 0.5, 0, 0, 0, 1], abs=1e-6)


def test_poses_in_the_hands_frame_turn_with_the_hand() -> None:
    """The wrist is turned by 90 degrees about y: 0.2 along world x is 0.2 along its own z."""
    poses = observed("fingertip_poses_hand", sim_state()).view(5, 7)
    assert poses[0].tolist() == pytest.approx([0, 0, 0.2, 0, 0, 0, 1], abs=1e-6)


def test_poses_in_the_hands_frame_ignore_where_the_hand_is() -> None:
    """Moving and turning everything together changes nothing."""
    state = sim_state()
    state.body_pos[0, 3] = torch.tensor([0.1, 0.05, 0.6])
    before = observed("fingerpad_poses_hand", state).clone()
    turn = quaternions.from_rotation_vector(torch.tensor([0.3, -0.8, 1.1]))
    state.body_pos.copy_(quaternions.rotate(turn, state.body_pos) + torch.tensor([1.0, 2.0, 3.0]))
    state.body_quat.copy_(quaternions.multiply(turn, state.body_quat))
    assert torch.allclose(observed("fingerpad_poses_hand", state), before, atol=1e-5)


def test_tips_and_pads_are_told_apart() -> None:
    """Bodies 1 to 5 are tips, 6 to 10 are pads, thumb first."""
    state = sim_state()
    state.body_pos[0, :, 1] = torch.arange(11.0)
    s = state
    assert observed("fingertip_poses_world", s).view(5, 7)[:, 1].tolist() == [1, 2, 3, 4, 5]
    assert observed("fingerpad_poses_world", s).view(5, 7)[:, 1].tolist() == [6, 7, 8, 9, 10]


def test_contact_is_a_force_above_the_threshold() -> None:
    """3-4-0 newtons are 5; the threshold itself is no contact."""
    state = sim_state()
    state.contact_force[0, 0] = torch.tensor([3.0, 4.0, 0.0])
    state.contact_force[0, 1] = torch.tensor([0.0, 0.0, 1.0])
    s, task = state, base_task(contact_binary_threshold=1.0)
    assert observed("contact_force_magnitude", s, task)[0].tolist() == [5, 1, 0, 0, 0]
    assert observed("contact_binary", s, task)[0].tolist() == [1, 0, 0, 0, 0]
    assert observed("contact_forces", s, task)[0, :6].tolist() == [3, 4, 0, 0, 0, 1]


def test_durations_are_steps_times_the_control_step() -> None:
    """Two steps of 20 ms."""
    task = base_task(control_dt=0.02)
    task.buffers.contact_steps[0, 2] = 3
    assert observed("episode_time", sim_state(), task).item() == pytest.approx(0.04)
    assert observed("contact_duration", sim_state(), task)[0].tolist() == pytest.approx([0, 0, 0.06, 0, 0])


def test_finger_targets_follow_the_couplings() -> None:
    """ff_spr at 0.1 commands 0.2 for the little finger's first joint."""
    task = base_task()
    task.buffers.targets[0, 9] = 0.1
    targets = dict(zip(HAND.finger_joints, observed("all_finger_dof_target", sim_state(), task)[0].tolist()))
    assert targets["r_f_joint2_1"] == pytest.approx(0.1)
    assert targets["r_f_joint5_1"] == pytest.approx(0.2)
    assert observed("active_finger_dof_target", sim_state(), task)[0, 3].item() == pytest.approx(0.1)
