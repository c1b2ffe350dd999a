#!/usr/bin/env python3
"""Solve BlindGrasping with a script instead of a policy: reach around the box, close, lift, hold.

This shows that the task can be solved and that the simulated fingers can hold the box. Unlike a policy, the script
knows where the box is, but it acts like a policy, only through actions in [-1, 1].
"""

import argparse
import sys
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from dexhand.app.build import build_task_env
from dexhand.config.compose import compose
from dexhand.demo.expert import Expert
from dexhand.hand_env.task_env import TaskEnv

RESERVE = 0.3
"""Time of stage 1 that must remain on arrival for a start to count as within reach, s: for settling and joint lag."""


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
