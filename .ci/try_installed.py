#!/usr/bin/env python3
"""Try the installed package as its users have it: outside the checkout, with nothing but what it requires.

Where torch is not installed, only what needs none is tried. Exits with 1 at the first thing that fails.
"""

import compileall
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).parents[1] / "dexhand"
TINY = ["numEnvs=4", "train.network.units=[16]", "train.ppo.horizon_length=8", "train.ppo.mini_epochs=1", "maxIter=1"]
WITHOUT_TORCH = [
    ["--version"],
    ["--help"],
    ["new", "task", "Mine"],
    ["new", "hand", "my_hand"],
    ["export-config", "task=BlindGrasping", "env.hand=my_hand"],
    ["export-config", "physics=fast"],
    ["-sc", "install=bash"],
]
WITH_TORCH = [
    ["train", "--config-dir", "conf", "--help", "task=Mine"],
    ["train", "task=BlindGrasping", "env.hand=my_hand", "--dry-run"],
    ["demo", "--seconds", "1"],
    ["train", "--config-dir", "conf", "task=Mine", *TINY],
    ["test", "testGamesNum=2"],
    ["runs"],
]


def contents(package: Path) -> dict[str, bytes]:
    """The files of a package."""
    files = (path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(package)): path.read_bytes() for path in files}


def main() -> int:
    """Compare the files, then run the commands in an empty folder."""
    found = importlib.util.find_spec("dexhand")
    assert found is not None, "dexhand is not installed"
    assert found.origin is not None
    package = Path(found.origin).parent
    assert package != CHECKOUT, "dexhand is the checkout's"
    installed, expected = contents(package), contents(CHECKOUT)
    differing = sorted(name for name in {*installed, *expected} if installed.get(name) != expected.get(name))
    assert not differing, f"not as in the checkout: {differing}"
    assert compileall.compile_dir(package, quiet=1), "a module does not compile"
    commands = WITHOUT_TORCH + (WITH_TORCH if importlib.util.find_spec("torch") else [])
    with tempfile.TemporaryDirectory() as folder:
        for words in commands:
            program = [str(Path(sys.executable).parent / "dexhand"), *words]
            environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
            done = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
            print("dexhand", *words, "->", done.returncode, flush=True)
            if done.returncode or not done.stdout:
                print(done.stdout, done.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
