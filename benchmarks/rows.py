"""What ``throughput.py`` measures: the rows of its tables."""

import copy
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from dexhand.app import build
from dexhand.config.schema import Config
from dexhand.hand_env.task_env import TaskEnv

Row = Callable[[], None]


def physics_steps(config: Config) -> int:
    """MuJoCo steps per control step."""
    return (config.sim.substeps or config.sim.mujoco.substeps) * config.env.controlDecimation


def raw_mujoco(config: Config, env: TaskEnv, targets: list[torch.Tensor]) -> dict[str, Row]:
    """``mujoco.rollout`` and nothing else, without and with our sensors."""
    import mujoco

    model = env.simulator.model  # type: ignore[attr-defined]
    bare = copy.copy(model)
    bare.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_SENSOR)
    ctrl = np.stack([target.double().numpy() for target in targets])
    threads = config.sim.mujoco.threads or os.cpu_count() or 1
    return {
        "mujoco.rollout, sensors off": _rollout(bare, ctrl, physics_steps(config), threads),
        "mujoco.rollout, our sensors": _rollout(model, ctrl, physics_steps(config), threads),
    }


def _rollout(model: "mujoco.MjModel", ctrl: np.ndarray, substeps: int, threads: int) -> Row:  # noqa: F821
    """``ctrl`` has shape (steps, N, nu)."""
    import mujoco
    from mujoco import rollout

    full_physics = mujoco.mjtState.mjSTATE_FULLPHYSICS
    steps, num_envs, _ = ctrl.shape
    start = np.zeros((num_envs, mujoco.mj_stateSize(model, full_physics.value)))
    mujoco.mj_getState(model, mujoco.MjData(model), start[0], full_physics.value)
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


def raw_mujoco_warp(config: Config, env: TaskEnv, targets: list[torch.Tensor]) -> dict[str, Row]:
    """``mujoco_warp.step`` as a recorded graph, with control targets copied in, and nothing read."""
    import mujoco_warp as mjw
    import warp as wp

    settings, device = config.sim.mujoco_warp, wp.device_from_torch(env.device)
    with wp.ScopedDevice(device):
        model = mjw.put_model(env.simulator.model)  # type: ignore[attr-defined]
        model.opt.deterministic = settings.deterministic
        data = mjw.make_data(
            env.simulator.model,  # type: ignore[attr-defined]
            nworld=env.num_envs,
            nconmax=settings.nconmax,
            njmax=settings.njmax,
        )
        mjw.step(model, data)
        with wp.ScopedCapture() as capture:
            for _ in range(physics_steps(config)):
                mjw.step(model, data)
    ctrl = wp.to_torch(data.ctrl)

    def run() -> None:
        with wp.ScopedDevice(device):
            mjw.reset_data(model, data)
            for target in targets:
                ctrl.copy_(target)
                wp.capture_launch(capture.graph)
            wp.synchronize_device()

    return {"mujoco_warp.step": run}


RAW: dict[str, Callable[[Config, TaskEnv, list[torch.Tensor]], dict[str, Row]]] = {
    "mujoco": raw_mujoco,
    "mujoco_warp": raw_mujoco_warp,
}
"""The engine alone, where it can be run without us; elsewhere ``Simulator.step`` is the first row."""


def simulator_only(env: TaskEnv, targets: list[torch.Tensor]) -> Row:
    """``Simulator.step`` with joint targets made beforehand."""

    def run() -> None:
        env.reset(seed=0)
        for target in targets:
            env.simulator.step(target)

    return run


def whole_environment(env: TaskEnv, actions: torch.Tensor) -> Row:
    """``TaskEnv.step``: action map, physics, observations, rewards, criteria, resets."""

    def run() -> None:
        env.reset(seed=0)
        for action in actions:
            env.step(action)

    return run


def training(config: Config, env: TaskEnv, iterations: int) -> Row:
    """PPO: rollouts and updates."""
    algorithm = build.build_algorithm(config, env)

    def run() -> None:
        for _ in range(iterations):
            algorithm.iterate()

    return run


def control_targets(env: TaskEnv, actions: torch.Tensor) -> list[torch.Tensor]:
    """The joint targets (N, 26) that ``actions`` (steps, N, A) lead to."""
    env.reset(seed=0)
    targets = []
    for action in actions:
        targets.append(env.task.dof_targets(action))
        env.simulator.step(targets[-1])
    return targets


def measure(rows: dict[str, Row], env_steps: dict[str, int], rounds: int) -> dict[str, list[float]]:
    """Environment steps per second of each row in each round, after a round that is not counted."""
    rates: dict[str, list[float]] = {name: [] for name in rows}
    for counted in [False] + [True] * rounds:
        for name, row in rows.items():
            start = time.perf_counter()
            row()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if counted:
                rates[name].append(env_steps[name] / (time.perf_counter() - start))
    return rates


def report(rates: dict[str, list[float]], console: Console) -> None:
    """Medians, ratios to the first row, spread."""
    table = Table("", "env steps/s (median)", "ratio to raw", "min - max")
    reference = statistics.median(next(iter(rates.values())))
    for name, values in rates.items():
        median = statistics.median(values)
        table.add_row(name, f"{median:,.0f}", f"{median / reference:.2f}", f"{min(values):,.0f} - {max(values):,.0f}")
    console.print(table)


def benchmark(config: Config, control_steps: int, rounds: int, console: Console) -> None:
    """Build everything once and let the rows take turns."""
    build.set_up_process(config)
    env = build.build_env(config)
    backend, num_envs = build.backend_of(config), env.num_envs
    actions = torch.rand(control_steps, num_envs, env.task.num_actions, device=env.device) * 2.0 - 1.0
    targets = control_targets(env, actions)
    iterations = max(1, control_steps // config.train.ppo.horizon_length)
    rows = {
        **(RAW[backend](config, env, targets) if backend in RAW else {}),
        "Simulator.step": simulator_only(env, targets),
        "TaskEnv.step": whole_environment(env, actions),
        "PPO training": training(config, env, iterations),
    }
    env_steps = dict.fromkeys(rows, control_steps * num_envs)
    env_steps["PPO training"] = iterations * config.train.ppo.horizon_length * num_envs
    console.print(
        f"{config.task.name} on {backend} ({env.device}), {num_envs} environments, control steps of "
        f"{env.simulator.control_dt * 1e3:.0f} ms, {config.train.torchThreads} torch threads, torch {torch.__version__}"
    )
    report(measure(rows, env_steps, rounds), console)
    env.close()
