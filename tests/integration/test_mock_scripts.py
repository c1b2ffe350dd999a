"""The mock training scripts as a user starts them, and what they print."""

import functools
import json
import os
import re
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import Forked

from dexhand.distributed.launch import launch
from dexhand.mock_training import hard_example_run, training_run
from dexhand.mock_training.command_line import hard_example_settings, training_settings

SCRIPTS = Path(__file__).parents[2] / "scripts"
RULE = "=" * 80
STEP = r"Step +(\d+): loss=\d+\.\d{4}, grad_norm=\d+\.\d{4}, param_norm=\d+\.\d{4}, token_acc=0\.\d{4}, "
STEP += r"max_per_sample_loss=\d+\.\d{4}"
HARD_EXAMPLE = r"    #[123]: loss=\d\.\d{4}, step=\d+, lang_action=move \w+ \d+cm and move \w+ \d+cm \(len=\d+\)\.\.\."


def train(folder: Path, *flags: str) -> tuple[int, list[str]]:
    """The training script's work in this process: exit code and lines."""
    lines: list[str] = []
    code = training_run.run(training_settings(["--checkpoint_dir", str(folder), *flags]), lines.append)
    return code, lines


def write_line(path: Path, line: str) -> None:
    """What a process says that is a fork of this one."""
    with open(path, "a") as file:
        file.write(line + "\n")


def train_together(folder: Path, *flags: str) -> dict[str, Any]:
    """The training script's work in two forks of this process; returns its JSON object."""
    settings = training_settings(["--checkpoint_dir", str(folder), "--json", *flags])
    assert launch(training_run.run, (settings, functools.partial(write_line, folder / "said")), 2) == 0
    summary: dict[str, Any] = json.loads((folder / "said").read_text())
    return summary


def script(name: str, *flags: str) -> "subprocess.CompletedProcess[str]":
    """A script in a process of its own, to its end."""
    command = [sys.executable, str(SCRIPTS / name), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_the_training_prints_the_documented_form(tmp_path: Path) -> None:
    """The defaults: banner, a line every 10 steps, hard examples after step 50 and at the end, banner."""
    code, lines = train(tmp_path)
    assert code == 0
    assert lines[:13] == [
        RULE,
        "MOCK TRAINING TEST",
        RULE,
        "Configuration:",
        "  Steps: 100",
        "  Batch size: 16",
        "  Log interval: 10",
        "  Track hard examples: True",
        f"  Checkpoint dir: {tmp_path}",
        RULE,
        "Initializing mock model and training state...",
        "Initializing hard example tracker...",
        "Starting training loop...",
    ]
    assert lines[-3:] == [RULE, "Training complete!", RULE]
    steps = [match.group(1) for match in map(re.compile(STEP).fullmatch, lines) if match]
    assert steps == [*(str(step) for step in range(0, 100, 10)), "99"]
    at_50 = next(number for number, line in enumerate(lines) if line.startswith("Step   50:"))
    assert re.fullmatch(r"  Hard examples: 10 entries, threshold=\d\.\d{4}, total_samples=816", lines[at_50 + 1])
    assert all(re.fullmatch(HARD_EXAMPLE, line) for line in lines[at_50 + 2 : at_50 + 5])


def test_the_training_leaves_checkpoints_events_and_hard_examples(tmp_path: Path) -> None:
    """In its folder."""
    assert train(tmp_path, "--num_train_steps", "8", "--hard_example_log_interval", "3")[0] == 0
    assert {path.name for path in tmp_path.glob("*.pth")} >= {"latest.pth", "checkpoint_4.pth", "checkpoint_8.pth"}
    reports = [json.loads(line) for line in (tmp_path / "hard_examples.jsonl").read_text().splitlines()]
    assert [report["step"] for report in reports] == [3, 6, 7]
    assert list((tmp_path / "mock_summaries").glob("events.*"))


def test_without_hard_examples_nothing_is_said_of_them(tmp_path: Path) -> None:
    """Lines, report and file."""
    code, lines = train(tmp_path, "--num_train_steps", "4", "--no_hard_examples")
    assert code == 0
    assert "  Track hard examples: False" in lines
    assert not any("ard example" in line for line in lines if "Track" not in line and "Validated" not in line)
    assert not (tmp_path / "hard_examples.jsonl").exists()


def test_json_is_one_object_and_nothing_else(tmp_path: Path) -> None:
    """With the values of the last step."""
    code, lines = train(tmp_path, "--num_train_steps", "4", "--json")
    summary = json.loads("\n".join(lines))
    assert (code, summary["passed"], summary["problems"], summary["steps"]) == (0, True, [], 4)
    assert summary["metrics"]["info/iteration"] == 4.0
    assert len(summary["hard_examples"]["entries"]) == 10


def test_a_resumed_training_ends_like_one_that_was_not_interrupted(tmp_path: Path) -> None:
    """Every metric of the last step, bit for bit."""
    summaries: list[dict[str, Any]] = []
    for folder, *flags in (("a", "6"), ("a", "10", "--resume"), ("b", "10")):
        code, lines = train(tmp_path / folder, "--json", "--num_train_steps", *flags)
        assert code == 0, lines
        summaries.append(json.loads(lines[0]))
    assert summaries[1]["metrics"] == summaries[2]["metrics"]
    assert summaries[1]["hard_examples"]["entries"] == summaries[2]["hard_examples"]["entries"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--resume"], "there is no checkpoint"),
        (["--device", "cuda:99"], "there is no GPU 99"),
        (["--fsdp_devices", "3"], "--batch_size=16 must be a multiple of 3"),
    ],
)
def test_settings_that_do_not_work_are_said_in_one_line(
    flags: list[str], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2."""
    code, _ = train(tmp_path, *flags)
    error = capfd.readouterr().err
    assert code == 2
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_a_training_that_is_done_cannot_go_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Nor one with another seed."""
    assert train(tmp_path, "--num_train_steps", "4")[0] == 0
    assert train(tmp_path, "--num_train_steps", "4", "--resume")[0] == 2
    assert "has already done 4" in capfd.readouterr().err
    assert train(tmp_path, "--num_train_steps", "6", "--resume", "--seed", "1")[0] == 2
    assert "seed=1, but the training had 0. Give the same flags" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("test_training_mock.py", ["--num_train_step", "5"], "unrecognized arguments: --num_train_step 5"),
        ("test_hard_examples_integration.py", ["--steps", "ten"], "argument --steps: 'ten' is not a whole number"),
    ],
)
def test_a_mistyped_flag_is_said_in_one_line(name: str, flags: list[str], message: str) -> None:
    """Exit code 2, and nothing else is printed."""
    done = script(name, *flags)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert message in done.stderr


