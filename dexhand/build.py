"""From a validated configuration to working parts. The only place that knows every implementation by name.

Imports are lazy: a part that is not asked for need not be installed.
"""

import copy
import importlib.util
import os
import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Type

import numpy as np
import torch

from dexhand.config.custom_task import load_task_class
from dexhand.config.errors import ConfigError
from dexhand.config.schema import Config, GainsConfig
from dexhand.core import hand
from dexhand.core.checkpoints import CheckpointError, ForeignCheckpointError, parse_checkpoint, read_checkpoint
from dexhand.core.episodes import EpisodeRecorder
from dexhand.core.hard_episodes import HardEpisodes, HardEpisodeSettings
from dexhand.core.hard_example_reports import HardExampleSink
from dexhand.core.interfaces import (
    Algorithm,
    Gains,
    MetricSink,
    Policy,
    RenderingUnavailable,
    ResetPose,
    Scene,
    Simulator,
)
from dexhand.core.pose_pictures import PosePictures
from dexhand.core.reload import Load
from dexhand.core.task_env import TaskEnv
from dexhand.core.workspace import Run
from dexhand.tasks.base_task import BaseTask
from dexhand.tasks.blind_grasping import BlindGrasping
from dexhand.tasks.box_grasping import BoxGrasping
from dexhand.tasks.hand_state import BODIES

if TYPE_CHECKING:
    from dexhand.sim.mjcf import SolverSettings
    from dexhand.sinks.wandb import WandbSink

TASKS: Dict[str, Type[BaseTask]] = {
    "BaseTask": BaseTask,
    "BlindGrasping": BlindGrasping,
    "BoxGrasping": BoxGrasping,
}


def backend_of(config: Config) -> str:
    """The simulator to use. Raises ``ConfigError`` where it is not installed, with the command that installs it."""
    backend = config.sim.backend
    if backend == "auto":
        on_gpu = config.env.device != "cpu" and _has_gpu()
        backend = "mujoco_warp" if on_gpu and _is_installed("mujoco_warp") else "mujoco"
    if backend in _INSTALL and not _is_installed(backend):
        raise ConfigError(f"sim.backend={config.sim.backend}: {_INSTALL[backend]}")
    return backend


_INSTALL = {
    "mujoco": "MuJoCo is not installed. On Python 3.11 or newer: pip install 'mujoco>=4.0'. On an older one only "
    "sim.backend=mock works, which has no physics, and sim.backend=isaacgym",
    "mujoco_warp": "MuJoCo Warp is not installed. On Python 3.11 or newer: pip install 'dexhand[warp]'",
}
"""What to do where a simulator is missing."""


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _has_gpu() -> bool:
    return torch.cuda.is_available()


def device_of(config: Config) -> torch.device:
    """Where tensors live. Raises ``ConfigError`` for a device this machine or the simulator does not have."""
    backend, wanted = backend_of(config), config.env.device
    if wanted == "auto":
        return torch.device("cuda:0" if backend in ("mujoco_warp", "isaacgym") and _has_gpu() else "cpu")
    device = torch.device(wanted)
    if device.type == "cpu":
        return device
    count = torch.cuda.device_count() if _has_gpu() else 0
    index = device.index or 0
    if index >= count:
        raise ConfigError(
            f"env.device={wanted}: torch finds {count} NVIDIA GPUs here. Use env.device=auto or env.device=cpu"
        )
    if backend == "mujoco":
        raise ConfigError(
            f"env.device={wanted}: sim.backend=mujoco works on the CPU. Use env.device=cpu, or sim.backend=mujoco_warp"
        )
    return torch.device("cuda", index)


def check_machine(config: Config) -> None:
    """Raise ``ConfigError`` where this machine lacks what the configuration asks for; builds nothing."""
    device_of(config)
    if config.train.wandb.enabled and not config.train.test and not _is_installed("wandb"):
        raise ConfigError("train.wandb.enabled=true: Weights & Biases is not installed: pip install 'dexhand[wandb]'")


def set_up_process(config: Config) -> None:
    """Everything that is set for the whole process: torch's threads and determinism, the seeds."""
    torch.set_num_threads(config.train.torchThreads)
    torch.use_deterministic_algorithms(config.train.torchDeterministic)
    torch.manual_seed(config.train.seed)
    np.random.seed(config.train.seed)
    random.seed(config.train.seed)


