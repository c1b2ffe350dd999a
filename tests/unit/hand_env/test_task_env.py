"""Simulator and task together keep the contract of an environment."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from composed import composed
from torch import Generator, Tensor

from dexhand.app.build import build_env
from dexhand.core.interfaces import VecEnv
from dexhand.hand_env.interfaces import Observations, ResetPose, Scene, SimState, StepResult
from dexhand.hand_env.task_env import TaskEnv
from dexhand.testing.scenes import RIGHT_HAND
from dexhand.testing.vec_env import VecEnvConformance


class TestBlindGraspingOnTheMock(VecEnvConformance):
    def make_env(self, num_envs: int) -> VecEnv:
        """Stage 1 is over, and lost, after 0.2 s."""
        settings = ["task=BlindGrasping", "sim.backend=mock", f"numEnvs={num_envs}", "task.stage1_duration=0.2"]
        return build_env(composed(*settings))


class TestBoxGraspingOnTheMock(VecEnvConformance):
    def make_env(self, num_envs: int) -> VecEnv:
        """Short episodes."""
        settings = ["task=BoxGrasping", "sim.backend=mock", f"numEnvs={num_envs}", "task.episodeLength=9"]
        return build_env(composed(*settings))


class TestOnMujoco(VecEnvConformance):
    def make_env(self, num_envs: int) -> VecEnv:
        """BaseTask with short episodes."""
        return build_env(composed("sim.backend=mujoco", f"numEnvs={num_envs}", "task.episodeLength=9"))


class ScriptedSimulator:
    """Nothing moves; counts what is asked of it."""

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.device = torch.device("cpu")
        self.scene = Scene(RIGHT_HAND)
        self.control_dt = 0.01
        self.dof_names: tuple[str, ...] = ()
        self.dof_limits = torch.zeros(0, 2)
        empty = torch.zeros(num_envs, 0, 3)
        self.state = SimState(*([empty] * 12))
        self.resets: list[list[bool]] = []

    def step(self, dof_targets: Tensor) -> None:
        """Nothing."""

    def reset(self, mask: Tensor, dof_pos: Tensor, object_pose: Tensor) -> None:
        """Note who was reset."""
        self.resets.append(mask.tolist())

    def render(self, env_id: int, camera: str = "default", width: int = 640, height: int = 480) -> np.ndarray:
        """Black."""
        return np.zeros((height, width, 3), np.uint8)

    def state_dict(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class ScriptedTask:
    """Observations say where they come from: (environment, step in the episode, number of the episode).

    Environment i fails after i + 2 steps; environment 0 succeeds in the same step, and times out, too.
    """

    num_observations = 3
    num_critic_observations = 1
    num_actions = 2
    reward_names = ("progress", "bonus")
    success_names = ("arrived",)
    failure_names = ("fell",)

    def __init__(self, num_envs: int) -> None:
        self.env_id = torch.arange(num_envs, dtype=torch.float32)
        self.steps = torch.zeros(num_envs)
        self.episode = torch.zeros(num_envs)

    def dof_targets(self, actions: Tensor) -> Tensor:
        """Remember the actions."""
        self.actions = actions
        return actions

    def evaluate(self, state: SimState, generator: Generator) -> StepResult:
        """Advance by one step."""
        self.steps += 1
        over = self.steps >= self.env_id + 2
        return StepResult(
            observations=self.observe(state),
            reward_terms=torch.stack((self.steps, self.actions.sum(1)), dim=1),
            success=(over & (self.env_id == 0))[:, None],
            failure=over[:, None],
            timeout=over,
        )

    def observe(self, state: SimState) -> Observations:
        """Where and when; the critic sees the number of the episode, times 10."""
        seen = torch.stack((self.env_id, self.steps, self.episode), dim=1)
        return Observations(seen, critic=10.0 * seen[:, 2:])

    def reset_pose(self, generator: Generator) -> ResetPose:
        """Nowhere."""
        return ResetPose(torch.zeros(len(self.env_id), 0), torch.zeros(len(self.env_id), 0, 7))

    def reset(self, mask: Tensor, state: SimState, generator: Generator) -> None:
        """A new episode."""
        self.steps[mask] = 0
        self.episode[mask] += 1

    def state_dict(self) -> dict[str, Tensor]:
        """Counters."""
        return {"steps": self.steps.clone(), "episode": self.episode.clone()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Counters."""
        self.steps, self.episode = state["steps"].clone(), state["episode"].clone()


