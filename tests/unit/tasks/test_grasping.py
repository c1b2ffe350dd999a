"""BlindGrasping and BoxGrasping against states made by hand."""

import math
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
from composed import composed
from hand_made import HAND, limits, sim_state
from torch import Tensor

from dexhand.config.errors import ConfigError
from dexhand.hand_env.interfaces import SimState, StepResult
from dexhand.tasks import TASKS, BaseTask
from dexhand.tasks.blind_grasping.task import BlindGrasping
from dexhand.tasks.terms import Observation, terms_of

NAMES = ("BlindGrasping", "BoxGrasping")
PAD_PAIRS = ((0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4))
BOX = (0.2, 0.0, 0.025)
"""Where the box lies in these states: below the pads of ``sim_state``."""


def scene(num_envs: int = 1) -> SimState:
    """A box at rest on the ground, pads and tips at its height and 4 cm around it, nothing in contact."""
    state = sim_state(num_envs)
    state.body_pos[:, 1:] = torch.tensor(BOX)
    around = [(0.0, 0.04), (0.0, -0.04), (0.03, -0.03), (0.1, 0.0), (0.1, 0.05)]
    for finger, (x, y) in enumerate(around):
        for body in (1 + finger, 6 + finger):
            state.body_pos[:, body, :2] += torch.tensor([x, y])
    state.body_pos[:, 0] = torch.tensor([0.1, 0.0, 0.2])
    return SimState(
        **{
            **vars(state),
            "object_pos": torch.tensor(BOX).repeat(num_envs, 1, 1),
            "object_quat": torch.tensor([0.0, 0.0, 0.0, 1.0]).repeat(num_envs, 1, 1),
            "object_linvel": torch.zeros(num_envs, 1, 3),
            "object_angvel": torch.zeros(num_envs, 1, 3),
            "object_contact_force": torch.tensor([0.0, 0.0, 0.981]).repeat(num_envs, 1, 1),
        }
    )


def touch(state: SimState, *fingers: int) -> SimState:
    """Let fingers (thumb = 0) press with 2 N each."""
    for finger in fingers:
        state.contact_force[:, finger, 2] = 2.0
    state.object_contact_force[:, 0, 0] = 2.0
    return state


def lifted(state: SimState, height: float) -> SimState:
    """The box and all pads and tips at ``height``."""
    state.object_pos[:, 0, 2] = height
    state.body_pos[:, 1:, 2] = height
    return state


def task(name: str = "BlindGrasping", num_envs: int = 1, **settings: Any) -> Any:
    """A task whose episodes have begun in ``scene``."""
    overrides = [f"task.{key}={value}" for key, value in settings.items()]
    config = composed(f"task={name}", *overrides).task
    made = TASKS[name](
        config, hand=HAND, num_envs=num_envs, device=torch.device("cpu"), control_dt=0.02, dof_limits=limits()
    )
    made.reset(torch.ones(num_envs, dtype=torch.bool), scene(num_envs), torch.Generator())
    return made


def play(made: BaseTask, state: SimState, steps: int) -> StepResult:
    """The result of the last of some control steps in the same state."""
    for _ in range(steps):
        made.dof_targets(torch.zeros(made.num_envs, made.num_actions))
        result = made.evaluate(state, torch.Generator())
    return result


def terms(made: BaseTask, result: StepResult) -> dict[str, float]:
    """Weighted reward terms of environment 0 by name."""
    return dict(zip(made.reward_names, result.reward_terms[0].tolist()))


def failures(made: BaseTask, result: StepResult) -> list[str]:
    """Failure criteria that hold in environment 0."""
    return [name for name, holds in zip(made.failure_names, result.failure[0].tolist()) if holds]


