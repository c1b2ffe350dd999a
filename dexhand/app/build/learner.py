"""The learner, and who watches it."""

from collections.abc import Callable, Sequence

from dexhand.app.build.env import build_drawing_simulator
from dexhand.app.build.machine import backend_of
from dexhand.app.build.policies import contract_of
from dexhand.config.schema import Config
from dexhand.core.interfaces import Algorithm, ResetPose
from dexhand.core.task_env import TaskEnv
from dexhand.distributed.process_group import ProcessGroup
from dexhand.hard_examples.episode_recorder import EpisodeRecorder
from dexhand.hard_examples.pictures import PosePictures
from dexhand.hard_examples.reports import HardExampleSink
from dexhand.hard_examples.worst_episodes import WorstEpisodeSettings, WorstEpisodesTracker


def build_algorithm(
    config: Config,
    env: TaskEnv,
    processes: ProcessGroup | None = None,
    hard_example_sinks: Sequence[HardExampleSink] = (),
) -> Algorithm:
    """The learner; with ``train.hardExamples`` it tells the sinks of the worst episodes, see ``WorstEpisodesTracker``.

    ``processes`` are those that train together, if several do.
    """
    from dexhand.rl.rl_games import RlGamesPpo

    hard = config.train.hardExamples
    recorder = EpisodeRecorder(env, _final_pose(env) if env.keep_final_pose else None)
    learner = RlGamesPpo(
        recorder if hard.enabled else env,
        config.train.ppo,
        config.train.network,
        max_iterations=config.train.maxIterations,
        env_kind=f"{backend_of(config)}:{config.task.name}:{env.num_envs}",
        contract=contract_of(config),
        keep_sample_losses=hard.enabled,
        processes=processes,
    )
    if not hard.enabled:
        return learner
    settings = WorstEpisodeSettings(hard.keep, hard.reportInterval, forget=hard.since == "report")
    return WorstEpisodesTracker(learner, recorder, settings, hard_example_sinks, _pictures(config, env))


def _final_pose(env: TaskEnv) -> Callable[[], ResetPose]:
    def final_pose() -> ResetPose:
        assert env.final_pose is not None  # it is asked for after a step
        return env.final_pose

    return final_pose


def _pictures(config: Config, env: TaskEnv) -> PosePictures | None:
    hard = config.train.hardExamples
    if not env.keep_final_pose:
        return None
    return PosePictures(
        lambda: build_drawing_simulator(config, env.simulator.scene), hard.pictureWidth, hard.pictureHeight
    )
