"""The flags of the mock training scripts. Needs no torch, so a mistyped flag is reported at once."""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn, TypeVar

Settings = TypeVar("Settings")
LARGEST = 2**31 - 1
CHECKPOINTS = Path(tempfile.gettempdir()) / "mock_training_checkpoints"


def _flag(default: Any, help: str, *, least: int | None = None) -> Any:
    """Declare a flag; ``least`` is the smallest value of a whole number."""
    return field(default=default, metadata={"help": help, "least": least})


@dataclass(frozen=True)
class TrainingSettings:
    """The flags of ``scripts/test_training_mock.py``."""

    num_train_steps: int = _flag(100, "optimizer steps", least=1)
    batch_size: int = _flag(16, "samples per step, of all processes together", least=1)
    log_interval: int = _flag(10, "steps between two lines of progress", least=1)
    hard_example_log_interval: int = _flag(50, "steps between two reports of hard examples", least=1)
    max_hard_examples_buffer: int = _flag(50, "hard examples kept", least=1)
    no_hard_examples: bool = _flag(False, "do not track hard examples")
    checkpoint_dir: Path = _flag(CHECKPOINTS, "folder of all files")  # noqa: RUF009
    fsdp_devices: int = _flag(1, "processes that share the model", least=1)
    seed: int = _flag(0, "seed of data, weights and random numbers", least=0)
    device: str = _flag("cpu", "cpu, cuda or cuda:<number>")
    resume: bool = _flag(False, "continue from the newest checkpoint in the folder")
    json: bool = _flag(False, "print one JSON object and nothing else")


@dataclass(frozen=True)
class HardExampleSettings:
    """The flags of ``scripts/test_hard_examples_integration.py``."""

    steps: int = _flag(50, "number of batches", least=1)
    buffer_size: int = _flag(50, "hard examples kept", least=1)
    batch_size: int = _flag(16, "samples per batch", least=1)
    log_interval: int = _flag(10, "steps between two lines of progress", least=1)
    seed: int = _flag(0, "seed of the data", least=0)


def training_settings(arguments: list[str]) -> TrainingSettings:
    """Parse flags; a mistake ends the program with one line and exit code 2."""
    return _parsed(
        TrainingSettings,
        arguments,
        "Test the whole training machinery in seconds: the real loop, optimizer, checkpoints, logging and hard "
        "examples on fake data, model and loss. Exits with 1 and a list of problems if a check fails.",
    )


def hard_example_settings(arguments: list[str]) -> HardExampleSettings:
    """Parse flags; a mistake ends the program with one line and exit code 2."""
    return _parsed(
        HardExampleSettings,
        arguments,
        "Test the tracking of hard examples alone: what is kept, in which order, with which pictures, and what is "
        "reported. Exits with 1 and a list of problems if a check fails.",
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; --help lists all flags\n")


def _parsed(settings: Callable[..., Settings], arguments: list[str], description: str) -> Settings:
    """Parse the flags that the fields of the dataclass ``settings`` declare."""
    parser = _Parser(description=description, allow_abbrev=False)
    for entry in fields(settings):  # type: ignore[arg-type]
        name, help, least = f"--{entry.name}", entry.metadata["help"], entry.metadata["least"]
        if entry.default is False:
            parser.add_argument(name, action="store_true", help=help)
        else:
            kind = type(entry.default) if least is None else _at_least(least)
            parser.add_argument(name, type=kind, default=entry.default, metavar="X", help=f"{help} (%(default)s)")
    return settings(**vars(parser.parse_args(arguments)))


def _at_least(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if not least <= number <= LARGEST:
            raise argparse.ArgumentTypeError(f"{number} is out of range: expected {least} to {LARGEST}")
        return number

    return parse
