"""The adapter on the real Isaac Gym, on both pipelines: one simulation for each process."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ALONE = Path(__file__).with_name("engine_alone.py")
CHECKS = re.findall(r"^def (test_\w+)", ALONE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.gpu("isaacgym")
@pytest.mark.parametrize("device", ["cuda:0", "cpu"])
@pytest.mark.parametrize("check", CHECKS)
def test_isaac_gym(check: str, device: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "python38.ini"]
    result = subprocess.run(
        [*command, f"{ALONE}::{check}"],
        cwd=str(ALONE.parent),
        env={**os.environ, "ISAACGYM_TEST_DEVICE": device},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stdout[-3000:]
