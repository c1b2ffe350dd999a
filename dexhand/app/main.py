"""The entry point: train, test or describe a run. Slow imports are deferred until the command line is validated."""

import contextlib
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dexhand.app.logs import log_traceback, logging_to_console
from dexhand.checkpoints.folder import iteration_of
from dexhand.checkpoints.format import config_in
from dexhand.config.cli import Invocation, Page, Program, SavedConfigs, Sweep, parse
from dexhand.config.compose import to_yaml
from dexhand.config.errors import ConfigError
from dexhand.config.schema import Config
from dexhand.config.settings import SavedConfig
from dexhand.core.interfaces import EnvironmentFault
from dexhand.distributed.place import CannotJoin, Place, place_of_process
from dexhand.files.output import output_code, printable
from dexhand.hands.spec import HandError
from dexhand.workspace.checkpoint_names import CheckpointSource, find_run, find_source, resolve_checkpoint
from dexhand.workspace.workspace import Run, WorkspaceError, refuse_traps

if TYPE_CHECKING:
    from rich.console import Console

log = logging.getLogger(__name__)

TRAIN = Program()
"""``dexhand train``."""


def main(argv: Sequence[str]) -> int:
    """Run a command line.

    Returns the exit code: 0; 1 if the end of a training could not be saved, or environments failed; 2 if the
    configuration is invalid, with a one-line explanation on standard error; 130 after Ctrl-C before anything started.
    """
    return exit_code_of(lambda: run_words(argv))


def exit_code_of(work: Callable[[], int]) -> int:
    """Do ``work`` and return its exit code; what is wrong with the user's input is 2, with one line that says it."""
    try:
        return work()
    except (ConfigError, HandError, WorkspaceError) as error:
        lines = [line.strip() for line in str(error).splitlines()]  # of MuJoCo, for example
        return _report("; ".join(filter(None, lines)))
    except OSError as error:
        problem = error.strerror or str(error)
        what = "reading or writing a file, or /dev/shm" if error.filename is None else error.filename
        return _report(f"{what}: {problem}")
    except KeyboardInterrupt:
        return 130


def run_words(argv: Sequence[str], program: Program = TRAIN) -> int:
    """Run a command line like ``main``, but raise the errors of ``exit_code_of``."""
    request = parse(argv, Workspaces())
    if isinstance(request, Page):
        print(request.text, end="")  # noqa: T201
        return output_code()
    if isinstance(request, Sweep):
        from dexhand.app.sweep import run_jobs

        return run_jobs(request)
    return run(replace(request, program=program))


def _report(problem: str) -> int:
    print(f"error: {printable(problem)}", file=sys.stderr)  # noqa: T201
    return 2


class Workspaces(SavedConfigs):
    """``SavedConfigs`` of the runs in workspaces."""

    def to_resume(self, spec: str, runs_dir: str) -> Path:
        """See ``SavedConfigs.to_resume``."""
        return _run_to_resume(spec, runs_dir)[0].config_file

    def behind(self, checkpoint: str, runs_dir: str) -> SavedConfig | None:
        """See ``SavedConfigs.behind``; errors in ``checkpoint`` are reported when it is loaded."""
        try:
            source = find_source(checkpoint, Path(runs_dir))
            newest = next(iter(source.checkpoints()), None)
        except WorkspaceError:
            return None
        if newest is not None and newest.parent.name != "nn":  # copied out of its run
            with contextlib.suppress(ValueError):
                if (text := config_in(newest)) is not None:
                    return SavedConfig(newest, text)
        places = source.folders() if newest is None else [newest.parent.parent]
        files = (Run(place).config_file for place in places)
        return next((SavedConfig(file) for file in files if file.is_file()), None)


def run(invocation: Invocation) -> int:
    """Train, test or describe; returns the exit code. Raises ``ConfigError`` or ``WorkspaceError``."""
    from rich.console import Console

    console = Console(highlight=False)
    place, train = _place(), invocation.config.train
    with logging_to_console(console, train.logLevel if place.is_leader else "error"):
        for warning in invocation.warnings:
            log.info("%s", warning)
        try:
            return _test(invocation, console, place) if train.test else _train(invocation, console)
        except EnvironmentFault as error:
            said = ". ".join([str(error), *getattr(error, "__notes__", [])])
            log.error("%s ends: %s", "The test" if train.test else "Training", said)
            log_traceback(error)
            return 1


def _place() -> Place:
    try:
        return place_of_process()
    except CannotJoin as error:
        raise ConfigError(str(error)) from None