@pytest.mark.parametrize(
    ("number", "message"),
    [("0", "0 is out of range: expected 1 to 2147483647"), ("9" * 30, "expected 1 to 2147483647")],
)
def test_a_number_beyond_its_bounds_is_refused(number: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and one line."""
    with pytest.raises(SystemExit) as end:
        training_settings(["--batch_size", number])
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_the_focused_script_prints_the_documented_form() -> None:
    """A real process."""
    done = script("test_hard_examples_integration.py")
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[:10] == [
        RULE,
        "HARD EXAMPLE TRACKING INTEGRATION TEST",
        RULE,
        "Config:",
        "  Steps: 50",
        "  Batch size: 16",
        "  Buffer size: 50",
        "  Log interval: 10",
        "  Process index: 0",
        "  Process count: 1",
    ]
    step = r"Step +\d+: loss_range=\[\d\.\d\d, \d\.\d\d\], high_loss_count=\d, buffer_size=\d+"
    assert [bool(re.fullmatch(step, line)) for line in lines[11:16]] == [True] * 5
    assert "HARD EXAMPLES AT STEP 50:" in lines
    entry = r"    #\d+: loss=\d\.\d{4}, process=0, global_idx=\d+, image_shape=\(64, 64, 3\)"
    assert sum(bool(re.fullmatch(entry, line)) for line in lines) == 10
    assert "  Total samples seen: 800" in lines
    for claim in (
        "✓ Buffer size constraint satisfied",
        "✓ Buffer correctly sorted by loss",
        "✓ Keys match buffer entries",
        "✓ All buffer entries have valid images",
    ):
        assert claim in lines
    assert lines[-2:] == [RULE, "✅ TEST PASSED"]


def test_a_small_buffer_and_an_odd_batch_pass(tmp_path: Path) -> None:
    """The report shows what there is."""
    flags = ["--num_train_steps", "5", "--batch_size", "3", "--max_hard_examples_buffer", "2", "--seed", "5"]
    code, lines = train(tmp_path, *flags)
    assert code == 0
    assert any(line.startswith("  Hard examples: 2 entries") for line in lines)


@pytest.mark.parametrize(
    "flags", [["--steps", "1"], ["--buffer_size", "2"], ["--buffer_size", "1000", "--steps", "60"], ["--seed", "7"]]
)
def test_the_focused_test_passes_with_other_settings(flags: list[str]) -> None:
    """One step; a buffer larger than the data; another seed."""
    lines: list[str] = []
    assert hard_example_run.run(hard_example_settings(flags), lines.append) == 0, lines


# --- many processes ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("launched_processes_are_forks")
@pytest.mark.parametrize("shards", ["1", "2"])
def test_two_processes_end_like_one(tmp_path: Path, shards: str) -> None:
    """Whether each has the whole model or a part of it; they report together."""
    (tmp_path / "two").mkdir()
    two = train_together(tmp_path / "two", "--num_train_steps", "6", "--fsdp_devices", shards)
    one = json.loads(train(tmp_path / "one", "--num_train_steps", "6", "--json")[1][0])
    assert (two["processes"], two["passed"], two["sharded"]) == (2, True, shards == "2")
    assert two["hard_examples"]["processes"] == 2
    for name, value in one["metrics"].items():
        assert two["metrics"][name] == pytest.approx(value, rel=1e-4), name


@pytest.mark.usefixtures("launched_processes_are_forks")
def test_a_process_that_is_killed_ends_the_others(tmp_path: Path) -> None:
    """With exit code 1 and a line that says so."""
    flags = ["--fsdp_devices", "2", "--num_train_steps", "100000", "--log_interval", "1", "--checkpoint_dir", "."]
    training = Forked(flags, tmp_path, lambda: runpy.run_path(str(SCRIPTS / "test_training_mock.py"), {}, "__main__"))
    training.wait_for("^Step")
    os.kill(processes_of(training.pid)[-1], signal.SIGKILL)
    done = training.end()
    assert done.returncode == 1
    assert "error: process 1 of 2 was killed by SIGKILL; the others were ended" in done.stderr.splitlines()
    assert "Traceback" not in done.stderr


def processes_of(parent: int) -> list[int]:
    """Started by ``parent``, in order."""
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], stdout=subprocess.PIPE, text=True, check=True)
    return sorted(int(line) for line in done.stdout.split())