class TestObservations:
    @pytest.mark.parametrize(("name", "size", "critic_size"), [("BlindGrasping", 158, 182), ("BoxGrasping", 155, 174)])
    def test_only_the_critic_sees_the_box(self, name: str, size: int, critic_size: int) -> None:
        """Moving the box changes nothing that the policy sees."""
        made, state = task(name), scene()
        assert made.num_observations == size
        assert made.num_critic_observations == critic_size
        before = made.observe(state)
        state.object_pos.add_(1.0)
        after = made.observe(state)
        assert torch.equal(after.policy, before.policy)
        assert not torch.equal(after.critic, before.critic)

    @pytest.mark.parametrize("name", NAMES)
    def test_every_observation_has_its_size(self, name: str) -> None:
        """Also those that no list names."""
        made, state = task(name), scene()
        sizes = {key: term.size_for(HAND) for key, term in terms_of(TASKS[name], Observation).items()}
        shown = made.hand_state(state)
        assert {key: getattr(made, key)(shown).shape[1] for key in sizes} == sizes

    @pytest.mark.parametrize("key", ["box_pose", "box_velocity", "box_contact", "holding_time", "pregrasp", "grasp"])
    def test_the_policy_may_not_list_what_a_hand_cannot_sense(self, key: str) -> None:
        """The error names the key and the list where it belongs."""
        with pytest.raises(ConfigError, match=rf"task.policy_observation_keys={key}: .*task.critic_observation_keys"):
            composed("task=BlindGrasping", f"task.policy_observation_keys=[hand_pose,{key}]")

    def test_the_critic_knows_how_far_the_grasp_is(self) -> None:
        """Stage 1 of 3, the hand around the box, thumb and index on it."""
        keys = "[stage_one_hot,pregrasp,grasp,box_contact]"
        made = task(critic_observation_keys=keys)
        assert made.observe(touch(scene(), 0, 1)).critic[0].tolist() == [1, 0, 0, 1, 1, 1, 1, 0, 0, 0]

    def test_pads_are_seen_in_relation_to_each_other(self) -> None:
        """Thumb and index are 8 cm apart; the middle of three pads lies 1 cm from the box's centre."""
        made, state = task(), scene()
        s = made.hand_state(state)
        distances = dict(zip(PAD_PAIRS, made.fingerpad_distances(s)[0].tolist()))
        assert distances[0, 1] == pytest.approx(0.08)
        assert distances[3, 4] == pytest.approx(0.05)
        centroid = made.first_three_fingerpad_centroid(s)[0].tolist()
        assert centroid == pytest.approx([0.21, -0.01, 0.025])


class TestStages:
    def test_stage_1_lasts_four_seconds(self) -> None:
        """200 control steps of 20 ms."""
        made = task()
        play(made, scene(), 199)
        assert made.buffers.stage.item() == 1
        play(made, scene(), 1)
        assert (made.buffers.stage.item(), made.buffers.stage_steps.item()) == (2, 0)

    def test_stage_2_ends_after_half_a_second_of_felt_contact(self) -> None:
        """Thumb and another finger, 25 control steps without a break."""
        made = task()
        play(made, scene(), 200)
        play(made, touch(scene(), 0, 1), 24)
        play(made, touch(scene(), 0), 1)
        play(made, touch(scene(), 0, 3), 24)
        assert made.buffers.stage.item() == 2
        play(made, touch(scene(), 0, 3), 1)
        assert made.buffers.stage.item() == 3

    def test_stage_2_ends_after_three_seconds_anyway(self) -> None:
        """150 control steps."""
        made = task()
        play(made, scene(), 200 + 149)
        assert made.buffers.stage.item() == 2
        assert failures(made, play(made, scene(), 1)) == ["stage2_contact_failed", "stage3_grasp_lost"]
        assert made.buffers.stage.item() == 3

    def test_progress_is_seen(self) -> None:
        """Half of stage 1 after 100 steps; 1 in stage 3."""
        made = task(policy_observation_keys="[current_stage,time_in_stage,stage_progress]")
        assert play(made, scene(), 100).observations.policy[0].tolist() == pytest.approx([1.0, 2.0, 0.5])
        play(made, scene(), 100)
        held = touch(scene(), 0, 1)
        assert play(made, held, 26).observations.policy[0].tolist() == pytest.approx([3.0, 0.02, 1.0])

    def test_a_new_episode_starts_in_stage_1(self) -> None:
        """Only where it begins."""
        made = task(num_envs=2)
        play(made, scene(2), 200)
        made.reset(torch.tensor([True, False]), scene(2), torch.Generator())
        assert made.buffers.stage.tolist() == [1, 2]


def off_height(state: SimState) -> None:
    """The thumb 4 cm above the box's centre."""
    state.body_pos[:, 6, 2] += 0.04


