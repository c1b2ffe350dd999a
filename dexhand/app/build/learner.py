"""Builders of the learner and of the tracker of its worst episodes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from dexhand.app.build.env import build_drawing_simulator
from dexhand.app.build.machine import backend_of
from dexhand.app.build.plugins import build_plugin
from dexhand.config.errors import ConfigError
from dexhand.config.plugins import load_plugin
from dexhand.config.schema import Config
from dexhand.core.finite import refuse_non_finite
from dexhand.core.interfaces import Algorithm, Policy, VecEnv
from dexhand.distributed.process_group import ProcessGroup
from dexhand.hand_env.pose_pictures import PosePictures
from dexhand.hand_env.task_env import TaskEnv
from dexhand.hard_examples.episode_recorder import EpisodeRecorder
from dexhand.hard_examples.reports import HardExampleSink
from dexhand.hard_examples.worst_episodes import WorstEpisodeSettings, WorstEpisodesTracker
from dexhand.view.watched_env import StepListener, watched


def build_algorithm(
    config: Config,
    env: VecEnv,
    group: ProcessGroup | None = None,
    hard_example_sinks: Sequence[HardExampleSink] = (),
    step_listeners: Sequence[StepListener] = (),
) -> Algorithm:
    """Build the learner; with ``train.hardExamples`` a ``WorstEpisodesTracker`` reports to ``hard_example_sinks``.

    The lists of sinks and of ``step_listeners`` may be filled later. ``group`` is the process group of a distributed
    training. Raises ``ConfigError``.
    """
    hard = config.train.hardExamples
    seen_env = watched(env, step_listeners)
    if not hard.enabled:
        return _learner(config, seen_env, group)
    recorder = EpisodeRecorder(seen_env, _final_pose(env))
    learner: Any = _learner(config, recorder, group)
    if not hasattr(learner, "sample_losses"):
        raise ConfigError(
            f"train.hardExamples.enabled=true: train.algorithm={config.train.algorithm} has no sample_losses to rank "
            "episodes by. Set it to false, or add the property of AlgorithmWithSampleLosses (dexhand/hard_examples)"
        )
    settings = WorstEpisodeSettings(hard.keep, hard.reportInterval, forget=hard.since == "report")
    return WorstEpisodesTracker(learner, recorder, settings, hard_example_sinks, _pictures(config, env))


def policy_builder(config: Config) -> Callable[..., Policy]:
    """Return ``AlgorithmClass.policy_from_state`` of ``train.algorithm``. Raises ``ConfigError``."""
    name = config.train.algorithm
    if name == "mock":
        from dexhand.mock.algorithm import MockAlgorithm

        return MockAlgorithm.policy_from_state
    if name == "rl_games":
        from dexhand.rl.rl_games import RlGamesPpo

        return RlGamesPpo.policy_from_state
    builder: Callable[..., Policy] | None = getattr(load_plugin("train.algorithm", name), "policy_from_state", None)
    if builder is None:
        raise ConfigError(
            f"train.algorithm={name} lacks policy_from_state, so its checkpoints cannot be played. AlgorithmClass in "
            "dexhand/core/interfaces.py describes it"
        )
    return builder


def _learner(config: Config, env: VecEnv, group: ProcessGroup | None) -> Algorithm:
    name, train = config.train.algorithm, config.train
    if name == "mock":
        from dexhand.mock.algorithm import MockAlgorithm

        return MockAlgorithm(batch_size=16 * (group.size if group else 1), seed=train.seed, group=group)
    if name == "rl_games":
        from dexhand.rl.rl_games import RlGamesPpo

        return RlGamesPpo(
            env,
            train.ppo,
            train.network,
            max_iterations=train.maxIterations,
            env_kind=_env_kind(config, env),
            keep_sample_losses=train.hardExamples.enabled,
            group=group,
        )
    policy_builder(config)  # raises if policies could not be built from its checkpoints
    if group is None or group.size == 1:
        alone: Algorithm = build_plugin("train.algorithm", name, Algorithm, refuse_non_finite(env), config)
        return alone
    # all processes must end alike, for which only the learner can provide
    algorithm: Algorithm = build_plugin("train.algorithm", name, Algorithm, env, config, group=group)
    return algorithm


def _env_kind(config: Config, env: VecEnv) -> str:
    """Return a key that is equal for environments that can continue each other's episodes."""
    simulator = backend_of(config) if config.env.factory is None else "env.factory"
    return f"{simulator}:{config.subject}:{env.num_envs}"


def _final_pose(env: VecEnv) -> Callable[[], Mapping[str, Tensor]] | None:
    if not (isinstance(env, TaskEnv) and env.keep_final_pose):
        return None

    def final_pose() -> Mapping[str, Tensor]:
        assert env.final_pose is not None  # only called after a step
        return vars(env.final_pose)

    return final_pose


def _pictures(config: Config, env: VecEnv) -> PosePictures | None:
    hard = config.train.hardExamples
    if not (isinstance(env, TaskEnv) and env.keep_final_pose):
        return None
    scene = env.simulator.scene
    return PosePictures(lambda: build_drawing_simulator(config, scene), hard.pictureWidth, hard.pictureHeight)
