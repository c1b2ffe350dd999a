"""The page that ``--help`` prints, made from the schema and the alias tables."""

import textwrap
from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from typing import Any

from dexhand.config.aliases import ALIASES, NEGATED, OLD_KEYS, OLD_SECTIONS, SHORT_FORMS
from dexhand.config.keys import GROUPS, Key, all_keys, is_unused, tasks_with
from dexhand.config.overrides import INCOMPLETE_TASKS
from dexhand.config.schema import Config
from dexhand.config.sources import names_of, shown
from dexhand.tasks import TASK_CONFIGS

_WIDTH, _COLUMN = 118, 40

_INTRODUCTION = """\
Train a policy for the DexHand, or play one.

usage: dexhand train|test|watch [key=value ...] [options]

examples:
  dexhand train task=BaseTask maxIter=20             train for 20 iterations
  dexhand test checkpoint=latest testGamesNum=20     play 20 episodes with the newest policy: config=test test=true
  dexhand watch                                      watch the newest policy in the browser: config=watch test=true
  dexhand train resume=latest maxIter=40             continue the newest run up to iteration 40
  dexhand train physics=fast numEnvs=64 --dry-run    show the whole configuration, start nothing
  dexhand train --multirun seed=1,2,3 task=BaseTask,BoxGrasping
                                                     six runs, one after the other

  checkpoint=latest without test=true starts a new run from the newest checkpoint. testGamesNum=0 plays until Ctrl-C and
  switches to newer policies as training saves them. config=debug starts from a whole configuration; key=value words
  change it.

options:
  -h, --help             this page; with task=NAME or other words, the keys and values that result from them
  --dry-run              check everything, find the checkpoint, print the plan and the configuration, and stop
  -c job, --cfg job      print the whole configuration and stop; with -p SECTION, --package SECTION a part of it
  -m, --multirun         keys may have several values (a,b,c or range(1,4)): one run for each combination
  config=NAME, -cn NAME, --config-name NAME
                         start from a whole configuration (below), or a YAML file such as a run's config.yaml
  resume=RUN             continue a run, in its folder, with its configuration; further keys change that.
                         RUN is latest, a run's name or a part of it, or one of the run's checkpoints
  -cd DIR, --config-dir DIR
                         your own folder with task/, train/, physics/ ... laid out like dexhand/config/cfg/; a
                         config.yaml in it, such as that of a run, replaces the built-in one
  hydra.searchpath=[file://DIR,pkg://PACKAGE]
                         further places with files to choose from
  -sc install=SHELL      print what makes SHELL (bash, fish, zsh) complete words with Tab:
                         eval "$(dexhand -sc install=bash)"

exit codes: 0 done; 1 the end of a training could not be saved; 2 the configuration cannot work (one line on standard
error gives the reason)
"""


def help_text(config: Config | None = None) -> str:
    """The text that ``--help`` prints: the defaults of all tasks, or the keys of ``config``'s task and its values."""
    return "\n".join([_INTRODUCTION, *_choices(), "", *_keys(config), *_aliases(), ""])


def _choices() -> Iterator[str]:
    yield "choices:"
    for group in GROUPS:
        names = (f"{name}:NAME" if name in INCOMPLETE_TASKS else name for name in names_of(group))
        yield f"  {group + '=':<11}{', '.join(names)}"
    yield f"  {'config=':<11}{', '.join(names_of(''))}"


def _keys(config: Config | None) -> Iterator[str]:
    if config is None:
        yield "keys, with their defaults; --help task=NAME shows those of a task:"
    else:
        yield "keys, with their values for this command line:"
    yield ""
    task_schema: Any = None if config is None else type(config.task)
    used = [key for key in all_keys(task_schema).values() if config is None or not is_unused(key.name, config)]
    for _, keys in groupby(used, lambda key: key.name.rpartition(".")[0]):
        for key in keys:
            value = key.default if config is None else attrgetter(key.name)(config)
            only = _only(key.name) if config is None and key.name.startswith("task.") else ""
            yield from _row(f"{key.name}={shown(value)}", f"{key.help} ({_allowed(key)}){only}")
        yield ""


def _only(key: str) -> str:
    """Say which of the built-in tasks have ``key``, if not all do."""
    tasks = tasks_with(key)
    if len(tasks) == len(TASK_CONFIGS):
        return ""
    kinds = {TASK_CONFIGS[task].kind for task in tasks}
    (kind, *others) = kinds
    of_kind = [name for name, config in TASK_CONFIGS.items() if config.kind == kind]
    which = kind if not others and tasks == of_kind else ", ".join(tasks)
    return f" [{which} only]"


def _allowed(key: Key) -> str:
    words = key.allowed()
    if key.choices and key.is_list:
        words += " out of " + ", ".join(str(choice) for choice in key.choices)
    return f"{words}, {key.unit}" if key.unit else words


def _row(left: str, right: str) -> Iterator[str]:
    """Two columns; a long left one is on separate lines."""
    left_lines = textwrap.wrap(left, _WIDTH - 2, break_on_hyphens=False)
    right_lines = textwrap.wrap(right, _WIDTH - _COLUMN, break_on_hyphens=False)
    if len(left_lines) == 1 and len(left) < _COLUMN - 3:
        yield f"  {left:<{_COLUMN - 2}}{right_lines.pop(0)}"
    else:
        yield from (f"  {line}" for line in left_lines)
    yield from (" " * _COLUMN + line for line in right_lines)


def _aliases() -> Iterator[str]:
    width = max(map(len, ALIASES)) + 2
    for title, table in (
        ("short forms:", SHORT_FORMS),
        ("old spellings, which work with a warning:", OLD_KEYS),
        ("old sections:", {f"{alias}.*": f"{section}.*" for alias, section in OLD_SECTIONS.items()}),
    ):
        yield title
        for alias, key in table.items():
            yield f"  {alias:<{width}}{'not ' if alias in NEGATED else ''}{key}"
    yield "keys of env and train need no section: numEnvs is env.numEnvs, seed train.seed"
    yield "camelCase and snake_case are the same: task.rewardWeights is task.reward_weights, env.num_envs env.numEnvs"
