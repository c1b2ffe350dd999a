"""The page that ``--help`` prints, made from the schema and the alias table."""

from collections.abc import Iterator

from dexhand.config.aliases import ALIASES, NEGATED, OLD_KEYS, OLD_SECTIONS, SHORT_FORMS
from dexhand.config.files import names_of
from dexhand.config.keys import Key, all_keys, keys_of
from dexhand.config.task_schema import TASKS

_INTRODUCTION = """\
Train a policy for the DexHand, or play one.

usage: python scripts/train.py [key=value ...] [options]

examples:
  python scripts/train.py task=BaseTask maxIter=20           train for 20 iterations
  python scripts/train.py resume=latest maxIter=40           go on in the newest run, up to iteration 40
  python scripts/train.py checkpoint=latest maxIter=40       the same in a new run that begins where that one is
  python scripts/train.py test=true checkpoint=latest testGamesNum=20
                                                             play 20 games with the newest policy
  python scripts/train.py test=true checkpoint=latest testGamesNum=0
                                                             play the newest policy, and newer ones as training saves
                                                             them, until Ctrl-C
  python scripts/train.py physics=fast numEnvs=64 --dry-run  show the whole configuration, start nothing

  python scripts/train.py config=test_viewer checkpoint=latest
                                                             a whole configuration (below), changed by a key
  python scripts/train.py --multirun train.seed=1,2,3 task=BaseTask,BoxGrasping
                                                             six runs, one after the other

options:
  -h, --help             this page
  --dry-run              compose, check, find the checkpoint, print the plan and stop
  -c job, --cfg job      print the whole configuration and stop; with -p SECTION, --package SECTION a part of it
  -m, --multirun         keys may have several values (a,b,c or range(1,4)): one run for each combination
  config=NAME, -cn NAME, --config-name NAME
                         start from a whole configuration (below), or from a YAML file such as a run's own config.yaml
  resume=RUN             go on in a run, in its folder, with its configuration; keys given with it change that.
                         RUN is latest, a run's name or a part of it, or one of the run's checkpoints
  --config-dir DIR, -cd DIR
                         a folder of your own with task/, train/, physics/ ... laid out like dexhand/config/cfg/; a
                         config.yaml in it, such as a run's own, is used instead of ours
  hydra.searchpath=[file://DIR,pkg://PACKAGE]
                         further places with files to choose from
  -sc install=SHELL      print what makes SHELL (bash, fish, zsh) complete words with Tab:
                         eval "$(python scripts/train.py -sc install=bash)"

exit codes: 0 done; 1 the end of a training could not be saved; 2 the configuration cannot work (one line on standard
error says why)"""


def help_text() -> str:
    """The page."""
    return "\n".join([_INTRODUCTION, "", *_choices(), "", *_keys(), "", *_aliases(), ""])


def _choices() -> Iterator[str]:
    yield "choices:"
    for label, group in (
        ("task=", "task"),
        ("physics=", "physics"),
        ("actuators=", "actuators"),
        ("train=", "train"),
        ("config=", ""),
    ):
        yield f"  {label:<11}{', '.join(names_of(group))}"


def _keys() -> Iterator[str]:
    yield "keys (name = default: meaning; what is allowed):"
    section = ""
    tasks_of = {name: _tasks_with(name) for name in all_keys()}
    for name, key in all_keys().items():
        if name.partition(".")[0] != section:
            section = name.partition(".")[0]
            yield ""
        only = "" if len(tasks_of[name]) == len(TASKS) else f" [{', '.join(tasks_of[name])} only]"
        yield f"  {name} = {_shown(key.default)}: {key.help}; {_allowed(key)}{only}"


def _tasks_with(name: str) -> list[str]:
    if not name.startswith("task."):
        return list(TASKS)
    return [task for task, schema in TASKS.items() if name in {key.name for key in keys_of(schema, "task.")}]


def _allowed(key: Key) -> str:
    words = key.allowed()
    if key.choices and key.is_list:
        words += " out of " + ", ".join(str(choice) for choice in key.choices)
    return f"{words}, {key.unit}" if key.unit else words


def _shown(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ",".join(_shown(element) for element in value) + "]"
    return str(value)


def _aliases() -> Iterator[str]:
    width = max(map(len, ALIASES)) + 2
    for title, table in (
        ("short forms:", SHORT_FORMS),
        ("old spellings, which work and are remarked upon:", OLD_KEYS),
        ("old sections:", {f"{alias}.*": f"{section}.*" for alias, section in OLD_SECTIONS.items()}),
    ):
        yield title
        for alias, key in table.items():
            yield f"  {alias:<{width}}{'not ' if alias in NEGATED else ''}{key}"
    yield "camelCase and snake_case are the same: task.rewardWeights is task.reward_weights, env.num_envs env.numEnvs"