def off_centre(state: SimState) -> None:
    """Three pads 9 cm beside the box."""
    state.body_pos[:, 6:9, 0] += 0.09


def moved(state: SimState) -> None:
    """The box 2 cm from where it stood; the pads with it."""
    state.object_pos[:, 0, 0] += 0.02
    state.body_pos[:, 6:9, 0] += 0.02


def moving(state: SimState) -> None:
    """The box at 1 cm/s."""
    state.object_linvel[:, 0, 1] = 0.01


class TestPregrasp:
    def test_it_ends_well_around_an_undisturbed_box(self) -> None:
        """500 are paid, once; nothing fails."""
        made = task()
        result = play(made, scene(), 200)
        assert failures(made, result) == []
        assert terms(made, result)["s1_completion"] == 500.0
        assert terms(made, play(made, scene(), 1))["s1_completion"] == 0.0

    @pytest.mark.parametrize("spoil", [off_height, off_centre, moved, moving])
    def test_each_condition_can_fail_it(self, spoil: Any) -> None:
        """In the step in which stage 1 ends, and not before."""
        made, state = task(), scene()
        spoil(state)
        assert failures(made, play(made, state, 199)) == []
        result = play(made, state, 1)
        assert failures(made, result) == ["stage1_pregrasp_failed"]
        assert terms(made, result)["s1_completion"] == 0.0


class TestContact:
    def test_a_finger_touches_the_box_if_it_feels_something_near_it_that_is_pressed(self) -> None:
        """Fingers 3 and 4 are 10 cm away; a box on which nothing presses is touched by nobody."""
        made = task()
        assert made.hand_state(touch(scene(), 0, 1, 3)).box_contact[0].tolist() == [True, True, False, False, False]
        free = touch(scene(), 0, 1)
        free.object_contact_force.zero_()
        assert not made.hand_state(free).box_contact.any()

    @pytest.mark.parametrize(("name", "distance"), [("BlindGrasping", 0.05196), ("BoxGrasping", 0.0433)])
    def test_near_is_half_the_space_diagonal_times_a_factor(self, name: str, distance: float) -> None:
        """1.2 for BlindGrasping, 1 for BoxGrasping."""
        made = task(name)
        for offset, near in ((-0.0002, True), (0.0002, False)):
            state = touch(scene(), 0)
            state.body_pos[0, 6] = torch.tensor(BOX) + torch.tensor([0.0, distance + offset, 0.0])
            assert made.hand_state(state).thumb_contact.item() is near


class TestSuccess:
    @pytest.mark.parametrize("name", NAMES)
    def test_holding_the_box_up_for_two_seconds_succeeds(self, name: str) -> None:
        """100 control steps above 0.2 m in two fingers, without a break."""
        made = task(name, episodeLength=1000)
        held = touch(lifted(scene(), 0.21), 1, 2)
        assert not play(made, held, 99).success.any()
        assert play(made, held, 1).success.all()
        play(made, touch(lifted(scene(), 0.19), 1, 2), 1)
        assert made.buffers.holding_steps.item() == 0

    def test_one_finger_is_not_enough(self) -> None:
        """min_fingers_for_grasp is 2."""
        made = task()
        play(made, touch(lifted(scene(), 0.21), 0), 5)
        assert made.buffers.holding_steps.item() == 0

    @pytest.mark.parametrize(("name", "largest"), [("BlindGrasping", 0.8), ("BoxGrasping", 0.6)])
    def test_a_box_out_of_reach_fails(self, name: str, largest: float) -> None:
        """Farther from the wrist than max_box_distance."""
        made, state = task(name), scene()
        for distance, out in ((largest - 0.01, []), (largest + 0.01, ["box_too_far"])):
            state.object_pos[0, 0] = state.body_pos[0, 0] + torch.tensor([distance, 0.0, 0.0])
            assert failures(made, play(made, state, 1)) == out