def build_env(config: Config) -> TaskEnv:
    """The environments, seeded. Raises ``ConfigError`` where the configuration cannot be built on this machine."""
    task_class = _task_class(config)
    try:
        simulator = _SIMULATORS[backend_of(config)](config, _scene(config, task_class))
    except ValueError as error:
        raise ConfigError(str(error)) from None
    task = task_class(
        config.task,
        num_envs=simulator.num_envs,
        device=simulator.device,
        control_dt=simulator.control_dt,
        dof_limits=simulator.dof_limits,
    )
    hard = config.train.hardExamples
    draws = hard.enabled and hard.pictures and not config.train.test
    return TaskEnv(simulator, task, seed=config.train.seed, keep_final_pose=draws)


def _task_class(config: Config) -> Type[BaseTask]:
    if config.task.module is None:
        return TASKS[config.task.name]
    custom: Type[BaseTask] = load_task_class(config.task.module, config.task.name)
    return custom


def _scene(config: Config, task_class: Type[BaseTask]) -> Scene:
    env = config.env
    x, y, z = env.initialHandPos
    return Scene(
        hand_asset=env.handAsset,
        hand_position=(x, y, z),
        bodies=BODIES,
        contact_bodies=hand.CONTACT_BODIES,
        objects=task_class.objects(config.task),
        base_translation_gains=_gains(env.actuators.baseTranslation),
        base_rotation_gains=_gains(env.actuators.baseRotation),
        finger_gains=_gains(env.actuators.fingers),
    )


def _gains(config: GainsConfig) -> Gains:
    return Gains(config.stiffness, config.damping, config.forceLimit, config.armature)


def _mujoco(config: Config, scene: Scene) -> Simulator:
    from dexhand.sim.mujoco import MujocoSimulator

    return MujocoSimulator(
        scene,
        _num_envs(config),
        solver=_solver(config),
        steps_per_control=_mujoco_substeps(config) * config.env.controlDecimation,
        num_threads=config.sim.mujoco.threads,
    )


def _mujoco_warp(config: Config, scene: Scene) -> Simulator:
    from dexhand.sim.mujoco_warp import MujocoWarpSimulator, WarpSettings

    warp = config.sim.mujoco_warp
    return MujocoWarpSimulator(
        scene,
        _num_envs(config),
        solver=_solver(config),
        steps_per_control=_mujoco_substeps(config) * config.env.controlDecimation,
        settings=WarpSettings(nconmax=warp.nconmax, njmax=warp.njmax, deterministic=warp.deterministic),
        device=device_of(config),
    )


def _mujoco_substeps(config: Config) -> int:
    return config.sim.substeps or config.sim.mujoco.substeps


def _solver(config: Config) -> "SolverSettings":
    from dexhand.sim.mjcf import SolverSettings

    mujoco = config.sim.mujoco
    return SolverSettings(
        timestep=config.sim.dt / _mujoco_substeps(config),
        iterations=mujoco.iterations,
        ls_iterations=mujoco.ls_iterations,
        tolerance=mujoco.tolerance,
    )


def _mock(config: Config, scene: Scene) -> Simulator:
    from dexhand.mock.simulator import MockSimulator

    return MockSimulator(
        scene,
        _num_envs(config),
        control_dt=config.sim.dt * config.env.controlDecimation,
        device=device_of(config),
    )


def _isaacgym(config: Config, scene: Scene) -> Simulator:
    from dexhand.sim.isaacgym import IsaacGymSimulator, PhysxSettings

    sim, physx, num_envs = config.sim, config.sim.physx, _num_envs(config)
    return IsaacGymSimulator(
        scene,
        num_envs,
        physx=PhysxSettings(
            solver_type=physx.solver_type,
            num_position_iterations=physx.num_position_iterations,
            num_velocity_iterations=physx.num_velocity_iterations,
            contact_offset=physx.contact_offset,
            rest_offset=physx.rest_offset,
            bounce_threshold_velocity=physx.bounce_threshold_velocity,
            max_depenetration_velocity=physx.max_depenetration_velocity,
            default_buffer_size_multiplier=physx.default_buffer_size_multiplier,
            max_gpu_contact_pairs=physx.gpu_contact_pairs_per_env * num_envs,
            num_threads=physx.num_threads,
        ),
        dt=sim.dt,
        substeps=sim.substeps or physx.substeps,
        calls_per_control=config.env.controlDecimation,
        device=device_of(config),
        graphics_device=sim.isaacgym.graphicsDevice,
        viewer=_has_viewer(config),
    )


