#!/usr/bin/env python3
"""Environment steps per second, side by side in one run: MuJoCo alone, our simulator, the whole environment, PPO.

Every row steps the same model with the same control targets from the same start. Rows take turns, so that a machine
whose speed drifts slows all of them alike; medians and ratios to the first row are printed. Quote the ratios.
"""

import argparse
import copy
import os
import statistics
import sys
import time
from typing import Callable, Dict, List, Sequence

import mujoco
import numpy as np
import torch
from mujoco import rollout
from rich.console import Console
from rich.table import Table

from dexhand import build
from dexhand.config.compose import compose
from dexhand.config.schema import Config
from dexhand.core.task_env import TaskEnv

FULL_PHYSICS = mujoco.mjtState.mjSTATE_FULLPHYSICS


def physics_steps(config: Config) -> int:
    """MuJoCo steps per control step."""
    return (config.sim.substeps or config.sim.mujoco.substeps) * config.env.controlDecimation


def raw_rollout(model: mujoco.MjModel, ctrl: np.ndarray, substeps: int, threads: int) -> Callable[[], None]:
    """``mujoco.rollout`` and nothing else. ``ctrl`` has shape (steps, N, nu)."""
    steps, num_envs, _ = ctrl.shape
    start = np.zeros((num_envs, mujoco.mj_stateSize(model, FULL_PHYSICS.value)))
    mujoco.mj_getState(model, mujoco.MjData(model), start[0], FULL_PHYSICS.value)
    start[:] = start[0]
    # one row a physics step, made beforehand: rollout does not repeat controls by itself
    repeated = np.repeat(ctrl[:, :, None, :], substeps, axis=2)
    data = [mujoco.MjData(model) for _ in range(threads)]
    pool = rollout.Rollout(nthread=threads)

    def run() -> None:
        state = start
        for step in range(steps):
            states, _ = pool.rollout(model, data, state, repeated[step])
            state = states[:, -1]

    return run


def without_sensors(model: mujoco.MjModel) -> mujoco.MjModel:
    """The same model with its sensors switched off, so that MuJoCo computes nothing but motion."""
    bare = copy.copy(model)
    bare.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_SENSOR)
    return bare


def simulator_only(env: TaskEnv, targets: List[torch.Tensor]) -> Callable[[], None]:
    """``Simulator.step`` with joint targets made beforehand."""

    def run() -> None:
        env.reset(seed=0)
        for target in targets:
            env.simulator.step(target)

    return run


def whole_environment(env: TaskEnv, actions: torch.Tensor) -> Callable[[], None]:
    """``TaskEnv.step``: action map, physics, observations, rewards, criteria, resets."""

    def run() -> None:
        env.reset(seed=0)
        for action in actions:
            env.step(action)

    return run


def training(config: Config, env: TaskEnv, iterations: int) -> Callable[[], None]:
    """PPO: rollouts and updates."""
    algorithm = build.build_algorithm(config, env)

    def run() -> None:
        for _ in range(iterations):
            algorithm.iterate()

    return run


def control_targets(env: TaskEnv, actions: torch.Tensor) -> List[torch.Tensor]:
    """The joint targets (N, 26) that ``actions`` (steps, N, A) lead to."""
    env.reset(seed=0)
    targets = []
    for action in actions:
        targets.append(env.task.dof_targets(action))
        env.simulator.step(targets[-1])
    return targets


def measure(rows: Dict[str, Callable[[], None]], env_steps: Dict[str, int], rounds: int) -> Dict[str, List[float]]:
    """Environment steps per second of each row in each round, after a round that is not counted."""
    rates: Dict[str, List[float]] = {name: [] for name in rows}
    for counted in [False] + [True] * rounds:
        for name, row in rows.items():
            start = time.perf_counter()
            row()
            if counted:
                rates[name].append(env_steps[name] / (time.perf_counter() - start))
    return rates


def report(rates: Dict[str, List[float]], console: Console) -> None:
    """Medians, ratios to the first row, spread."""
    table = Table("", "env steps/s (median)", "ratio to raw", "min - max")
    reference = statistics.median(next(iter(rates.values())))
    for name, values in rates.items():
        median = statistics.median(values)
        table.add_row(name, f"{median:,.0f}", f"{median / reference:.2f}", f"{min(values):,.0f} - {max(values):,.0f}")
    console.print(table)


def benchmark(overrides: Sequence[str], control_steps: int, rounds: int, console: Console) -> None:
    """Build everything once and let the rows take turns."""
    config = compose(["sim.backend=mujoco", *overrides])
    build.set_up_torch(config)
    env = build.build_env(config)
    model, num_envs = env.simulator.model, env.num_envs  # type: ignore[attr-defined]
    actions = torch.rand(control_steps, num_envs, env.task.num_actions) * 2.0 - 1.0
    targets = control_targets(env, actions)
    ctrl = np.stack([target.double().numpy() for target in targets])
    substeps, threads = physics_steps(config), config.sim.mujoco.threads or os.cpu_count() or 1
    iterations = max(1, control_steps // config.train.ppo.horizon_length)
    rows = {
        "mujoco.rollout, sensors off": raw_rollout(without_sensors(model), ctrl, substeps, threads),
        "mujoco.rollout, our sensors": raw_rollout(model, ctrl, substeps, threads),
        "Simulator.step": simulator_only(env, targets),
        "TaskEnv.step": whole_environment(env, actions),
        "PPO training": training(config, build.build_env(config), iterations),
    }
    env_steps = dict.fromkeys(rows, control_steps * num_envs)
    env_steps["PPO training"] = iterations * config.train.ppo.horizon_length * num_envs
    console.print(
        f"{config.task.name}, {num_envs} environments, {substeps} physics steps of "
        f"{env.simulator.control_dt / substeps * 1e3:.2f} ms per control step, "
        f"{threads} simulation threads, {config.train.torchThreads} torch threads, "
        f"MuJoCo {mujoco.__version__}, torch {torch.__version__}"
    )
    report(measure(rows, env_steps, rounds), console)


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-envs", type=int, default=256, help="parallel environments (default %(default)s)")
    parser.add_argument("--steps", type=int, default=64, help="control steps a round (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count (default %(default)s)")
    parser.add_argument("overrides", nargs="*", help="configuration keys, as for scripts/train.py: task=BaseTask ...")
    arguments = parser.parse_args()
    overrides = [f"env.numEnvs={arguments.num_envs}", *arguments.overrides]
    benchmark(overrides, arguments.steps, arguments.rounds, Console(highlight=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