class TestRewards:
    def test_stage_1(self) -> None:
        """Pads at the box's height; the centroid is sqrt(2) cm off; the thumb is not turned yet."""
        made = task()
        paid = terms(made, play(made, scene(), 1))
        assert paid["s1_height_alignment"] == pytest.approx(0.3)
        assert paid["s1_centroid_positioning"] == pytest.approx(1.0 * math.exp(-5 * 0.01 * 2**0.5), abs=1e-5)
        assert paid["s1_object_stability"] == pytest.approx(0.2)
        assert paid["s1_finger_height_consistency"] == pytest.approx(0.4)
        assert paid["s1_thumb_rotation"] == pytest.approx(0.3 * math.exp(-5 * math.pi / 2), abs=1e-6)
        assert [name for name, value in paid.items() if value and not name.startswith("s1")] == []

    def test_stage_1_with_everything_a_little_off(self) -> None:
        """Thumb pad 3 cm up: mean height 0.6 cm, variance 3e-4 m2; box 1 cm away at 1 cm/s; thumb at 90 degrees."""
        made, state = task(), scene()
        state.body_pos[0, 6, 2] += 0.03
        state.object_pos[0, 0, 1] += 0.01
        state.object_linvel[0, 0, 0] = 0.01
        state.dof_pos[0, 6] = math.pi / 2
        paid = terms(made, play(made, state, 1))
        assert paid["s1_height_alignment"] == pytest.approx(0.3 * math.exp(-5 * 0.006), abs=1e-5)
        assert paid["s1_object_stability"] == pytest.approx(0.2 * math.exp(-2.0), abs=1e-5)
        assert paid["s1_finger_height_consistency"] == pytest.approx(0.4 * math.exp(-50 * 3e-4), abs=1e-5)
        assert paid["s1_thumb_rotation"] == pytest.approx(0.3)

    def test_stage_2(self) -> None:
        """Thumb and index touch; the nearest tip is 4 cm away; the wrist moves at 0.5 m/s in all joints together."""
        made = task()
        play(made, scene(), 200)
        state = touch(scene(), 0, 1)
        state.dof_vel[0, :2] = torch.tensor([0.3, 0.4])
        paid = terms(made, play(made, state, 1))
        assert paid["s2_thumb_contact"] == 1.5
        assert paid["s2_other_fingers_contact"] == 1.0
        assert paid["s2_grasp_achievement"] == 5.0
        assert paid["s2_fingerpad_proximity"] == pytest.approx(2.5 * math.exp(-0.4), abs=1e-5)
        assert paid["s2_base_stability"] == pytest.approx(2.0 * math.exp(-1.5), abs=1e-5)
        assert paid["s1_height_alignment"] == 0.0

    def test_stage_3(self) -> None:
        """Half way up: (0.1135 - 0.027) / (0.2 - 0.027) = 0.5; then held up for one second of two."""
        made = task()
        play(made, scene(), 200)
        result = play(made, touch(scene(), 0, 1), 25)
        assert terms(made, result)["s2_completion"] == 1000.0
        paid = terms(made, play(made, touch(lifted(scene(), 0.1135), 0, 1), 1))
        assert paid["s3_object_height"] == pytest.approx(5.0, abs=1e-4)
        assert paid["s3_grasp_maintenance"] == 10.0
        paid = terms(made, play(made, touch(lifted(scene(), 0.3), 0, 1), 50))
        assert paid["s3_object_height"] == 10.0
        assert paid["s3_grasp_duration"] == pytest.approx(1.0)

    def test_a_tip_inside_the_box_costs(self) -> None:
        """5 mm inside the inscribed sphere of 2.5 cm: 100 * 0.005 * 100 = 50."""
        made, state = task(), scene()
        state.body_pos[0, 4] = torch.tensor(BOX) + torch.tensor([0.02, 0.0, 0.0])
        assert terms(made, play(made, state, 1))["penetration_penalty"] == pytest.approx(-50.0, abs=1e-3)

    def test_box_grasping(self) -> None:
        """Thumb and index hold the box half way up, for one second if it is high enough."""
        made = task("BoxGrasping")
        paid = terms(made, play(made, touch(lifted(scene(), 0.1125), 0, 1), 1))
        assert paid["object_height"] == pytest.approx(0.5, abs=1e-5)
        assert paid["multi_finger_contact"] == 2.0
        assert paid["single_finger_contact"] == 0.0
        assert paid["fingerpad_to_box_centroid"] == pytest.approx(math.exp(-32 * 0.01 * 2**0.5), abs=1e-5)
        distances = [0.04, 0.04, 0.03 * 2**0.5, 0.1, math.hypot(0.1, 0.05)]
        assert paid["finger_to_object"] == pytest.approx(0.05 * math.exp(-5 * sum(distances) / 5), abs=1e-5)
        assert terms(made, play(made, touch(scene(), 1), 1))["single_finger_contact"] == 0.5
        assert terms(made, play(made, touch(lifted(scene(), 0.3), 0, 1), 50))["grasp_duration"] == pytest.approx(5.0)


