"""The list of runs as a table for people."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dexhand.files.words import age_in_words, size_in_words
from dexhand.workspace.listing import Facts, FoundRun

_WIDE = 200
"""Width in files and pipes, which get unbroken lines."""


def print_table(runs: Sequence[FoundRun], facts: Sequence[Facts]) -> None:
    """Print a line for each run."""
    console = _console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in ("run", "task", "kind", "age", "iterations", "best return", "size", ""):
        right = header in ("age", "iterations", "best return", "size")
        table.add_column(header, justify="right" if right else "left", overflow="fold", no_wrap=False)
    for run, fact in zip(runs, facts):
        table.add_row(*(Text(cell) for cell in _cells(run, fact)))
    console.print(table)
    if any(fact.kind == "test" for fact in facts):
        console.print("For tests: episodes and mean return.", style="dim")
    for fact in facts:
        if fact.problem is not None:
            console.print(f"?  {fact.problem}", style="yellow", markup=False, soft_wrap=True)


def print_differences(names: Sequence[str], values: Mapping[str, Sequence[str]]) -> None:
    """Print a line for each key, with its value in each of the runs ``names``."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in ("key", *names):
        table.add_column(header, overflow="fold")
    for key, row in values.items():
        table.add_row(key, *(Text(value) for value in row))
    _console().print(table)


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDE)


def _cells(run: FoundRun, fact: Facts) -> list[str]:
    missing = "" if fact.problem is None else "?"
    done, result = _count(fact.iterations, ""), _decimal(fact.best_return)
    if fact.iterations is None and fact.games is not None:
        done, result = _count(fact.games, " episode" if fact.games == 1 else " episodes"), _decimal(fact.mean_return)
    return [
        run.name,
        fact.task or "?",
        fact.kind or "?",
        age_in_words(fact.age),
        done or missing,
        result or missing,
        size_in_words(fact.size),
        _state(run, fact),
    ]


def _state(run: FoundRun, fact: Facts) -> str:
    pins = [f"pinned as {name}" if name != run.name else "pinned" for name in run.pinned]
    shown = ["shown"] if run.shown else []
    return ", ".join([*(["running"] if fact.running else []), *(pins or shown)])


def _count(number: int | None, unit: str) -> str:
    return "" if number is None else f"{number:,}{unit}"


def _decimal(number: float | None) -> str:
    return "" if number is None else f"{number:.2f}"