def _test(invocation: Invocation, console: "Console", place: Place) -> int:
    config = invocation.config
    if place.size > 1:
        raise ConfigError("train.test=true plays in one process. Start it without torchrun")
    if config.train.checkpoint is None:
        raise ConfigError("train.test=true needs train.checkpoint: latest, a run folder or a .pth file")
    source = find_source(config.train.checkpoint, Path(config.train.runsDir))
    if config.train.against is not None:
        return _compare(invocation, source, config.train.against, console)
    if config.train.testEvery:
        return _rank(invocation, source, console)
    if invocation.dry_run:
        _check(config)
        found = source.checkpoints()
        _describe(config, "Test", str(found[0]) if found else f"{source}, which holds no checkpoint yet", console)
        return output_code()
    from dexhand.app.evaluate import evaluate

    return _played(lambda: evaluate(invocation, source, console))


def _compare(invocation: Invocation, source: CheckpointSource, against: str, console: "Console") -> int:
    config = invocation.config
    checkpoint = resolve_checkpoint(source.spec, Path(config.train.runsDir))
    try:
        other = resolve_checkpoint(against, Path(config.train.runsDir))
    except WorkspaceError as error:
        raise ConfigError(str(error).replace("train.checkpoint=", "train.against=", 1)) from None
    from dexhand.app.compare import check_contenders, compare

    if invocation.dry_run:
        _check(config)
        check_contenders(config, checkpoint, other)
        _describe(config, "Compare", f"{checkpoint} against {other}", console)
        return output_code()
    return _played(lambda: compare(invocation, checkpoint, other))


def _rank(invocation: Invocation, source: CheckpointSource, console: "Console") -> int:
    config = invocation.config
    found = [path for path in source.checkpoints() if iteration_of(path) is not None]
    numbered = sorted(found, key=lambda path: iteration_of(path) or 0)
    if not numbered:
        raise ConfigError(f"train.testEvery=true: there are no numbered checkpoints in {source}. Name another run")
    from dexhand.app.rank import rank, rankable

    if invocation.dry_run:
        _check(config)
        _describe(config, "Rank", f"{len(rankable(config, numbered))} checkpoints in {source}", console)
        return output_code()
    return _played(lambda: rank(invocation, numbered, console))


def _played(play: Callable[[], int]) -> int:
    from dexhand.core.finite import Diverged

    try:
        return play()
    except Diverged as error:
        log.error("The test ends: %s is not finite. Correct the environment that returned it", error)
        return 1


def _train(invocation: Invocation, console: "Console") -> int:
    config, checkpoint = invocation.config, None
    resumed: Run | None = None
    if invocation.resume is not None:
        resumed, checkpoint = _run_to_resume(invocation.resume, config.train.runsDir)
        refuse_traps(resumed, is_trusted=config.train.trustCheckpoint)
    elif config.train.checkpoint is not None:
        checkpoint = resolve_checkpoint(config.train.checkpoint, Path(config.train.runsDir))
    if invocation.dry_run:
        _check(config)
        place = f" in {resumed.path}" if resumed else ""
        _describe(config, "Train", f"{checkpoint or 'scratch'}{place}", console)
        return output_code()
    from dexhand.app.train import train

    return train(invocation, checkpoint, resumed, console)


def _run_to_resume(spec: str, runs_dir: str) -> tuple[Run, Path]:
    """Find the run that ``resume=`` names, and its checkpoint. Raises ``ConfigError``."""
    try:
        return find_run(spec, Path(runs_dir))
    except WorkspaceError as error:
        raise ConfigError(str(error).replace("train.checkpoint=", "resume=", 1)) from None


def _check(config: Config) -> None:
    """Refuse in a dry run what the run itself would refuse."""
    from dexhand.app.build import check_buildable

    check_buildable(config)


def _describe(config: Config, verb: str, start: str, console: "Console") -> None:
    """Print the plan of a dry run."""
    episodes = config.train.testGamesNum
    if not config.train.test:
        limit = f"up to iteration {config.train.maxIterations}"
    elif episodes == 0:
        limit = "without end"
    else:
        limit = f"for {episodes} episode{'s' * (episodes > 1)}"
    for line in (
        f"# {verb} {config.subject} in {config.env.numEnvs} environments {limit}",
        f"# from {start}; nothing was started: dry run",
    ):
        console.print(line, markup=False, soft_wrap=True)
    console.print(to_yaml(config), markup=False, soft_wrap=True, end="")
