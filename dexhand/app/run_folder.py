"""Setting up the folder of a new or resumed run."""

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from dexhand.app.logs import log_to_file
from dexhand.config.cli import Invocation
from dexhand.config.compose import to_yaml
from dexhand.config.schema import TrainConfig
from dexhand.core.interfaces import Clock
from dexhand.workspace.links import Limits
from dexhand.workspace.records import record
from dexhand.workspace.run_name import RunKind
from dexhand.workspace.workspace import PublishError, Run, Workspace, explained, lock_run

log = logging.getLogger(__name__)

T = TypeVar("T")


@contextmanager
def new_run(
    kind: RunKind, invocation: Invocation, clock: Clock, prepare: Callable[[Run], T], played: Path | None = None
) -> Iterator[tuple[Run, T]]:
    """Create a run in a new folder, record it, publish it in the workspace, and lock it during the block.

    ``prepare`` builds what needs the folder; yields the run and its result. If that or recording fails, the folder is
    removed, and no run was published.
    """
    config = invocation.config
    workspace = _workspace(config.train)
    run = workspace.create_run(config.train.experimentName or config.subject, kind, clock)
    with lock_run(run):
        try:
            _record(run, invocation, played)
            prepared = prepare(run)
        except BaseException:
            shutil.rmtree(run.path, ignore_errors=True)
            raise
        _publish(run, kind, workspace)
        link = Path(config.train.runsDir) / run.name
        what = "Training will save to:" if kind == "train" else "Test run"
        log.info("%s %s", what, link if link.is_dir() else run.path)
        yield run, prepared


def resume_run(run: Run, invocation: Invocation) -> None:
    """Record that the training ``run`` is resumed, and publish it in the workspace as the latest."""
    _record(run, invocation, None)
    _publish(run, "train", _workspace(invocation.config.train))
    log.info("Resuming train run %s", run.path)


def _workspace(train: TrainConfig) -> Workspace:
    limits = Limits(train.maxTrainRuns, train.maxTestRuns, train.maxRecentRuns)
    return Workspace(Path(train.runsDir), limits if train.useCleanWorkspace else None)


def _record(run: Run, invocation: Invocation, played: Path | None) -> None:
    with explained(run.path):
        log_to_file(run.log_file)
    record(run, to_yaml(invocation.config), ["dexhand", "train", *invocation.argv], played)


def _publish(run: Run, kind: RunKind, workspace: Workspace) -> None:
    try:
        workspace.publish(run, kind)
    except PublishError as error:  # the run works without its links in the workspace
        log.warning("%s", error)
