"""A function that runs as a program, in processes without torch."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest


def run(main: str) -> "subprocess.CompletedProcess[str]":
    """Run the body of a function as a program."""
    code = f"import atexit, os, signal, sys, threading, time\nfrom dexhand.core.program import run_program\n{main}\n"
    command = [sys.executable, "-c", f"{code}run_program(main)\n"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_a_callback_is_not_lost(number: signal.Signals) -> None:
    """Where Python drops a ``KeyboardInterrupt``, as during imports: the process ends, without a word."""
    done = run(
        "class Interrupting:\n"
        "    def __del__(self):\n"
        f"        os.kill(os.getpid(), {int(number)})\n"
        "def main():\n"
        "    Interrupting()\n"
        "    print('lost')\n"
        "    return 0"
    )
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", "")


def test_a_working_folder_that_was_deleted() -> None:
    """One line says so, before a library ends the process."""
    done = run(
        "import tempfile\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    os.chdir(folder)\n"
        "def main():\n"
        "    print('started')\n"
        "    return 0"
    )
    line = "error: the working folder cannot be used: No such file or directory. Change to one that exists\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


def test_a_thread_that_never_ends_does_not_keep_the_process() -> None:
    """What is printed arrives, exit functions are called, and the exit code is the function's."""
    done = run(
        "from dexhand.core import program\n"
        "program.PATIENCE = 0.1\n"
        "atexit.register(print, 'at exit', end='')\n"
        "def main():\n"
        "    threading.Thread(target=threading.Event().wait).start()\n"
        "    print('result', end=', ')\n"
        "    return 3"
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "result, at exit", "")


@pytest.mark.parametrize(
    ("program", "late"),
    [
        ("dexhand.runs", "dexhand.workspace"),
        ("dexhand.replay", "dexhand.config"),
        ("dexhand.app", "typing"),
        ("scripts/train.py", "logging"),
        ("scripts/train_play.py", "pathlib"),
        ("scripts/checkpoint_control_panel.py", "threading"),
        ("scripts/test_training_mock.py", "dexhand.mock_training"),
        ("scripts/test_hard_examples_integration.py", "dexhand.mock_training"),
    ],
)
def test_a_signal_during_imports_ends_a_program_without_a_word(program: str, late: str) -> None:
    """Ctrl-C shows no traceback, however early it comes."""
    code = (
        "import os, runpy, signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name == {late!r}:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        f"runpy.{'run_path' if program.endswith('.py') else 'run_module'}({program!r}, run_name='__main__')\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (130, "")


def test_an_error_is_a_traceback_and_exit_code_1() -> None:
    """As in any program; a ``SystemExit`` keeps its code."""
    done = run("def main():\n    raise ValueError('a bug')")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("ValueError: a bug\n")
    assert run("def main():\n    sys.exit(2)").returncode == 2
