"""Command lines that nobody means: they run, or end with one line; never a traceback, never slowly."""

import random
from pathlib import Path
from typing import Any

from findings import Attack
from forks import TINY, program, run, tiny

from dexhand.config.aliases import ALIASES
from dexhand.config.keys import GROUPS, Key, all_keys, sections

SECONDS = 10.0
"""Processor time that composing a configuration may take on a busy machine; a hundred times what it takes."""
VALUES = [
    *("", "null", "true", "false", "nan", "-inf", "0", "-1", "1", "1e-300", "1e300", "1_000", "0x1F", "1:30", "3.5"),
    *(
        "9" * 30,
        "9" * 5000,
        "a",
        "ä",
        "日本",
        "\udcff",
        "a b",
        " ",
        "'",
        '"',
        "'a'",
        "\\",
        "a\nb",
        "\t",
        "\x1b[31m",
        "%s",
    ),
    *("[]", "[1,2]", "[[1]]", "[null]", "{}", "{a:1}", "{a:{b:2}}", "[" * 50, "]" * 50, "(1,2)", "{", "}"),
    *("${x}", "${env.numEnvs}", "${oc.env:HOME}", "${oc.env:NO_SUCH}", "${now:%Y}", "${", "$"),
    *(
        "choice(1,2)",
        "range(1,4)",
        "range(0,1e12)",
        "glob(*)",
        "sort(3,1)",
        "interval(0,1)",
        "1,2",
        "1,2,",
        "shuffle(1,2)",
    ),
    *("/", "..", "/dev/null", "/dev/zero", "/proc/self/mem", "~", "a/b.py:C", "os:system", "os.path:join", ":", "a:"),
    *("???", "!!int 3", "&a", "*a", "#", "---", "...", "<<", "@", "=", "==", "a=b", "-", "--", "+1", "2001-01-01"),
]
FLAGS = [
    *(
        "-h",
        "--help",
        "--cfg",
        "--cfg=job",
        "-c",
        "job",
        "-p",
        "train.ppo",
        "--package=",
        "--resolve",
        "--multirun",
        "-m",
    ),
    *("--config-name", "-cn", "-cd", "--config-dir=.", "--resume", "--multirun", "--resume=latest", "-sc"),
    *(
        "--local-rank=0",
        "--local_rank",
        "--dry-run",
        "--dry",
        "--",
        "-",
        "---",
        "-x",
        "--=",
        "query=bash",
        "install=bash",
    ),
]


def a_key(draw: random.Random) -> str:
    """One that there is, an old spelling, a section, or one letter off."""
    names = draw.choice((list(all_keys()), list(ALIASES), list(sections()), list(GROUPS), ["config", "resume"]))
    name = draw.choice(names)
    place = draw.randrange(len(name))
    return draw.choice((name, name, name, name[:place] + name[place + 1 :], name + "." + draw.choice(names), ""))


def a_fitting_value(draw: random.Random, key: Key) -> Any:
    """A value within the range of a key, most often."""
    none = key.default if key.plain_type is key.type else "null"
    candidates = [key.default, key.low, key.high, *(key.choices or ()), none]
    if key.plain_type is bool:
        candidates += ["true", "false"]
    value = draw.choice([value for value in candidates if value is not None] or ["null"])
    return f"[{value}]" if key.is_list and not isinstance(value, list) else value


def a_word(draw: random.Random) -> str:
    """A flag, a key with a value, or a piece of one."""
    kind = draw.random()
    if kind < 0.1:
        return draw.choice(FLAGS)
    if kind < 0.15:
        return "".join(chr(draw.randrange(1, 0x300)) for _ in range(draw.randrange(12)))
    if kind < 0.5:
        key = draw.choice(list(all_keys().values()))
        return f"{key.name}={a_fitting_value(draw, key)}".replace(" ", "")
    sign = draw.choice(("", "", "", "", "+", "++", "~", "-", "--"))
    value = draw.choice((draw.choice(VALUES), draw.choice(VALUES) + draw.choice(VALUES)))
    return sign + a_key(draw) + draw.choice(("=", "=", "=", "=", "", "==", " = ", ":", "@")) + value


def test_fuzzed_command_lines(attack: Attack, tmp_path: Path) -> None:
    """Words in any order and number, as a dry run."""
    assert run(program(*TINY, "maxIter=1"), tmp_path).code == 0
    before = sorted(tmp_path.rglob("*"))
    count, accepted, slowest = attack.times(1_000), 0, 0.0
    for number in range(count):
        words = [a_word(attack.draw) for _ in range(attack.draw.choice((1, 1, 2, 3, 5, 8)))]
        words.insert(attack.draw.randrange(len(words) + 1), "--dry-run")
        end = run(program(*words), tmp_path)
        accepted += end.code == 0
        slowest = max(slowest, end.cpu)
        if end.problem or end.cpu > SECONDS:
            attack.found(f"{number}: {str(words)[:300]}: {end.problem or f'{end.cpu:.1f} s'}")
        if sorted(tmp_path.rglob("*")) != before:
            attack.found(f"{number}: {str(words)[:300]}: files were written")
            before = sorted(tmp_path.rglob("*"))
    attack.report("fuzzed command lines", count)
    attack.report("fuzzed command lines: accepted", accepted)
    attack.report("fuzzed command lines: slowest, ms of processor time", round(1e3 * slowest))
    attack.conclude()


SIZES = (
    "numEnvs",
    "units",
    "horizon",
    "maxIterations",
    "threads",
    "mini_epochs",
    "device",
    "wandb",
    "render",
    "backend",
)
"""Keys that decide how long a training takes and what it needs contain one of these."""


def test_fuzzed_trainings(attack: Attack, tmp_path: Path) -> None:
    """Settings within their ranges, as a training of one iteration, which is then resumed and played."""
    keys = [key for key in all_keys().values() if not any(size in key.name for size in SIZES)]
    count, trained = attack.times(200), 0
    for number in range(count):
        folder = tmp_path / str(number)
        folder.mkdir()
        chosen = attack.draw.sample(keys, attack.draw.choice((1, 2, 4)))
        words = [f"{key.name}={a_fitting_value(attack.draw, key)}".replace(" ", "") for key in chosen]
        commands = [[*tiny(*words), "maxIter=1"], ["resume=latest", "maxIter=2"]]
        commands.append([*words, "test=true", "checkpoint=latest", "testGamesNum=1", "sim.backend=mock"])
        for command in commands:
            end = run(program(*command), folder)
            trained += end.code == 0
            if end.problem:
                attack.found(f"{number}: {' '.join(command)[:400]}: {end.problem}")
            if end.code:
                break
    attack.report("fuzzed trainings, each resumed and played", count)
    attack.report("fuzzed trainings: starts, resumes and tests that ended with 0", trained)
    attack.conclude()
