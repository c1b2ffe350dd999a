"""Selection of MuJoCo's OpenGL backend, also for machines without a display."""

import ctypes
import os
import sys

INSTALL_HINT = "Install Mesa's EGL (Debian: apt-get install libegl1 libgl1) or OSMesa (apt-get install libosmesa6)."


def _loads(*libraries: str) -> bool:
    try:
        for library in libraries:
            ctypes.CDLL(library)
    except OSError:
        return False
    return True


def choose_gl_backend() -> None:
    """Set ``MUJOCO_GL``, which MuJoCo reads once when it is imported: EGL, else OSMesa, else a display, else nothing.

    Leaves a value set by the user alone, and does nothing if MuJoCo has already been imported.
    """
    if "MUJOCO_GL" in os.environ or "mujoco" in sys.modules or not sys.platform.startswith("linux"):
        return
    if _loads("libEGL.so.1", "libGL.so.1"):
        os.environ["MUJOCO_GL"] = "egl"
    elif _loads("libOSMesa.so.8"):
        os.environ["MUJOCO_GL"] = "osmesa"
    elif "DISPLAY" not in os.environ:
        os.environ["MUJOCO_GL"] = "disable"
