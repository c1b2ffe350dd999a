"""What the adapter is given in these tests: a hand of two joints, and a box."""

import copy
import json
from pathlib import Path
from typing import Any, Dict

from isaacgym_worker.adapter import IsaacGymAdapter

HEIGHT = 0.5
"""Of the hand's root, metres."""
DT = 0.02
"""Seconds of a step."""

SCENE: Dict[str, Any] = {
    "asset": str(Path(__file__).with_name("toy_hand.xml")),
    "hand_position": [0.2, 0.0, HEIGHT],
    "joints": [  # not the order of the file
        {"name": "hinge", "lower": 0.0, "upper": 1.5, "stiffness": 20.0, "damping": 2.0, "effort": 50.0},
        {"name": "slide", "lower": -0.5, "upper": 0.5, "stiffness": 2000.0, "damping": 100.0, "effort": 500.0},
    ],
    "bodies": [
        {"name": "root", "friction": 0.0, "collision_filter": 2},
        {"name": "palm", "friction": 1.0, "collision_filter": 2},
        {"name": "finger", "friction": 2.0, "collision_filter": 1},
        {"name": "tip", "friction": 0.0, "collision_filter": 2},
    ],
    "tracked_bodies": ["tip", "palm"],
    "contact_bodies": ["finger"],
    "boxes": [{"name": "box", "size": [0.04, 0.06, 0.08], "mass": 0.2, "friction": 1.0, "rgb": [0.5, 0.8, 1.0]}],
    "ground_friction": 0.5,
    "cameras": [{"name": "default", "position": [0.9, -0.7, 0.8], "target": [0.2, 0.0, 0.4], "fovy": 45.0}],
}

for joint in SCENE["joints"]:
    joint["armature"] = 0.02

SETTINGS: Dict[str, Any] = {
    "num_envs": 3,
    "device": "cpu",
    "graphics_device": None,
    "viewer": False,
    "dt": DT / 2,
    "substeps": 4,
    "calls_per_step": 2,
    "physx": {
        "solver_type": 1,
        "num_position_iterations": 16,
        "num_velocity_iterations": 0,
        "contact_offset": 0.001,
        "rest_offset": 0.0005,
        "bounce_threshold_velocity": 0.15,
        "max_depenetration_velocity": 0.2,
        "default_buffer_size_multiplier": 4.0,
        "max_gpu_contact_pairs": 2048,
        "num_threads": 2,
    },
}


def make(scene: Dict[str, Any] = {}, **settings: Any) -> IsaacGymAdapter:  # noqa: B006
    """``SCENE`` and ``SETTINGS`` with these changes, as they arrive from another process."""
    data = json.loads(json.dumps(({**SCENE, **scene}, {**SETTINGS, **settings})))
    return IsaacGymAdapter(*data)


def changed(key: str, **values: Any) -> Dict[str, Any]:
    """``SCENE`` with these values in the first element of a list."""
    elements = copy.deepcopy(SCENE[key])
    elements[0].update(values)
    return {key: elements}
