"""Which OpenGL library MuJoCo draws with."""

import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere MuJoCo chooses")
def test_it_is_chosen_before_any_module_imports_mujoco() -> None:
    """MuJoCo would fail to draw without a display if it read the choice too early."""
    code = "import dexhand.sim, os, sys; print('mujoco' in sys.modules, os.environ['MUJOCO_GL'])"
    unset = {name: value for name, value in os.environ.items() if name not in ("MUJOCO_GL", "DISPLAY")}
    done = subprocess.run([sys.executable, "-c", code], env=unset, capture_output=True, text=True, check=True)
    assert done.stdout in [f"False {library}\n" for library in ("egl", "osmesa", "disable")]
