"""The flags of the mock training scripts. Needs no torch: mistyped flags are reported at once."""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn


@dataclass(frozen=True)
class TrainingSettings:
    """The flags of ``scripts/test_training_mock.py``, described in ``training_settings``."""

    num_train_steps: int
    batch_size: int
    log_interval: int
    hard_example_log_interval: int
    max_hard_examples_buffer: int
    no_hard_examples: bool
    checkpoint_dir: Path
    fsdp_devices: int
    seed: int
    device: str
    resume: bool
    json: bool


@dataclass(frozen=True)
class HardExampleSettings:
    """The flags of ``scripts/test_hard_examples_integration.py``, described in ``hard_example_settings``."""

    steps: int
    buffer_size: int
    batch_size: int
    log_interval: int
    seed: int


def training_settings(arguments: list[str]) -> TrainingSettings:
    """Parse flags; a mistake ends the program with one line and exit code 2."""
    parser = _Parser(
        description="Test the whole training machinery in seconds: the real loop, optimizer, checkpoints, logging and "
        "hard examples on fake data, model and loss. Exits with 1 and a list if anything is not as it must be."
    )
    add = parser.add_argument
    add("--num_train_steps", type=_at_least(1), default=100, metavar="N", help="optimizer steps (100)")
    add("--batch_size", type=_at_least(1), default=16, metavar="N", help="samples a step, all processes together (16)")
    add("--log_interval", type=_at_least(1), default=10, metavar="N", help="steps from line to line (10)")
    add("--hard_example_log_interval", type=_at_least(1), default=50, metavar="N", help="from report to report (50)")
    add("--max_hard_examples_buffer", type=_at_least(1), default=50, metavar="N", help="hard examples kept (50)")
    add("--no_hard_examples", action="store_true", help="do not track hard examples")
    folder = Path(tempfile.gettempdir()) / "mock_training_checkpoints"
    add("--checkpoint_dir", type=Path, default=folder, metavar="DIR", help=f"where everything is written ({folder})")
    add("--fsdp_devices", type=_at_least(1), default=1, metavar="N", help="processes that share the model (1)")
    add("--seed", type=_at_least(0), default=0, metavar="N", help="of data, weights and random numbers (0)")
    add("--device", default="cpu", metavar="NAME", help="cpu, cuda or cuda:<number> (cpu)")
    add("--resume", action="store_true", help="go on from the newest checkpoint in the folder")
    add("--json", action="store_true", help="print one JSON object and nothing else")
    return TrainingSettings(**vars(parser.parse_args(arguments)))


def hard_example_settings(arguments: list[str]) -> HardExampleSettings:
    """Parse flags; a mistake ends the program with one line and exit code 2."""
    parser = _Parser(
        description="Test the tracking of hard examples alone: what is kept, in which order, with which pictures, and "
        "what is reported. Exits with 1 and a list if anything is not as it must be."
    )
    add = parser.add_argument
    add("--steps", type=_at_least(1), default=50, metavar="N", help="batches (50)")
    add("--buffer_size", type=_at_least(1), default=50, metavar="N", help="hard examples kept (50)")
    add("--batch_size", type=_at_least(1), default=16, metavar="N", help="samples a batch (16)")
    add("--log_interval", type=_at_least(1), default=10, metavar="N", help="steps from line to line (10)")
    add("--seed", type=_at_least(0), default=0, metavar="N", help="of the data (0)")
    return HardExampleSettings(**vars(parser.parse_args(arguments)))


_LARGEST = 2**31 - 1


class _Parser(argparse.ArgumentParser):
    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; --help lists all flags\n")


def _at_least(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
        if number < least:
            raise argparse.ArgumentTypeError(f"{number} is too small, it must be at least {least}")
        if number > _LARGEST:
            raise argparse.ArgumentTypeError(f"{number} is too large, it must be at most {_LARGEST}")
        return number

    return parse
