"""Builders of simulators and environments."""

import copy
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from dexhand.app.build.env_check import check_env
from dexhand.app.build.machine import backend_of, check_device, device_of
from dexhand.app.build.plugins import build_plugin
from dexhand.config.errors import ConfigError
from dexhand.config.plugins import load_module
from dexhand.config.schema import BACKENDS, Config, GainsConfig
from dexhand.config.task_class import task_class
from dexhand.core.interfaces import VecEnv
from dexhand.hand_env.interfaces import Scene, Simulator
from dexhand.hand_env.task_env import TaskEnv
from dexhand.hands.spec import Gains, HandSpec, load_hand
from dexhand.tasks import BaseTask, BaseTaskConfig
from dexhand.tasks.gymnasium_tasks import GymnasiumConfig


def build_env(config: Config) -> VecEnv:
    """Build the seeded environments. Raises ``ConfigError`` if that is impossible on this machine."""
    with _enough_memory(config):
        factory = config.env.factory
        return BUILDERS[config.task.kind](config) if factory is None else _factory_env(config, factory)


def check_buildable(config: Config) -> None:
    """Raise what ``build_env`` would about device, packages and files, without importing code of users."""
    check_device(config)
    task = config.task
    if config.env.factory is not None:
        return
    if isinstance(task, GymnasiumConfig) and task.package is None:
        build_env(replace(config, env=replace(config.env, numEnvs=1))).close()
    elif isinstance(task, BaseTaskConfig) and config.sim.backend in BACKENDS:
        try:
            _check_hand(backend_of(config), build_hand(config))
        except ValueError as error:
            raise ConfigError(str(error)) from None


def _check_hand(backend: str, hand: HandSpec) -> None:
    if backend in ("mujoco", "mujoco_warp"):
        from dexhand.sim.mujoco_scene import load_hand_file

        load_hand_file(hand)
    else:
        from dexhand.sim.hand_file import read_hand

        read_hand(hand)


@contextmanager
def _enough_memory(config: Config) -> Iterator[None]:
    """Explain what MuJoCo, torch and CUDA raise where memory does not suffice."""
    try:
        yield
    except (MemoryError, RuntimeError, ValueError) as error:
        said = ("bad_alloc", "allocate memory", "out of memory")
        if isinstance(error, MemoryError) or any(words in str(error) for words in said):
            raise ConfigError(
                f"env.numEnvs={_num_envs(config)}: the memory does not suffice for so many environments. Give fewer"
            ) from None
        raise


def _factory_env(config: Config, spec: str) -> VecEnv:
    num_envs = _num_envs(config)
    device, seed = device_of(config), config.train.seed
    env: VecEnv = build_plugin(
        *("env.factory", spec, VecEnv),
        optional=["render", "state_dict", "load_state_dict"],
        num_envs=num_envs,
        device=device,
        seed=seed,
    )
    if env.num_envs != num_envs:
        raise ConfigError(f"env.factory={spec} made {env.num_envs} environments where env.numEnvs={num_envs}")
    check_env(env, f"env.factory={spec}", seed)
    return env


def build_task_env(config: Config) -> TaskEnv:
    """Build the seeded environments of a hand's task. Raises ``ConfigError``."""
    if not isinstance(config.task, BaseTaskConfig):
        raise ConfigError(f"task={config.task.subject} has no hand. Choose a task with one, such as task=BaseTask")
    chosen = task_class(config.task.name, config.task.module)
    try:
        simulator = build_simulator(config, _scene(config, config.task, build_hand(config), chosen))
        task = chosen(
            config.task,
            hand=simulator.scene.hand,
            num_envs=simulator.num_envs,
            device=simulator.device,
            control_dt=simulator.control_dt,
            dof_limits=simulator.dof_limits,
        )
        task.check_terms(simulator.state)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    hard = config.train.hardExamples
    keep_final_pose = hard.enabled and hard.pictures and not config.train.test
    return TaskEnv(simulator, task, seed=config.train.seed, keep_final_pose=keep_final_pose)


def _gymnasium(config: Config) -> VecEnv:
    from dexhand.gymnasium_env import CannotMake, make_gymnasium_env

    assert isinstance(config.task, GymnasiumConfig)
    device = device_of(config)
    if config.task.package is not None:
        load_module(config.task.package, f"task.package={config.task.package}")
    try:
        return make_gymnasium_env(
            config.task, _num_envs(config), threads=config.sim.mujoco.threads, seed=config.train.seed, device=device
        )
    except CannotMake as error:
        raise ConfigError(str(error)) from None