def _has_viewer(config: Config) -> bool:
    """Unless it is said, tests are watched where there is a display."""
    if config.env.viewer is None:
        return config.train.test and "DISPLAY" in os.environ
    return config.env.viewer


def _num_envs(config: Config) -> int:
    assert config.env.numEnvs is not None  # validation has filled it in
    return config.env.numEnvs


_SIMULATORS: Dict[str, Callable[[Config, Scene], Simulator]] = {
    "mujoco": _mujoco,
    "mujoco_warp": _mujoco_warp,
    "isaacgym": _isaacgym,
    "mock": _mock,
}


def build_algorithm(config: Config, env: TaskEnv, hard_example_sinks: Sequence[HardExampleSink] = ()) -> Algorithm:
    """The learner; with ``train.hardExamples`` it tells the sinks of the worst episodes, see ``HardEpisodes``."""
    from dexhand.rl.rl_games import RlGamesPpo

    hard = config.train.hardExamples
    recorder = EpisodeRecorder(env, _final_pose(env) if env.keep_final_pose else None)
    learner = RlGamesPpo(
        recorder if hard.enabled else env,
        config.train.ppo,
        config.train.network,
        max_iterations=config.train.maxIterations,
        env_kind=f"{backend_of(config)}:{config.task.name}:{env.num_envs}",
        contract=_contract(config),
        keep_sample_losses=hard.enabled,
    )
    if not hard.enabled:
        return learner
    settings = HardEpisodeSettings(hard.keep, hard.reportInterval, forget=hard.since == "report")
    return HardEpisodes(learner, recorder, settings, hard_example_sinks, _pictures(config, env))


def _final_pose(env: TaskEnv) -> Callable[[], ResetPose]:
    def final_pose() -> ResetPose:
        assert env.final_pose is not None  # it is asked for after a step
        return env.final_pose

    return final_pose


def _pictures(config: Config, env: TaskEnv) -> Optional[PosePictures]:
    hard = config.train.hardExamples
    if not env.keep_final_pose:
        return None
    return PosePictures(lambda: _drawing_simulator(config, env.simulator.scene), hard.pictureWidth, hard.pictureHeight)


def _drawing_simulator(config: Config, scene: Scene) -> Simulator:
    """One environment that only ever draws, on the CPU, with MuJoCo where it can. Raises ``RenderingUnavailable``."""
    alone = copy.deepcopy(config)
    alone.env.numEnvs, alone.env.device, alone.sim.mujoco.threads = 1, "cpu", 1
    if backend_of(config) != "mock" and _is_installed("mujoco"):
        return _mujoco(alone, scene)
    if scene.hand_asset is not None:
        raise RenderingUnavailable(f"{_INSTALL['mujoco']}, nor can the mock draw env.handAsset={scene.hand_asset}")
    return _mock(alone, scene)


def read_state(config: Config, path: Path, content: Optional[bytes] = None) -> Dict[str, Any]:
    """What a checkpoint holds: an ``Algorithm.state_dict()``, or the parts of one where rl_games itself wrote the file.

    ``content`` is what has been read of it already. Raises ``CheckpointError``, and ``ConfigError`` where the file
    could run code and ``train.trustCheckpoint`` is not set.
    """
    content = read_checkpoint(path) if content is None else content
    try:
        state = parse_checkpoint(path, content)
    except ForeignCheckpointError:
        from dexhand.rl.foreign import UntrustedCheckpointError, parse_foreign

        train = config.train
        try:
            return parse_foreign(path, content, trust=train.trustCheckpoint, activation=train.network.activation)
        except UntrustedCheckpointError as error:
            raise ConfigError(f"train.trustCheckpoint=false: {error}") from None
    if not {"model", "epoch", "dexhand"} <= state.keys():
        raise CheckpointError(path, "not the checkpoint of a training: it lacks the model, epoch or network sizes")
    return state


