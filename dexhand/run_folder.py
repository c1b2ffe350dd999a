"""The folder of a run, when it begins and when it goes on."""

import logging
from pathlib import Path
from typing import Optional

from dexhand.config.cli import Invocation
from dexhand.config.compose import to_yaml
from dexhand.core.interfaces import Clock
from dexhand.core.workspace import Run, RunKind, Workspace, record
from dexhand.logs import log_to_file

log = logging.getLogger(__name__)


def begin(kind: RunKind, invocation: Invocation, clock: Clock, played: Optional[Path] = None) -> Run:
    """Make the folder of a new run, write down how the run came about, and show it in the workspace."""
    workspace = Workspace(Path(invocation.config.train.runsDir))
    config = invocation.config
    run = workspace.create_run(config.train.experimentName or config.task.name, kind, clock)
    _record(run, invocation, played)
    workspace.publish(run)
    log.info("%s run %s", kind.capitalize(), run.path)
    return run


def go_on(run: Run, invocation: Invocation) -> None:
    """Write down that ``run`` goes on, and how, and show it in the workspace as the latest."""
    _record(run, invocation, None)
    Workspace(Path(invocation.config.train.runsDir)).publish(run)
    log.info("Train run %s goes on", run.path)


def _record(run: Run, invocation: Invocation, played: Optional[Path]) -> None:
    log_to_file(run.log_file)
    record(run, to_yaml(invocation.config), ["python", "scripts/train.py", *invocation.argv], played)
