"""The scene, the poses and the reference kinematics that the simulator's suite works with."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dexhand.core.interfaces import Box, Camera, Gains, Scene, Simulator
from dexhand.hands import hand

DATA = Path(__file__).parent / "data" / "forward_kinematics.json"

NUM_ENVS = 4

SMALL_BOX = Box("small_box", size=(0.05, 0.04, 0.06), mass=0.1)
LARGE_BOX = Box("large_box", size=(0.2, 0.2, 0.2), mass=0.4)
BOX_PLACES = ((-0.5, 0.3), (-0.5, -0.3))
"""Where the boxes stand, x and y, out of the hand's way, metres."""

# not the order of the hand's file, so that a simulator which follows the file instead of the scene is found out
SCENE = Scene(
    hand_position=(0.1, -0.05, 0.5),
    bodies=(*hand.FINGERPADS, *hand.CONTACT_BODIES, hand.HAND_BODY, *reversed(hand.FINGERTIPS)),
    contact_bodies=tuple(reversed(hand.CONTACT_BODIES)),
    objects=(LARGE_BOX, SMALL_BOX),
    # the file's own gains ask for more force than the limits allow, and a servo at its limit chatters
    base_rotation_gains=Gains(stiffness=1000.0, damping=40.0),
    finger_gains=Gains(stiffness=50.0, damping=1.0, force_limit=2.0),
    cameras=(
        Camera("default", position=(0.9, -0.7, 0.8), target=(0.2, 0.0, 0.4)),
        Camera("above", position=(0.2, 0.01, 1.6), target=(0.2, 0.0, 0.0), fovy=50.0),
    ),
)
"""The hand and two boxes of different size and mass."""

DOF_LIMITS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(hand.BASE_JOINTS[:3], (-1.0, 1.0)),
    **dict.fromkeys(hand.BASE_JOINTS[3:], (-3.14, 3.14)),
    **dict.fromkeys(hand.FINGER_JOINTS, (0.0, 1.3)),
    "r_f_joint1_1": (0.0, 2.2),
    "r_f_joint2_1": (0.0, 0.3),
    "r_f_joint3_1": (-0.001, 0.001),
    "r_f_joint4_1": (0.0, 0.3),
    "r_f_joint5_1": (0.0, 0.6),
}
"""Lower and upper limit of every joint of the built-in hand, m or rad."""


PINCH: dict[str, float] = {
    "ARTz": -0.3012,
    "ARRx": -0.016,
    "ARRy": 0.431,
    "r_f_joint1_1": 1.014,
    "r_f_joint1_2": 0.975,
    "r_f_joint1_3": 0.058,
    "r_f_joint1_4": 0.058,
    "r_f_joint2_2": 0.624,
    "r_f_joint2_3": 0.438,
    "r_f_joint2_4": 0.438,
    "r_f_joint3_2": 0.657,
    "r_f_joint3_3": 0.540,
    "r_f_joint3_4": 0.540,
    "r_f_joint4_2": 0.6,
    "r_f_joint5_2": 0.6,
}
"""Joints at which thumb, index and middle finger touch two sides of the small box on the ground at ``PINCHED_AT``."""
PINCHED_AT = (0.2478, -0.0283, -0.0667)
"""Where the small box is then, x and y in metres, and its turn about z in radians."""


@dataclass(frozen=True)
class Reference:
    """Body poses known from the hand's joint table, with the root of the hand at the origin."""

    bodies: tuple[str, ...]
    dof_pos: Tensor
    """Joint positions, m or rad. Shape (cases, D)."""
    body_pos: Tensor
    """Metres. Shape (cases, bodies, 3)."""
    body_quat: Tensor
    """Shape (cases, bodies, 4)."""

    @classmethod
    def load(cls, device: torch.device) -> "Reference":
        """Read the table that comes with this package."""
        table = json.loads(DATA.read_text(encoding="utf-8"))

        def column(key: str) -> Tensor:
            return torch.tensor([case[key] for case in table["cases"]], dtype=torch.float32, device=device)

        return cls(tuple(table["bodies"]), column("dof_pos"), column("body_pos"), column("body_quat_xyzw"))


def dof_rows(sim: Simulator, **joints: float) -> Tensor:
    """Joint positions (N, D), the same in every environment: zero but for the joints named."""
    row = torch.zeros(len(hand.DOF_NAMES), device=sim.device)
    for name, value in joints.items():
        row[hand.DOF_NAMES.index(name)] = value
    return row.repeat(sim.num_envs, 1)


def boxes_at(sim: Simulator, height: float = 0.0, quat: tuple[float, float, float, float] = (0, 0, 0, 1)) -> Tensor:
    """Object poses (N, O, 7): at their places, each with its underside ``height`` above the ground if it is upright."""
    rows = [(x, y, height + box.size[2] / 2, *quat) for box, (x, y) in zip(sim.scene.objects, BOX_PLACES)]
    return torch.tensor(rows, dtype=torch.float32, device=sim.device).reshape(-1, 7).repeat(sim.num_envs, 1, 1)


def pointing_down(sim: Simulator, depth: float) -> Tensor:
    """Joint positions (N, D) in which environment i points finger 2 + i at the ground, the other fingers curled.

    The fingerpad of that finger ends ``depth`` metres below the ground.
    """
    reference = Reference.load(sim.device)
    dof_pos = dof_rows(sim, ARRy=math.pi / 2)
    for env, finger in enumerate(range(2, 6)):
        reach = reference.body_pos[0, reference.bodies.index(f"r_f_link{finger}_pad"), 0]
        dof_pos[env, hand.DOF_NAMES.index("ARTz")] = reach - depth - sim.scene.hand_position[2]
        for other in range(2, 6):
            if other != finger:
                for joint in (2, 3, 4):
                    dof_pos[env, hand.DOF_NAMES.index(f"r_f_joint{other}_{joint}")] = 1.2
    return dof_pos


def pinching(sim: Simulator, closing: float, lifted: float = 0.0) -> Tensor:
    """Joint positions (N, D) of ``PINCH``, its fingers ``closing`` rad further closed, the hand ``lifted`` m."""
    pose = dict(PINCH)
    pose["ARTz"] += lifted
    for finger in (1, 2, 3):
        pose[f"r_f_joint{finger}_2"] += closing
    return dof_rows(sim, **pose)


def small_box_in_the_pinch(sim: Simulator) -> Tensor:
    """Object poses (N, O, 7): the small box between the fingers of ``PINCH``, the other one at its place."""
    pose = boxes_at(sim)
    x, y, turn = PINCHED_AT
    index = SCENE.objects.index(SMALL_BOX)
    pose[:, index, :2] = torch.tensor((x, y), device=sim.device)
    pose[:, index, 5:] = torch.tensor((math.sin(turn / 2), math.cos(turn / 2)), device=sim.device)
    return pose


def random_targets(sim: Simulator, steps: int, seed: int = 0) -> Tensor:
    """Joint targets (steps, N, D), different in every environment, that bring fingers to the ground now and then."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(steps, NUM_ENVS, len(hand.DOF_NAMES), generator=generator).to(sim.device)
    centre = pointing_down(sim, depth=0.0)
    lower, upper = torch.tensor([DOF_LIMITS[name] for name in hand.DOF_NAMES], device=sim.device).unbind(-1)
    return torch.minimum(torch.maximum(centre + 0.1 * (noise - 0.5), lower), upper)