def build_policy(config: Config, path: Path, state: Mapping[str, Any], env: TaskEnv) -> Policy:
    """The policy of a checkpoint.

    Raises ``ConfigError`` where it was trained for another task, or for other observations or actions than ``config``
    has, and ``CheckpointError`` where it cannot act.
    """
    from dexhand.rl.policy import RlGamesPolicy

    check_contract(config, path, state)
    try:
        policy = RlGamesPolicy.from_state(state, env.device)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(path, f"its network cannot be built: {error}") from error
    if not bool(torch.isfinite(policy.act(torch.zeros(1, policy.spec.num_observations, device=env.device))).all()):
        raise CheckpointError(path, "its policy answers with numbers that are not finite; the training has diverged")
    trained = (policy.spec.num_observations, policy.spec.num_actions)
    needed = (env.single_observation_space.shape[0], env.single_action_space.shape[0])
    if trained != needed:
        raise ConfigError(
            f"train.checkpoint={path} was trained with {trained[0]} observations and {trained[1]} actions; "
            f"task={config.task.name} has {needed[0]} and {needed[1]}. "
            "Give the task and the task.* settings it was trained with"
        )
    return policy


def policy_loader(config: Config, env: TaskEnv) -> Load:
    """What a ``ReloadWatcher`` needs to make policies for ``env`` of files."""

    def load(path: Path, content: bytes) -> Tuple[Policy, int]:
        state = read_state(config, path, content)
        return build_policy(config, path, state, env), int(state["epoch"])

    return load


def check_contract(config: Config, path: Path, state: Mapping[str, Any]) -> None:
    """Raise ``ConfigError`` where the observations or actions of a checkpoint mean something else than ``config``'s.

    Files that do not say what theirs mean (rl_games's own) pass.
    """
    trained, needed = state["dexhand"].get("contract", {}), _contract(config)
    for key, value in needed.items():
        if key in trained and trained[key] != value:
            key_given = "task" if key == "task.name" else key
            raise ConfigError(
                f"{key_given}={_shown(value)}: {path} was trained with {key_given}={_shown(trained[key])}. "
                "Give the task and the task.* settings it was trained with"
            )


def _contract(config: Config) -> Dict[str, Any]:
    """What observations and actions mean; a policy trained under another contract would act on nonsense."""
    task = config.task
    return {
        "task.name": task.name,
        "task.policy_observation_keys": list(task.policy_observation_keys),
        "task.controlMode": task.controlMode,
        "task.policy_controls_hand_base": task.policy_controls_hand_base,
        "task.policy_controls_fingers": task.policy_controls_fingers,
    }


def _shown(value: Any) -> str:
    return "[" + ",".join(value) + "]" if isinstance(value, list) else str(value)


@dataclass(frozen=True)
class TrainingSinks:
    """Where a training's reports go."""

    metrics: List[MetricSink]
    hard_examples: List[HardExampleSink]


def build_training_sinks(config: Config, run: Run, first_step: Optional[int] = None) -> TrainingSinks:
    """Sinks in the folder of ``run``, and elsewhere if asked for; what TensorBoard has of ``first_step`` is replaced.

    Raises ``ConfigError`` where Weights & Biases refuses.
    """
    from dexhand.sinks.hard_example_folder import HardExampleFolder
    from dexhand.sinks.tensorboard import TensorBoardSink

    tensorboard = TensorBoardSink(run.summaries, first_step=first_step)
    sinks = TrainingSinks([tensorboard], [tensorboard, HardExampleFolder(run.hard_examples)])
    if config.train.wandb.enabled:
        wandb = _wandb(config, run)
        sinks.metrics.append(wandb)
        sinks.hard_examples.append(wandb)
    return sinks


def _wandb(config: Config, run: Run) -> "WandbSink":
    from dexhand.sinks.wandb import WandbRefused, WandbSink

    settings = config.train.wandb
    try:
        return WandbSink(
            run.path,
            run.wandb_id_file,
            project=settings.project,
            entity=settings.entity,
            name=settings.name or run.name,
            config=asdict(config),
        )
    except WandbRefused as error:
        raise ConfigError(f"train.wandb.enabled=true: {error} Or keep it on this machine: WANDB_MODE=offline") from None


def build_sinks(summaries: Path) -> List[MetricSink]:
    """Sinks of a test that write into its run folder."""
    from dexhand.sinks.tensorboard import TensorBoardSink

    return [TensorBoardSink(summaries)]
