"""A comparison of two checkpoints, each of which plays half of the environments from the same starts."""

import contextlib
import copy
import logging
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from dexhand.app import build
from dexhand.app.comparison_report import ComparisonReport, Contender
from dexhand.app.run_folder import new_run
from dexhand.checkpoints.reload import Load
from dexhand.checkpoints.store import CheckpointError, read_checkpoint
from dexhand.config.cli import Invocation
from dexhand.config.errors import ConfigError
from dexhand.config.schema import Config
from dexhand.core.clock import SystemClock
from dexhand.core.comparison import StartsDiffer, interleaved, play_round, round_seeds, side_by_side
from dexhand.core.finite import Diverged, refuse_non_finite
from dexhand.core.interfaces import EnvironmentFault, Policy
from dexhand.core.process_state import process_state_restored
from dexhand.core.stop import StopRequest
from dexhand.view.watched_env import watched

log = logging.getLogger(__name__)


@process_state_restored()
def compare(invocation: Invocation, checkpoint: Path, against: Path) -> int:
    """Play ``checkpoint``, A, and ``against``, B, until there are enough pairs of episodes or a signal arrives.

    Returns the exit code: 0, or 1 if the environments diverged. Raises ``ConfigError``, also if the environments do not
    repeat their starts.
    """
    config, clock = invocation.config, SystemClock()
    build.check_machine(config)
    build.set_up_process(config)
    half = copy.deepcopy(config)
    assert half.env.numEnvs is not None  # set by validation
    half.env.numEnvs //= 2
    with StopRequest() as stop, contextlib.ExitStack() as stack:
        left, right = (stack.enter_context(contextlib.closing(build.build_env(half))) for _ in range(2))
        env, load = side_by_side(left, right), build.policy_loader(config, left)
        a, policy_a = _contender("checkpoint", checkpoint, load)
        b, policy_b = _contender("against", against, load)

        def act(observations: Tensor) -> Tensor:
            return interleaved(policy_a.act(observations[::2]), policy_b.act(observations[1::2]))

        screens = build.build_screens(config, env, clock, stop) if config.env.videoStream else build.Screens()
        stack.callback(screens.close)
        seen = watched(refuse_non_finite(env), screens.viewers)
        with new_run("test", invocation, clock, lambda run: None, played=checkpoint) as (run, _):
            report = ComparisonReport(
                *(a, b),
                pairs=config.train.testGamesNum,
                seed=config.train.seed,
                has_success=any(name.startswith("success:") for name in env.outcome_names),
                file=run.comparison_file,
                clock=clock,
                show=None if screens.page is None else screens.page.show_comparison,
            )
            screens.show_run(run.name)
            for seed in round_seeds(config.train.seed):
                try:
                    played = play_round(seen, act, seed, stop, screens.control)
                except StartsDiffer as error:
                    raise ConfigError(f"train.against={config.train.against}: {error}") from None
                except (Diverged, EnvironmentFault):
                    report.close()  # the rounds before count
                    raise
                if played is None or report.add(played):
                    break
            report.close()
    return 0


def check_contenders(config: Config, checkpoint: Path, against: Path) -> None:
    """Raise ``ConfigError`` for a checkpoint that ``compare`` would refuse before it builds anything."""
    for key, path in (("checkpoint", checkpoint), ("against", against)):
        with _named(key):
            build.check_contract(config, path, build.read_state(config, path), policy_only=True)


def _contender(key: str, path: Path, load: Load) -> tuple[Contender, Policy]:
    """Load the checkpoint that ``train.<key>`` names. Raises ``ConfigError``."""
    with _named(key):
        policy, iteration = load(path, read_checkpoint(path))
    return Contender(path, iteration), policy


@contextlib.contextmanager
def _named(key: str) -> Iterator[None]:
    """Let errors name ``train.<key>``."""
    try:
        yield
    except CheckpointError as error:
        raise ConfigError(f"train.{key}: {error}") from None
    except ConfigError as error:
        raise ConfigError(str(error).replace("train.checkpoint=", f"train.{key}=", 1)) from None
