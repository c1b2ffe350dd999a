"""The folder of a run, when it begins and when it goes on."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dexhand.app.logs import log_to_file
from dexhand.config.cli import Invocation
from dexhand.config.compose import to_yaml
from dexhand.config.schema import TrainConfig
from dexhand.core.interfaces import Clock
from dexhand.workspace.links import Limits
from dexhand.workspace.records import record
from dexhand.workspace.run_name import RunKind
from dexhand.workspace.workspace import PublishError, Run, Workspace, lock_run

log = logging.getLogger(__name__)


@contextmanager
def new_run(kind: RunKind, invocation: Invocation, clock: Clock, played: Path | None = None) -> Iterator[Run]:
    """A new run in a folder of its own, held for as long as it lasts, recorded and shown in the workspace."""
    config = invocation.config
    workspace = _workspace(config.train)
    run = workspace.create_run(config.train.experimentName or config.subject, kind, clock)
    with lock_run(run):
        _record(run, invocation, played)
        _show(run, kind, workspace)
        log.info("%s run %s", kind.capitalize(), run.path)
        yield run


def go_on(run: Run, invocation: Invocation) -> None:
    """Write down that the training ``run`` goes on, and how, and show it in the workspace as the latest."""
    _record(run, invocation, None)
    _show(run, "train", _workspace(invocation.config.train))
    log.info("Train run %s goes on", run.path)


def _workspace(train: TrainConfig) -> Workspace:
    limits = Limits(train.maxTrainRuns, train.maxTestRuns, train.maxRecentRuns)
    return Workspace(Path(train.runsDir), limits if train.useCleanWorkspace else None)


def _record(run: Run, invocation: Invocation, played: Path | None) -> None:
    log_to_file(run.log_file)
    record(run, to_yaml(invocation.config), ["python", "scripts/train.py", *invocation.argv], played)


def _show(run: Run, kind: RunKind, workspace: Workspace) -> None:
    try:
        workspace.publish(run, kind)
    except PublishError as error:  # a view is not worth a run
        log.warning("%s", error)
