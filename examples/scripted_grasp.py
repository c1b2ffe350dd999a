#!/usr/bin/env python3
"""Solve BlindGrasping with a script instead of a policy: reach around the box, close, lift, hold.

This shows that the task can be solved and that the simulated fingers can hold the box. Unlike a policy, the script
knows where the box is, but it acts like a policy, only through actions in [-1, 1].
"""

import argparse
import math
import sys
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from dexhand.app.build import build_screens, build_task_env
from dexhand.config.compose import compose
from dexhand.core import quaternions as quat
from dexhand.core.clock import SystemClock
from dexhand.hand_env.task_env import TaskEnv
from dexhand.sim.kinematics import HandKinematics
from dexhand.view.watched_env import watched

GRASP: dict[str, float] = {
    "ARRx": -0.016,
    "ARRy": 0.431,
    "th_rot": 1.014,
    "th_mcp": 0.975,
    "th_dip": 0.058,
    "ff_mcp": 0.624,
    "ff_dip": 0.438,
    "mf_mcp": 0.657,
    "mf_dip": 0.540,
    "rf_mcp": 0.636,
    "rf_dip": 0.313,
    "lf_mcp": 0.636,
    "lf_dip": 0.313,
}
"""A pinch of the right hand, rad: the pads of thumb, index and middle finger 5 cm apart, at one height, flat on two
sides of the box.

Found by a random search over the hand's kinematics for opposed, level pads with nothing of the hand far below them.
"""
MIRRORED = ("ARTy", "ARRx", "ARRz")
"""The base joints that have the opposite sign in the mirror image of a pose, which is the left hand's."""
PINCHING = ("th_mcp", "ff_mcp", "mf_mcp")
OPENING = 0.28
"""How much wider the pinching fingers are before they close, rad: some 3 cm on each side."""
SQUEEZE = 0.05
"""How far they close beyond the box, rad. At 50 N m/rad the pads then press with 2 to 4 N; 0.1 pushes the box out."""
HOVER = 0.045
"""Height above the grasp at which the open hand clears the box, m."""
ALIGNED = (0.006, 0.06, 0.08)
"""The hand comes down once it is this close to its goal: sideways (m), rotation (rad), fingers (rad)."""
LIFT = 0.25
"""How high the hand goes with the box, m."""
RESERVE = 0.3
"""Time of stage 1 that must remain on arrival for a start to count as within reach, s: for settling and joint lag."""


