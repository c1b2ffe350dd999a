"""With ``forked_python`` the Python programs that a test starts are forks of a process that has made slow imports."""

import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PYTHON = sys.executable
WARM_PYTHON = Path(__file__).with_name("warm_python.py")
SLOW = [
    "torch._dynamo",
    "torch.utils.tensorboard",
    "dexhand.app.main",
    "dexhand.app.train",
    "dexhand.app.evaluate",
]
SLOW += ["dexhand.rl.rl_games", "dexhand.mock_training.training_run", "torch.distributed.run"]


@pytest.fixture(scope="session")
def warm_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An executable file that is as good as Python."""
    folder = tmp_path_factory.mktemp("warm")
    stand_in, address = folder / "python", folder / "socket"
    words = [PYTHON, "-I", "-S", str(WARM_PYTHON), "run", str(address)]
    stand_in.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    stand_in.chmod(0o755)
    server = subprocess.Popen(
        [PYTHON, str(WARM_PYTHON), "serve", str(address), str(stand_in), *SLOW],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    while not address.exists():
        assert server.poll() is None, "the warm Python ended before it served"
        time.sleep(0.01)
    yield str(stand_in)
    server.communicate()


@pytest.fixture
def forked_python(warm_python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those too that such a program starts."""
    monkeypatch.setattr(sys, "executable", warm_python)
