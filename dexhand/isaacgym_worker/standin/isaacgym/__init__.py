"""A stand-in for Isaac Gym Preview 4, which is closed, needs Python 3.8 and a GPU, and cannot run in CI.

Its names and signatures are the real ones. Underneath is MuJoCo where it is installed, kinematics elsewhere. What the
real one answers with a crash or with garbage (a call out of order, an index of the wrong domain, a tensor on the wrong
device) raises ``IsaacGymMisuse``.
"""

import sys

# The real package refuses to come after torch. On Pythons that it does not run on, the order cannot matter.
if sys.version_info < (3, 9) and "torch" in sys.modules:
    raise ImportError("PyTorch was imported before isaacgym modules. Import isaacgym before torch")