@pytest.fixture
def scripted() -> TaskEnv:
    """Two environments of the scripted task, reset."""
    env = TaskEnv(ScriptedSimulator(2), ScriptedTask(2))
    env.reset()
    return env


STILL = torch.zeros(2, 2)


def test_an_ended_episode_gives_the_next_ones_first_observation(scripted: TaskEnv) -> None:
    """And keeps its own last one in final_observation; nobody else is touched."""
    scripted.step(STILL)
    observations, _, terminated, truncated, info = scripted.step(STILL)
    assert observations.tolist() == [[0, 0, 2], [1, 2, 1]]
    assert info["final_observation"].tolist() == [[0, 2, 1], [1, 2, 1]]
    assert terminated.tolist() == [True, False]
    assert truncated.tolist() == [False, False]
    assert scripted.simulator.resets[-1] == [True, False]


def test_the_critic_sees_the_same_moment_as_the_policy(scripted: TaskEnv) -> None:
    """After an automatic reset that of the new episode, where there was one; the last row is of episode 1."""
    assert scripted.single_critic_observation_space is not None
    assert scripted.single_critic_observation_space.shape == (1,)
    assert scripted.reset()[1]["critic_observations"].tolist() == [[20], [20]]
    scripted.step(STILL)
    assert scripted.step(STILL)[4]["critic_observations"].tolist() == [[30], [20]]


def test_success_goes_before_failure_before_timeout(scripted: TaskEnv) -> None:
    """The outcome names the first criterion that holds."""
    outcomes = [scripted.step(STILL)[4]["outcome"].tolist() for _ in range(3)]
    assert scripted.outcome_names == ("success:arrived", "failure:fell", "timeout", "failure:diverged")
    assert outcomes == [[-1, -1], [0, -1], [-1, 1]]


def test_nobody_is_reset_when_no_episode_ended(scripted: TaskEnv) -> None:
    """A reset is asked for only where there is something to reset."""
    scripted.step(STILL)
    assert len(scripted.simulator.resets) == 1


def test_the_reward_adds_up_the_terms(scripted: TaskEnv) -> None:
    """Step 1, actions 0.25 + 0.5."""
    rewards = scripted.step(torch.tensor([[0.25, 0.5], [0.0, 0.0]]))[1]
    assert rewards.tolist() == [1.75, 1.0]


def test_numpy_actions_are_taken(scripted: TaskEnv) -> None:
    """As Gymnasium's ``action_space.sample()`` gives them."""
    scripted.step(scripted.action_space.sample())
    assert scripted.task.actions.shape == (2, 2)


def test_the_environments_of_bad_actions_are_named(scripted: TaskEnv) -> None:
    """By their indices."""
    with pytest.raises(ValueError, match=r"environments \[1\]"):
        scripted.step(torch.tensor([[0.0, 0.0], [0.0, float("inf")]]))


def test_the_final_pose_is_that_before_episodes_begin_anew() -> None:
    """A copy of where everything stood when the task judged the step; nothing is kept unless it is asked for."""
    env = build_env(composed("sim.backend=mock", "task=BoxGrasping", "numEnvs=2", "task.episodeLength=3"))
    env.keep_final_pose = True
    judged = []
    evaluate = env.task.evaluate

    def watched(state: SimState, generator: Generator) -> StepResult:
        judged.append((state.dof_pos.clone(), state.object_pos.clone(), state.object_quat.clone()))
        return evaluate(state, generator)

    env.task.evaluate = watched  # type: ignore[method-assign]
    env.reset()
    ended = torch.zeros(2, dtype=torch.bool)
    poses = []
    while not bool(ended.all()):
        *_, ended, _ = env.step(torch.ones(2, 18))
        assert env.final_pose is not None
        poses.append(env.final_pose)
    assert not torch.equal(env.simulator.state.dof_pos, judged[-1][0])
    for pose, (dof_pos, object_pos, object_quat) in zip(poses, judged):
        assert torch.equal(pose.dof_pos, dof_pos)
        assert torch.equal(pose.object_pose, torch.cat((object_pos, object_quat), dim=2))
    assert build_env(composed("sim.backend=mock", "numEnvs=1")).keep_final_pose is False