BUILDERS: dict[str, Callable[[Config], VecEnv]] = {"hand": build_task_env, "gymnasium": _gymnasium}
"""Builders of environments by ``TaskConfig.kind``."""


def build_simulator(config: Config, scene: Scene) -> Simulator:
    """Build the simulator alone. Raises ``ConfigError``, and ``ValueError`` for a scene that it cannot simulate."""
    backend = backend_of(config)
    if backend in _SIMULATORS:
        return _SIMULATORS[backend](config, scene)
    control_dt, device = config.sim.dt * config.env.controlDecimation, device_of(config)
    simulator: Simulator = build_plugin(
        "sim.backend", backend, Simulator, scene, _num_envs(config), control_dt=control_dt, device=device
    )
    return simulator


def build_hand(config: Config) -> HandSpec:
    """Load the hand ``env.hand`` with the configuration's MJCF and gains. Raises ``HandError``."""
    env = config.env
    hand = load_hand(env.hand)
    return replace(
        hand,
        asset=Path(env.handAsset) if env.handAsset else hand.asset,
        base_translation_gains=_gains(env.actuators.baseTranslation, hand.base_translation_gains),
        base_rotation_gains=_gains(env.actuators.baseRotation, hand.base_rotation_gains),
        finger_gains=_gains(env.actuators.fingers, hand.finger_gains),
    )


def _gains(config: GainsConfig, hand: Gains) -> Gains:
    """Merge the configuration's gains over those of the hand, which apply where the configuration has null."""
    return Gains(
        stiffness=hand.stiffness if config.stiffness is None else config.stiffness,
        damping=hand.damping if config.damping is None else config.damping,
        force_limit=hand.force_limit if config.forceLimit is None else config.forceLimit,
        armature=hand.armature if config.armature is None else config.armature,
    )


def _scene(config: Config, task: BaseTaskConfig, hand: HandSpec, task_class: type[BaseTask]) -> Scene:
    x, y, z = config.env.initialHandPos
    return Scene(
        hand=hand,
        hand_position=(x, y, z),
        bodies=hand.bodies,
        contact_bodies=hand.contact_bodies,
        objects=task_class.objects(task),
    )


def _mujoco(config: Config, scene: Scene) -> Simulator:
    from dexhand.sim.mujoco import MujocoSimulator

    return MujocoSimulator(scene, _num_envs(config), config.sim, config.env.controlDecimation)


def _mujoco_warp(config: Config, scene: Scene) -> Simulator:
    from dexhand.sim.mujoco_warp import MujocoWarpSimulator

    return MujocoWarpSimulator(scene, _num_envs(config), config.sim, config.env.controlDecimation, device_of(config))


def _mock(config: Config, scene: Scene) -> Simulator:
    from dexhand.mock.simulator import MockSimulator

    return MockSimulator(
        scene,
        _num_envs(config),
        control_dt=config.sim.dt * config.env.controlDecimation,
        device=device_of(config),
    )


def _isaacgym(config: Config, scene: Scene) -> Simulator:
    from dexhand.sim.isaacgym import IsaacGymSimulator

    return IsaacGymSimulator(
        scene,
        _num_envs(config),
        config.sim,
        config.env.controlDecimation,
        device=device_of(config),
        viewer=_has_viewer(config),
    )


def _has_viewer(config: Config) -> bool:
    """Whether to open a viewer; by default in tests on a machine with a display."""
    if config.env.viewer is None:
        return config.train.test and "DISPLAY" in os.environ
    return config.env.viewer


def _num_envs(config: Config) -> int:
    assert config.env.numEnvs is not None  # set by validation
    return config.env.numEnvs


_SIMULATORS: dict[str, Callable[[Config, Scene], Simulator]] = {
    "mujoco": _mujoco,
    "mujoco_warp": _mujoco_warp,
    "isaacgym": _isaacgym,
    "mock": _mock,
}


def build_drawing_simulator(config: Config, scene: Scene) -> Simulator:
    """Build a simulator of one environment for rendering only, on the CPU: MuJoCo, or the mock if that is in use."""
    single = copy.deepcopy(config)
    single.env.numEnvs, single.env.device, single.sim.mujoco.threads = 1, "cpu", 1
    return _mock(single, scene) if backend_of(config) == "mock" else _mujoco(single, scene)
