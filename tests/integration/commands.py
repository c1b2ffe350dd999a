"""Real processes of the training script."""

import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import List

TRAIN = Path(__file__).parents[2] / "scripts" / "train.py"
BACKEND = "mujoco" if find_spec("mujoco") else "mock"
SMALL = [f"sim.backend={BACKEND}", "numEnvs=4", "train.network.units=[16]", "train.ppo.horizon_length=8"]


def start(arguments: List[str], folder: Path) -> "subprocess.Popen[str]":
    """Start the training script in ``folder``."""
    return subprocess.Popen(
        [sys.executable, str(TRAIN), *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def run(arguments: List[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the training script in ``folder`` to its end."""
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
