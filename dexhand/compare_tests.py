"""``dexhand compare A B``: which of two tests went better, from their ``results.json``."""

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dexhand.app.comparison_report import in_full, in_words, number, percent
from dexhand.app.main import exit_code_of
from dexhand.config.errors import ConfigError
from dexhand.config.schema import TrainConfig
from dexhand.config.sources import leaves, read_run_file
from dexhand.core.comparison import (
    Difference,
    Result,
    compare_returns,
    compare_success,
    estimate_return,
    estimate_success,
)
from dexhand.core.statistics import (
    estimate_mean_difference,
    estimate_unpaired_rate_difference,
    fisher_p,
    relabelling_p,
)
from dexhand.files.output import output_code
from dexhand.workspace.listing import find, found_runs
from dexhand.workspace.workspace import Run, Workspace

_ABOUT = """\
Compares the episodes of two tests, with 95 % confidence intervals. If both began them alike (the same seed, task,
simulation and number of environments, an episode for each environment), they are compared in pairs, which shows smaller
differences. test=true checkpoint=A against=B plays two policies in pairs in any case."""

_START_KEYS = (
    *("task.", "sim.", "train.seed", "env.numEnvs", "env.hand", "env.actuators.", "env.initialHandPos"),
    *("env.controlDecimation", "env.factory"),
)
"""Settings that decide how episodes begin."""


@dataclass(frozen=True)
class PlayedTest:
    """A test that has ended."""

    name: str
    policy: str
    """What it played at the end."""
    results: Mapping[tuple[int, int], Result]
    """Its episodes by environment, and number within the environment from 1."""
    has_success: bool
    """Whether its episodes can succeed."""
    start: Mapping[str, Any]
    """The settings that decide how they began."""

    def __str__(self) -> str:
        played = [*self.results.values()]
        success = f", success {in_words(estimate_success(played), percent)}" if self.has_success else ""
        returns = f"return {in_words(estimate_return(played), number)}"
        return f"{self.name}, {self.policy}, {len(played)} episodes, {returns}{success}"

    @property
    def task(self) -> str:
        """What was played, as the command line names it."""
        factory = self.start.get("env.factory")
        name = self.start.get("task.id") or self.start.get("task.name")
        return f"task={name}" if factory is None else f"env.factory={factory}"


def main(argv: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="dexhand compare", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = "a test: its name, a part of it, latest_test, or its folder"
    parser.add_argument("a", metavar="A", help=names)
    parser.add_argument("b", metavar="B", help="another one")
    parser.add_argument("--runs-dir", default=TrainConfig.runsDir, help="the workspace (default: %(default)s)")
    arguments = parser.parse_args(argv)
    return exit_code_of(lambda: _compare(Workspace(Path(arguments.runs_dir)), arguments.a, arguments.b))


def _compare(workspace: Workspace, *specs: str) -> int:
    a, b = (read_test(_folder(spec, workspace)) for spec in specs)
    if a.task != b.task:
        raise ConfigError(f"{a.name} is a test of {a.task}, {b.name} of {b.task}: their returns mean different things")
    paired = compare_pairs(a, b)
    returns, success = paired or compare_unpaired([*a.results.values()], [*b.results.values()])
    lines = [
        f"A: {a}",
        f"B: {b}",
        f"{len(a.results)} pairs of episodes that began alike" if paired else "Not in pairs: not all began alike",
        f"return: {in_full(returns, number)}",
    ]
    if a.has_success or b.has_success:
        lines.append(f"success: {in_full(success, percent)}")
    if any(len({*test.results.values()}) == 1 < len(test.results) for test in (a, b)):
        lines.append("All episodes of a test are alike, copies of one episode: its intervals mean nothing")
    print("\n".join(lines))  # noqa: T201
    return output_code()


def _folder(spec: str, workspace: Workspace) -> Path:
    folder = Path(spec)
    if Run(folder).results_file.is_file():
        return folder
    tests = [run for run in found_runs(workspace.view) if Run(run.path).results_file.is_file()]
    return find(spec, tests, workspace).path


def read_test(folder: Path) -> PlayedTest:
    """Read the results of the test in ``folder``. Raises ``ConfigError``."""
    run = Run(folder)
    try:
        content = json.loads(run.results_file.read_text(encoding="utf-8"))
        counts: Counter[int] = Counter()
        results = {}
        for game in content["games"]:
            counts[game["env_id"]] += 1
            result = Result(float(game["episode_return"]), int(game["length"]), str(game["outcome"]))
            results[game["env_id"], counts[game["env_id"]]] = result
        policy = f"{Path(content['checkpoint']).name} of iteration {int(content['checkpoints'][-1]['iteration'])}"
        has_success = content["summary"].get("success_rate") is not None
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ConfigError(f"{run.results_file} cannot be read: {type(error).__name__}: {error}") from None
    if not results:
        raise ConfigError(f"{run.results_file} holds no episodes")
    settings = leaves(read_run_file(run.config_file))
    start = {key: value for key, value in settings if key.startswith(_START_KEYS)}
    return PlayedTest(folder.resolve().name, policy, results, has_success, start)


def compare_pairs(a: PlayedTest, b: PlayedTest) -> tuple[Difference, Difference] | None:
    """Compare mean returns and success rates of episodes that began alike; ``None`` if not all did.

    Only the first episode of each environment does: when the next one begins depends on the policy.
    """
    if a.start != b.start or a.results.keys() != b.results.keys() or any(count > 1 for _, count in a.results):
        return None
    first, second = [*a.results.values()], [b.results[key] for key in a.results]
    return compare_returns(first, second), compare_success(first, second)


def compare_unpaired(a: Sequence[Result], b: Sequence[Result]) -> tuple[Difference, Difference]:
    """Compare mean returns and success rates of episodes that have no pairs."""
    returns_a, returns_b = ([result.episode_return for result in results] for results in (a, b))
    returns = Difference(estimate_mean_difference(returns_a, returns_b), relabelling_p(returns_a, returns_b))
    counts = sum(result.is_success for result in a), len(a), sum(result.is_success for result in b), len(b)
    return returns, Difference(estimate_unpaired_rate_difference(*counts), fisher_p(*counts))
