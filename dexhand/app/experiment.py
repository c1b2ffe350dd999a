"""One run, from a command line that has been read to an exit code: train, test or describe."""

import logging
import os
from pathlib import Path

from rich.console import Console

from dexhand.app.logs import log_to_console
from dexhand.config.cli import Invocation, fail
from dexhand.config.compose import to_yaml
from dexhand.config.errors import ConfigError
from dexhand.config.import_order import import_simulator_before_torch
from dexhand.config.schema import Config
from dexhand.config.validate import missing_features
from dexhand.workspace.checkpoint_names import find_run, find_source, resolve_checkpoint
from dexhand.workspace.workspace import Run, WorkspaceError

log = logging.getLogger(__name__)


class Workspaces:
    """``SavedConfigs`` of the runs in workspaces."""

    def to_resume(self, spec: str, runs_dir: str) -> Path:
        """See ``SavedConfigs.to_resume``."""
        try:
            run, _ = find_run(spec, Path(runs_dir))
        except WorkspaceError as error:
            raise ConfigError(str(error).replace("train.checkpoint=", "resume=", 1)) from None
        return run.config_file

    def behind(self, checkpoint: str, runs_dir: str) -> Path | None:
        """See ``SavedConfigs.behind``; what is wrong with ``checkpoint`` is said when it is played."""
        try:
            source = find_source(checkpoint, Path(runs_dir))
            places = [path.parent.parent for path in source.checkpoints()[:1]] or source.folders()
        except (WorkspaceError, OSError):
            return None
        files = (Run(place).config_file for place in places)
        return next((file for file in files if file.is_file()), None)


def run(invocation: Invocation) -> int:
    """Train, test or describe, as configured.

    Returns the exit code: 0, or 1 where the end of a training could not be saved. Exits with 2 where the configuration
    cannot work.
    """
    console = Console(highlight=False)
    is_leader = os.environ.get("RANK", "0") == "0"  # of several processes that torchrun started, one speaks
    log_to_console(console, invocation.config.train.logLevel if is_leader else "error")
    for remark in invocation.warnings:
        log.info("%s", remark)
    try:
        return _test(invocation, console) if invocation.config.train.test else _train(invocation, console)
    except (ConfigError, WorkspaceError) as error:
        fail(error)


def _test(invocation: Invocation, console: Console) -> int:
    config = invocation.config
    if config.train.checkpoint is None:
        raise ConfigError("train.test=true needs train.checkpoint: latest, a run folder or a .pth file")
    source = find_source(config.train.checkpoint, Path(config.train.runsDir))
    if invocation.dry_run:
        games = f"{config.train.testGamesNum} games" if config.train.testGamesNum else "games without end"
        found = source.checkpoints()
        _describe(config, f"Test {games} of", str(found[0]) if found else f"{source}, which holds none yet", console)
        return 0
    _refuse_missing_features(config)
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise ConfigError("train.test=true plays in one process. Start it without torchrun")
    import_simulator_before_torch(config.sim.backend)
    from dexhand.app.evaluate import play

    return play(invocation, source, console)


def _train(invocation: Invocation, console: Console) -> int:
    config, checkpoint = invocation.config, None
    continued: Run | None = None
    if invocation.resume is not None:
        continued, checkpoint = find_run(invocation.resume, Path(config.train.runsDir))
    elif config.train.checkpoint is not None:
        checkpoint = resolve_checkpoint(config.train.checkpoint, Path(config.train.runsDir))
    if invocation.dry_run:
        place = f" in {continued.path}" if continued else ""
        _describe(config, "Train", f"{checkpoint or 'scratch'}{place}", console)
        return 0
    _refuse_missing_features(config)
    import_simulator_before_torch(config.sim.backend)
    from dexhand.app.train import train

    return train(invocation, checkpoint, continued, console)


def _refuse_missing_features(config: Config) -> None:
    for problem in missing_features(config):
        raise ConfigError(problem)


def _describe(config: Config, verb: str, start: str, console: Console) -> None:
    """The plan of a dry run."""
    limit = "" if config.train.test else f" up to iteration {config.train.maxIterations}"
    for line in (
        f"# {verb} {config.task.name} in {config.env.numEnvs} environments{limit}",
        f"# from {start}; nothing was started: dry run",
        *(f"# would end with an error: {problem}" for problem in missing_features(config)),
    ):
        console.print(line, markup=False, soft_wrap=True)
    console.print(to_yaml(config), markup=False, soft_wrap=True, end="")
