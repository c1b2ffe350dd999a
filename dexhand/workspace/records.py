"""The record of how a run was started, sufficient to repeat it."""

import os
import platform
import shlex
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from pathlib import Path

from dexhand.files.atomic import append_atomically, remove_leftovers, write_atomically
from dexhand.files.digest import with_digest
from dexhand.workspace.workspace import Run, explained

GIT_TIMEOUT = 5.0
"""Seconds that one git command may take."""
_COMMANDS = tuple(f"{scope}\t{kind}." for scope in ("local", "worktree") for kind in ("filter", "hook"))
"""Settings of a repository that name commands, which git has no option to ignore."""


def record(run: Run, config_yaml: str, argv: Sequence[str], played: Path | None = None) -> None:
    """Record how the run was started: configuration, command, code, packages and the checkpoint it plays.

    When a run is resumed, its configuration is replaced (last), and everything else is appended. Raises
    ``WorkspaceError`` if a file cannot be written; that file stays as it was.
    """
    with explained(run.path):
        remove_leftovers(run.path)
        append_atomically(run.command_file, shlex.join(argv) + "\n")
        append_atomically(run.git_file, _git_state())
        append_atomically(run.packages_file, _packages())
        if played is not None:
            record_played(run, played)
        content = with_digest(config_yaml).encode()
        write_atomically(run.config_file, lambda file: file.write(content))


def record_played(run: Run, checkpoint: Path) -> None:
    """Record the checkpoint that a test run plays, which ``latest_test`` stands for. Raises ``OSError``."""
    content = os.fsencode(f"{_path_from(run.path, checkpoint)}\n")
    write_atomically(run.played_file, lambda file: file.write(content))


def _path_from(run: Path, checkpoint: Path) -> str:
    """A relative path if the checkpoint is in a run beside this one, so that the workspace can be moved."""
    folder, target = os.path.realpath(run), os.path.realpath(checkpoint)
    beside = os.path.commonpath([folder, target]) == os.path.dirname(folder)
    return os.path.relpath(target, folder) if beside else target


def _git_state() -> str:
    """Commit and uncommitted changes of the working directory's repository, or why git gave none."""
    try:
        commit = _git("rev-parse", "HEAD")
        settings = _git("config", "--list", "--show-scope", "--name-only").splitlines()
        if any(setting.startswith(_COMMANDS) for setting in settings):
            changes = "changes are not recorded: the repository configures filters or hooks, which are commands\n"
        else:
            changes = _git(
                "diff", "--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty", "--submodule=short", "HEAD"
            )
    except OSError as error:
        return f"git cannot be run: {error.strerror}\n"
    except subprocess.TimeoutExpired:
        return f"git did not answer within {GIT_TIMEOUT:g} s\n"
    except subprocess.CalledProcessError as error:
        complaint: bytes = error.stderr
        return complaint.decode(errors="replace")
    return f"commit {commit}\n{changes}"


def _git(*arguments: str) -> str:
    """The answer of git, without the commands that a repository can configure: it may be somebody else's."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_ALLOW_PROTOCOL": "none"}
    command = ["git", "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", *arguments]
    answer = subprocess.run(command, check=True, capture_output=True, timeout=GIT_TIMEOUT, env=environment)
    return answer.stdout.decode(errors="replace")


@cache
def _packages() -> str:
    """The Python version and every importable distribution, as ``name==version``."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:  # else left over from an uninstalled package
            found.setdefault(name.lower(), f"{name}=={distribution.version}")  # the first on the path is imported
    return "\n".join([f"Python {platform.python_version()}", *(found[name] for name in sorted(found))]) + "\n"