class Expert:
    """Chooses actions for all environments at once from the state of the simulator and the stage of the task."""

    def __init__(self, env: TaskEnv) -> None:
        task: Any = env.task
        self._env, self._task, self._actions = env, task, task.action_map
        self._hand = env.simulator.scene.hand
        self._grasp = self._grasp_of_this_hand()
        self._open = self._posture(-OPENING)
        self._closed = self._posture(SQUEEZE)
        self._root = torch.tensor(env.simulator.scene.hand_position, device=env.device)
        self._find_pinch()
        self._base_at_grasp = torch.zeros(env.num_envs, 6, device=env.device)

    def _grasp_of_this_hand(self) -> dict[str, float]:
        """``GRASP``, mirrored where the thumb is on the left hand's side, seen from above."""
        kinematics = HandKinematics(self._hand, (0.0, 0.0, 0.0), torch.device("cpu"))
        zero = torch.zeros(1, self._hand.num_dofs)
        is_left = bool(kinematics.poses(zero, zero).pos[0, kinematics.index(self._hand.fingerpads[0]), 1] < 0)
        return {name: -value if is_left and name in MIRRORED else value for name, value in GRASP.items()}

    def _posture(self, closing: float) -> Tensor:
        """Control targets (18,) of the grasp, with the pinching fingers ``closing`` rad further closed."""
        values = {**self._grasp, **{name: self._grasp[name] + closing for name in PINCHING}}
        controls = (*self._hand.base_joints, *(control.name for control in self._hand.controls))
        return torch.tensor([values.get(name, 0.0) for name in controls], device=self._env.device)

    def _find_pinch(self) -> None:
        """Where the middle of the pads is, seen from the wrist, and the direction in which they press."""
        device = self._env.device
        kinematics = HandKinematics(self._hand, (0.0, 0.0, 0.0), device)
        dof_pos = self._actions.joints(self._posture(0.0)[None])
        poses = kinematics.poses(dof_pos, torch.zeros_like(dof_pos))
        thumb, index, middle = (poses.pos[0, kinematics.index(name)] for name in self._hand.fingerpads[:3])
        self._pinch = (thumb + (index + middle) / 2) / 2
        across = middle - index  # the two fingers lie along one side of the box
        self._pinch_angle = math.atan2(float(-across[0]), float(across[1]))

    def act(self) -> Tensor:
        """Actions (N, 18): towards the goal of the present stage, as fast as allowed."""
        buffers = self._task.buffers
        in_stage_1 = (buffers.stage == 1)[:, None]
        self._base_at_grasp = torch.where(in_stage_1, buffers.targets[:, :6], self._base_at_grasp)
        goal = torch.where(in_stage_1, self._approach(buffers.targets), self._grasp_and_lift(buffers.stage))
        actions: Tensor = ((goal - buffers.targets) / self._actions.max_change).clamp(-1.0, 1.0)
        return actions

    def pregrasp(self) -> Tensor:
        """Control targets (N, 18) of the open hand around the box."""
        state = self._env.simulator.state
        # any two opposite sides will do: the least turn that lays the pads flat on some pair
        right_angle = math.pi / 2
        yaw = quat.to_rotation_vector(state.object_quat[:, 0])[:, 2] - self._pinch_angle
        turn = torch.remainder(yaw + right_angle / 2, right_angle) - right_angle / 2
        turn_quat = quat.from_rotation_vector(torch.nn.functional.pad(turn[:, None], (2, 0)))
        goal = self._open.repeat(self._env.num_envs, 1)
        goal[:, :3] = state.object_pos[:, 0] - quat.rotate(turn_quat, self._pinch.expand_as(goal[:, :3])) - self._root
        goal[:, 3:6] = _turned_wrist(turn, self._grasp["ARRx"], self._grasp["ARRy"])
        return goal

    def _approach(self, targets: Tensor) -> Tensor:
        """Stay above the box until everything else is in place, then come down."""
        goal = self.pregrasp()
        away = (goal - targets).abs()
        sideways, turn, fingers = away[:, :2].amax(1), away[:, 3:6].amax(1), away[:, 6:].amax(1)
        limits = ALIGNED
        aligned = (sideways < limits[0]) & (turn < limits[1]) & (fingers < limits[2])
        has_come_down = targets[:, 2] < goal[:, 2] + HOVER / 2
        goal[:, 2] += HOVER * (~aligned & ~has_come_down)
        return goal

    def _grasp_and_lift(self, stage: Tensor) -> Tensor:
        goal = self._closed.repeat(self._env.num_envs, 1)
        goal[:, :6] = self._base_at_grasp
        goal[:, 2] += LIFT * (stage == 3)
        return goal

    def time_needed(self) -> Tensor:
        """Seconds from the present state to the pre-grasp if every control moves at its limit, shape (N,).

        Sideways, turning and down to the hover height at once, then the rest of the way down.
        """
        speed = self._actions.max_change / self._env.simulator.control_dt
        goal = self.pregrasp()
        goal[:, 2] += HOVER
        times = (goal - self._task.buffers.targets).abs() / speed
        return times.amax(dim=1) + HOVER / speed[2]


def _turned_wrist(turn: Tensor, roll: float, pitch: float) -> Tensor:
    """Wrist joints (N, 3) that hold Rz(turn) Rx(roll) Ry(pitch); the joints are serial, Rx Ry Rz."""
    rows = len(turn)
    axes = torch.eye(3, device=turn.device)
    tilt = quat.multiply(
        quat.from_rotation_vector(axes[:1] * roll), quat.from_rotation_vector(axes[1:2] * pitch)
    ).repeat(rows, 1)
    rotation = quat.multiply(quat.from_rotation_vector(turn[:, None] * axes[2]), tilt)
    x, y, z = (quat.rotate(rotation, axis.repeat(rows, 1)) for axis in axes)  # columns of the matrix
    return torch.stack((torch.atan2(-z[:, 1], z[:, 2]), torch.asin(z[:, 0]), torch.atan2(-y[:, 0], x[:, 0])), dim=1)


@dataclass
class Result:
    """The first episode of each environment."""

    outcome: list[str]
    reachable: Tensor
    """Whether the hand can be around the box in time, from the start alone. Shape (N,) bool."""
    stages: Tensor
    """The last stage that was entered. Shape (N,)."""
    stage_of_step: Tensor
    """The stage before each step, 0 after the end. Shape (steps, N)."""
    pictures: list[np.ndarray]
    """Of one environment, before the steps asked for."""

    def success_rate(self) -> float:
        """Among the starts within reach."""
        within = [outcome for outcome, reachable in zip(self.outcome, self.reachable.tolist()) if reachable]
        return sum(outcome.startswith("success") for outcome in within) / max(1, len(within))


