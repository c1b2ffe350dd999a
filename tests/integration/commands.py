"""The training script, in processes of its own and in this one."""

import contextlib
import io
import logging
import os
import runpy
import subprocess
import sys
import time
from pathlib import Path

TRAIN = Path(__file__).parents[2] / "scripts" / "train.py"
BACKEND = "mujoco"
SMALL = [f"sim.backend={BACKEND}", "numEnvs=4", "train.network.units=[16]", "train.ppo.horizon_length=8"]


def start(arguments: list[str], folder: Path) -> "subprocess.Popen[str]":
    """Start the training script in ``folder``."""
    return subprocess.Popen(
        [sys.executable, str(TRAIN), *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def run(arguments: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the training script in ``folder`` to its end, in this process, which has the slow imports behind it."""
    out, err = io.StringIO(), io.StringIO()
    before, argv, handlers = os.getcwd(), sys.argv, logging.getLogger().handlers[:]
    os.chdir(folder)
    sys.argv = [str(TRAIN), *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            runpy.run_path(str(TRAIN), run_name="__main__")
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        os.chdir(before)
        sys.argv, logging.getLogger().handlers = argv, handlers
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def run_process(arguments: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the training script in ``folder`` to its end, in a process of its own."""
    process = start(arguments, folder)
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def wait_for(path: Path, process: "subprocess.Popen[str]", seconds: float = 60.0) -> None:
    """Wait until a file is there."""
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, f"the process ended early: {process.communicate()}"
        assert time.monotonic() < end, f"{path} did not appear within {seconds} s"
        time.sleep(0.02)