def test_a_term_that_needs_more_of_the_hand_names_it() -> None:
    """The weight, the hand and what its spec lacks; without the term the hand will do."""
    for weight in (0.3, 0.0):
        overrides = ["task=BlindGrasping", f"task.reward_weights.s1_thumb_rotation={weight}"]
        made = BlindGrasping(
            composed(*overrides).task,
            hand=replace(HAND, thumb_opposition=None),
            num_envs=1,
            device=torch.device("cpu"),
            control_dt=0.02,
            dof_limits=limits(),
        )
        message = r"s1_thumb_rotation=0.3: env.hand=dexhand021_right has no thumb_opposition"
        with pytest.raises(ValueError, match=message) if weight else nullcontext():
            made.check_terms(scene())


class TestReset:
    def poses(self, name: str) -> "tuple[Tensor, Tensor]":
        """Joints and boxes of 400 episodes."""
        pose = task(name, num_envs=400).reset_pose(torch.Generator().manual_seed(0))
        return pose.dof_pos, pose.object_pose[:, 0]

    def test_blind_grasping_begins_anywhere_within_limits_and_couplings(self) -> None:
        """Wrist +-0.2 m and +-45 degrees, fingers partly closed, joint3_1 at 0."""
        joints, _ = self.poses("BlindGrasping")
        lower, upper = limits().unbind(1)
        assert bool(((joints >= lower - 1e-6) & (joints <= upper + 1e-6)).all())
        column = {name: joints[:, i] for i, name in enumerate(HAND.dof_names)}
        assert 0.15 < float(column["ARTx"].abs().max()) <= 0.2
        assert 0.6 < float(column["ARRz"].abs().max()) <= math.pi / 4 + 1e-6
        assert 1.4 < float(column["r_f_joint1_1"].max()) <= math.pi / 2 + 1e-6
        assert torch.equal(column["r_f_joint5_1"], 2 * column["r_f_joint2_1"])
        assert torch.equal(column["r_f_joint2_3"], column["r_f_joint2_4"])
        assert not column["r_f_joint3_1"].any()

    def test_the_box_lies_within_two_centimetres_turned_by_any_angle(self) -> None:
        """BlindGrasping: 2 mm above the ground, any yaw."""
        _, box = self.poses("BlindGrasping")
        assert 0.018 < float(box[:, :2].abs().max()) <= 0.02
        assert bool((box[:, 2] == torch.tensor(0.027)).all())
        assert not box[:, 3:5].any()
        yaw = 2 * torch.atan2(box[:, 5], box[:, 6])
        assert float(yaw.min()) < -2.8
        assert float(yaw.max()) > 2.8

    def test_box_grasping_begins_with_an_open_hand_and_a_straight_box(self) -> None:
        """All joints at 0, no yaw, on the ground."""
        joints, box = self.poses("BoxGrasping")
        assert not joints.any()
        assert torch.equal(box[:, 3:], torch.tensor([0.0, 0.0, 0.0, 1.0]).repeat(400, 1))
        assert bool((box[:, 2] == 0.025).all())


@pytest.mark.parametrize(("fingers", "least"), [(2, 2), (4, 5)])
def test_a_hand_with_too_few_fingers_is_refused(fingers: int, least: int) -> None:
    """Three pads surround the box; ``min_fingers_for_grasp`` may ask for more."""
    config = composed("task=BoxGrasping", f"task.min_fingers_for_grasp={least}").task
    hand = replace(HAND, fingers=HAND.fingers[:fingers])
    with pytest.raises(ValueError, match=f"has {fingers} fingers; task=BoxGrasping needs 3 or more"):
        TASKS["BoxGrasping"](
            config, hand=hand, num_envs=1, device=torch.device("cpu"), control_dt=0.02, dof_limits=limits()
        )