def play(env: TaskEnv, seed: int, drawn: int = 0, at: Collection[int] = ()) -> Result:
    """One episode in every environment; with pictures of environment ``drawn`` it ends after the last of them."""
    task: Any = env.task
    expert = Expert(env)
    env.reset(seed=seed)
    longest = task.config.stage1_duration - RESERVE
    reachable = expert.time_needed() <= longest
    outcome = torch.full((env.num_envs,), -1, device=env.device)
    stages = torch.ones_like(outcome)
    history: list[Tensor] = []
    pictures: list[np.ndarray] = []
    for step in range(task.config.episodeLength):
        running = outcome < 0
        stages = torch.where(running, task.buffers.stage, stages)
        history.append(torch.where(running, task.buffers.stage, 0))
        if step in at:
            label = f"{step * env.simulator.control_dt:.1f} s, stage {int(task.buffers.stage[drawn])}"
            pictures.append(_labelled(env.render(drawn, width=700, height=560), label))
        info = env.step(expert.act())[4]
        outcome = torch.where(running, info["outcome"], outcome)
        if bool((outcome >= 0).all()) or step == max(at, default=None):
            break
    names = [env.outcome_names[i] for i in outcome.tolist()]
    return Result(names, reachable, stages, torch.stack(history), pictures)


def _labelled(picture: np.ndarray, label: str) -> np.ndarray:
    """The middle of the picture, where the hand is."""
    image = Image.fromarray(picture).crop((200, 180, 500, 480))
    ImageDraw.Draw(image).text((8, 6), label, fill=(40, 40, 40))
    return np.asarray(image)


def main() -> int:
    """Play one episode in each of many environments and say how they ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sim", default="mujoco", help="sim.backend, such as mujoco or mock (default %(default)s)")
    parser.add_argument("--num-envs", type=int, default=100, help="episodes, played side by side (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="of the starts (default 0)")
    parser.add_argument("--strip", metavar="FILE", help="save a strip of six pictures of a success")
    parser.add_argument(
        "overrides", nargs="*", help="configuration keys, such as task.box.mass=0.2 or env.hand=dexhand021_left"
    )
    arguments = parser.parse_intermixed_args()

    keys = (f"sim.backend={arguments.sim}", *arguments.overrides, f"env.numEnvs={arguments.num_envs}")
    config = compose(["task=BlindGrasping", *keys])
    env = build_task_env(config)
    screens = build_screens(config, env, SystemClock())
    if screens.page is not None:
        print(f"Watch it in a browser: {screens.page.url}", flush=True)
        if sys.stdin.isatty():
            input("Press Enter to begin, once the page is open: ")
    env = cast(TaskEnv, watched(env, screens.viewers))
    result = play(env, arguments.seed)
    total, within = env.num_envs, int(result.reachable.sum())
    print(f"{total} starts, {within} of them within reach in time ({within / total:.0%})")
    for title, wanted in (("within reach", True), ("too far away", False)):
        outcomes = [o for o, reachable in zip(result.outcome, result.reachable.tolist()) if reachable is wanted]
        print(f"{title}:")
        for outcome, count in Counter(outcomes).most_common():
            print(f"  {count:4d}  {count / len(outcomes):4.0%}  {outcome}")
    if arguments.strip:
        _save_strip(env, arguments.seed, result, arguments.strip)
    screens.close()
    env.close()
    return 0


def _save_strip(env: TaskEnv, seed: int, result: Result, path: str) -> None:
    successes = [number for number, outcome in enumerate(result.outcome) if outcome.startswith("success")]
    if not successes:
        sys.exit("error: no episode succeeded, there is nothing to draw")
    stage_of_step = result.stage_of_step[:, successes[0]]
    steps = []
    for stage, shares in ((1, (0.0, 0.4, 1.0)), (2, (1.0,)), (3, (0.5, 1.0))):
        of_stage = (stage_of_step == stage).nonzero().flatten().tolist()
        steps += [of_stage[round(share * (len(of_stage) - 1))] for share in shares]
    shown = play(env, seed, drawn=successes[0], at=steps).pictures
    Image.fromarray(np.concatenate(shown, axis=1)).save(path)
    print(f"Wrote {path}")


if __name__ == "__main__":
    sys.exit(main())
