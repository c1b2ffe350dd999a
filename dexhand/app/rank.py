"""A ranking of all numbered checkpoints of a run, which play from the same starts."""

import contextlib
import logging
import math
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from torch import Tensor

from dexhand.app import build
from dexhand.app.comparison_report import (
    Contender,
    Starts,
    in_words,
    number,
    percent,
    write_json,
)
from dexhand.app.ranking_chart import ranking_chart
from dexhand.app.run_folder import new_run
from dexhand.checkpoints.store import CheckpointError, read_checkpoint
from dexhand.config.cli import Invocation
from dexhand.config.errors import ConfigError
from dexhand.config.schema import Config
from dexhand.core.clock import SystemClock
from dexhand.core.comparison import (
    Result,
    StartsDiffer,
    check_starts,
    compare_returns,
    compare_success,
    estimate_return,
    estimate_success,
    play_round,
    round_seeds,
)
from dexhand.core.finite import refuse_non_finite
from dexhand.core.interfaces import Policy, VecEnv
from dexhand.core.process_state import process_state_restored
from dexhand.core.statistics import holm
from dexhand.core.stop import StopRequest
from dexhand.files.atomic import write_atomically
from dexhand.workspace.workspace import Run

log = logging.getLogger(__name__)

_LEAST_WIDTH = 100
"""Of the table, characters."""


@process_state_restored()
def rank(invocation: Invocation, checkpoints: Sequence[Path], console: Console) -> int:
    """Play each of ``checkpoints``, the oldest first, until all have played or a signal arrives.

    Returns the exit code. Raises ``ConfigError``, and ``Diverged`` if the environments do. A file that cannot be read
    is left out with a warning.
    """
    config, clock = invocation.config, SystemClock()
    build.check_machine(config)
    build.set_up_process(config)
    with StopRequest() as stop, contextlib.closing(build.build_env(config)) as env:
        load = build.policy_loader(config, env)
        exam = _Exam(refuse_non_finite(env), config.train.testGamesNum, config.train.seed)
        has_success = any(name.startswith("success:") for name in env.outcome_names)
        ranking = Ranking(has_success=has_success, seed=config.train.seed)
        with new_run("test", invocation, clock, lambda run: None, played=checkpoints[-1]) as (run, _):
            for count, path in enumerate(checkpoints, 1):
                try:
                    policy, iteration = load(path, read_checkpoint(path))
                    same = ranking.of_iteration(iteration)
                    if same is not None:
                        log.info("Left out: %s is of iteration %d, as is %s", path, iteration, same)
                        continue
                    results = exam.take(policy, stop)
                except CheckpointError as error:
                    log.warning("Left out: %s", error)
                    continue
                except StartsDiffer as error:
                    raise ConfigError(f"train.testEvery=true: {error}") from None
                if results is None:
                    break
                result = ranking.add(Contender(path, iteration, results))
                log.info("%d/%d  iteration %d: %s", count, len(checkpoints), iteration, result)
                ranking.write(run)
            exam.starts.warn()
            ranking.show(run, console)
    return 0


def rankable(config: Config, checkpoints: Sequence[Path]) -> list[Path]:
    """Those of ``checkpoints`` that can be read; logs a warning for each other one.

    Raises ``ConfigError`` for one of something else than ``config`` describes.
    """
    found = []
    for path in checkpoints:
        try:
            build.check_contract(config, path, build.read_state(config, path), policy_only=True)
            found.append(path)
        except CheckpointError as error:
            log.warning("Left out: %s", error)
    return found


class _Exam:
    """The same episodes for every policy."""

    def __init__(self, env: VecEnv, episodes: int, seed: int) -> None:
        self.starts = Starts()
        self._env = env
        self._episodes = episodes
        self._seeds = list(islice(round_seeds(seed), math.ceil(episodes / env.num_envs)))
        self._first: list[Tensor] = []

    def take(self, policy: Policy, stop: StopRequest) -> list[Result] | None:
        """Play all episodes; ``None`` if stopped before. Raises ``StartsDiffer``."""
        results: list[Result] = []
        for index, seed in enumerate(self._seeds):
            played = play_round(self._env, policy.act, seed, stop)
            if played is None:
                return None
            if index == len(self._first):
                self._first.append(played.starts)
                self.starts.add(played.starts)
            check_starts(self._first[index], played.starts, seed)
            results += played.results
        return results[: self._episodes]


class Ranking:
    """Checkpoints by success rate, if episodes can succeed, and then by mean return."""

    def __init__(self, *, has_success: bool, seed: int) -> None:
        """``seed``, from which the starts follow, is reported."""
        self._has_success = has_success
        self._seed = seed
        self._contenders: list[Contender] = []

    def of_iteration(self, iteration: int) -> Path | None:
        """Return the checkpoint that was added with this iteration, if any."""
        return next((other.path for other in self._contenders if other.iteration == iteration), None)

    def add(self, contender: Contender) -> str:
        """Add a checkpoint of another iteration than those before; returns its result in words."""
        self._contenders = sorted([*self._contenders, contender], key=lambda other: other.iteration)
        return ", ".join(f"{name} {text}" for name, text in self._cells(contender).items())

    def _cells(self, contender: Contender) -> dict[str, str]:
        cells = {"return": in_words(estimate_return(contender.results), number)}
        if self._has_success:
            cells = {"success": in_words(estimate_success(contender.results), percent), **cells}
        return cells

    def _ranked(self) -> list[tuple[Contender, float]]:
        """The best first, with the p-values of their differences from the best, adjusted for the number of tests."""
        ranked = sorted(self._contenders, key=self._merit, reverse=True)
        tests = [compare_returns, *([compare_success] if self._has_success else [])]
        p_values = [
            min(len(tests) * min(test(ranked[0].results, other.results).p for test in tests), 1.0)
            for other in ranked[1:]
        ]
        return list(zip(ranked, [1.0, *holm(p_values)]))

    def _merit(self, contender: Contender) -> tuple[float, float]:
        success = estimate_success(contender.results).value if self._has_success else 0.0
        return success, estimate_return(contender.results).value

    def write(self, run: Run) -> None:
        """Write the ranking so far, and its curve over iterations."""
        entries: list[dict[str, Any]] = [
            {"rank": rank, **contender.to_dict(has_success=self._has_success), "p_against_best": p}
            for rank, (contender, p) in enumerate(self._ranked(), 1)
        ]
        write_json(run.ranking_file, {"seed": self._seed, "checkpoints": entries})
        curves = {"mean return": [estimate_return(contender.results) for contender in self._contenders]}
        if self._has_success:
            curves = {"success rate": [estimate_success(contender.results) for contender in self._contenders], **curves}
        svg = ranking_chart([contender.iteration for contender in self._contenders], curves)
        write_atomically(run.ranking_chart, lambda file: file.write(svg.encode()))

    def show(self, run: Run, console: Console) -> None:
        """Print the table."""
        if not self._contenders:
            log.info("Stopped before the first checkpoint had played")
            return
        names = list(self._cells(self._contenders[0]))
        table = Table("", "iteration", *names, "like the best?", box=None, pad_edge=False, header_style="bold")
        for rank, (contender, p) in enumerate(self._ranked(), 1):
            like = "" if rank == 1 else f"p = {p:.2g}"
            table.add_row(str(rank), str(contender.iteration), *self._cells(contender).values(), like)
        if log.isEnabledFor(logging.INFO):
            console.print(table, width=max(console.width, _LEAST_WIDTH))
        log.info("Wrote %s and %s", run.ranking_file, run.ranking_chart)