class DivergingTask(ScriptedTask):
    """In the first step of its first episode environment 1 has ``bad`` in one of its results."""

    def __init__(self, place: str, bad: float) -> None:
        super().__init__(2)
        self.place = place
        self.bad = bad

    def evaluate(self, state: SimState, generator: Generator) -> StepResult:
        """Spoil it."""
        result = super().evaluate(state, generator)
        if self.place == "state":
            state.dof_pos[1] = self.bad
        elif self.episode[1] == 1:
            parts = {**vars(result.observations), "reward": result.reward_terms}
            parts[self.place][1, 0] = self.bad
        return result


class TestDivergence:
    """``Critic`` and ``policy`` are the observations of each."""

    @pytest.mark.parametrize("bad", [float("nan"), float("-inf"), 1e11])
    @pytest.mark.parametrize("place", ["state", "policy", "critic", "reward"])
    def test_an_environment_that_diverges_is_reset_by_itself(self, place: str, bad: float) -> None:
        """As a failure of its own, with zeros for what it showed and earned; the other one goes on."""
        simulator = ScriptedSimulator(2)
        simulator.state = SimState(torch.zeros(2, 1), *([torch.zeros(2, 0, 3)] * 11))
        env = TaskEnv(simulator, DivergingTask(place, bad), keep_final_pose=True)
        env.reset()
        observations, rewards, terminated, truncated, info = env.step(STILL)
        assert [env.outcome_names[i] if i >= 0 else None for i in info["outcome"].tolist()] == [
            None,
            "failure:diverged",
        ]
        assert (terminated.tolist(), truncated.tolist()) == ([False, True], [False, False])
        assert observations.tolist() == [[0, 1, 1], [1, 0, 2]]
        assert info["final_observation"].tolist() == [[0, 1, 1], [0, 0, 0]]
        assert info["critic_observations"].tolist() == [[10], [20]]
        assert info["reward_terms"].tolist() == [[1, 0], [0, 0]]
        assert rewards.tolist() == [1, 0]
        assert env.final_pose is not None
        assert bool((env.final_pose.dof_pos == 0).all())
        assert simulator.resets[-1] == [False, True]

    def test_it_is_logged_once(self, caplog: pytest.LogCaptureFixture) -> None:
        """However often it happens."""
        simulator = ScriptedSimulator(2)
        simulator.state = SimState(torch.zeros(2, 1), *([torch.zeros(2, 0, 3)] * 11))
        env = TaskEnv(simulator, DivergingTask("state", float("nan")))
        env.reset()
        outcomes = [int(env.step(STILL)[4]["outcome"][1]) for _ in range(4)]
        assert outcomes == [env.outcome_names.index("failure:diverged")] * 4
        assert caplog.text.count("An environment diverged") == 1

    def test_a_criterion_of_this_name_has_the_same_outcome(self) -> None:
        """A task may look for divergence itself."""
        task = DivergingTask("policy", float("nan"))
        task.failure_names = ("diverged",)
        assert TaskEnv(ScriptedSimulator(2), task).outcome_names == ("success:arrived", "failure:diverged", "timeout")

    @pytest.mark.parametrize("backend", ["mock", "mujoco"])
    def test_a_simulation_that_diverges_is_noticed(self, backend: str) -> None:
        """Instead of going on from another pose; afterwards it is a new episode like any other."""
        env = build_env(composed("task=BoxGrasping", f"sim.backend={backend}", "numEnvs=3"))
        env.reset(seed=0)
        state, mask = env.simulator.state, torch.tensor([False, True, False])
        bad = torch.full_like(torch.cat((state.object_pos, state.object_quat), dim=2), float("nan"))
        env.simulator.reset(mask, torch.full_like(state.dof_pos, float("nan")), bad)
        actions = torch.zeros(3, env.task.num_actions)
        outcomes = []
        for _ in range(2):
            observations, rewards, _, _, info = env.step(actions)
            outcomes.append([env.outcome_names[i] if i >= 0 else None for i in info["outcome"].tolist()])
            returned = [observations, rewards, info["final_observation"], info["critic_observations"]]
            assert all(bool(torch.isfinite(tensor).all()) for tensor in returned)
        assert outcomes == [[None, "failure:diverged", None], [None, None, None]]
