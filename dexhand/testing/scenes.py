"""The scene and the poses that the simulator suite uses, for any hand."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

from dexhand.hand_env.interfaces import Box, Camera, Scene, Simulator
from dexhand.hands.spec import Gains, HandSpec, load_hand
from dexhand.sim.kinematics import HandKinematics

NUM_ENVS = 4
GRAVITY = 9.81

SMALL_BOX = Box("small_box", size=(0.05, 0.04, 0.06), mass=0.1)
LARGE_BOX = Box("large_box", size=(0.2, 0.2, 0.2), mass=0.4)
BOX_PLACES = ((-0.5, 0.3), (-0.5, -0.3))
"""x and y of the boxes, out of the hand's way, metres."""
CURL = 1.2
"""How far a finger is curled out of the way, rad."""

RIGHT_HAND = load_hand("dexhand021_right")


def scene_of(hand: HandSpec) -> Scene:
    """The hand and two boxes of different size and mass."""
    return Scene(
        # the manufacturer's gains ask for more force than the limits allow, and a servo at its limit chatters
        hand=replace(
            hand,
            base_rotation_gains=Gains(stiffness=1000.0, damping=40.0),
            finger_gains=Gains(stiffness=50.0, damping=1.0, force_limit=2.0),
        ),
        hand_position=(0.1, -0.05, 0.5),
        # not in the order of the MJCF, to detect a simulator that follows the file instead of the scene
        bodies=(*hand.fingerpads, *hand.contact_bodies, hand.palm, *reversed(hand.fingertips)),
        contact_bodies=tuple(reversed(hand.contact_bodies)),
        objects=(LARGE_BOX, SMALL_BOX),
        cameras=(
            Camera("default", position=(0.9, -0.7, 0.8), target=(0.2, 0.0, 0.4)),
            Camera("above", position=(0.2, 0.01, 1.6), target=(0.2, 0.0, 0.0), fovy=50.0),
        ),
    )


SCENE = scene_of(RIGHT_HAND)


@dataclass(frozen=True)
class Pinch:
    """A grasp of the small box on the ground: the pads of the thumb and of other fingers touch two of its sides."""

    base: Mapping[str, float]
    """Base joints, m or rad."""
    fingers: Mapping[str, float]
    """Finger controls, rad."""
    closing: tuple[str, ...]
    """The controls that press the pads to the box."""
    box: tuple[float, float, float]
    """Where the small box is: x and y from ``scene.hand_position``, metres, and its turn about z in radians."""

    def mirrored(self) -> "Pinch":
        """The grasp of the mirror image of the hand."""
        base = {name: -value if name in ("ARTy", "ARRx", "ARRz") else value for name, value in self.base.items()}
        x, y, turn = self.box
        return replace(self, base=base, box=(x, -y, -turn))


RIGHT_PINCH = Pinch(
    base={"ARTz": -0.3012, "ARRx": -0.016, "ARRy": 0.431},
    fingers={
        "th_rot": 1.014,
        "th_mcp": 0.975,
        "th_dip": 0.058,
        "ff_mcp": 0.624,
        "ff_dip": 0.438,
        "mf_mcp": 0.657,
        "mf_dip": 0.540,
        "rf_mcp": 0.6,
        "lf_mcp": 0.6,
    },
    closing=("th_mcp", "ff_mcp", "mf_mcp"),
    box=(0.1478, 0.0217, -0.0667),
)


@cache
def reference_of(hand: HandSpec) -> HandKinematics:
    """Joint limits and body poses as the hand's MJCF has them, its root at the origin, on the CPU."""
    return HandKinematics(hand, (0.0, 0.0, 0.0), torch.device("cpu"))


def dof_rows(sim: Simulator, **values: float) -> Tensor:
    """Joint positions (N, D), the same in every environment: zero but for the joints and finger controls named."""
    hand = sim.scene.hand
    coupled = {control.name: control.joints for control in hand.controls}
    row = torch.zeros(hand.num_dofs, device=sim.device)
    for name, value in values.items():
        for joint, factor in coupled.get(name, ((name, 1.0),)):
            row[hand.dof_names.index(joint)] = factor * value
    return row.repeat(sim.num_envs, 1)


def boxes_at(sim: Simulator, height: float = 0.0, quat: tuple[float, float, float, float] = (0, 0, 0, 1)) -> Tensor:
    """Object poses (N, O, 7): at their places, each with its underside ``height`` above the ground if it is upright."""
    rows = [(x, y, height + box.size[2] / 2, *quat) for box, (x, y) in zip(sim.scene.objects, BOX_PLACES)]
    return torch.tensor(rows, dtype=torch.float32, device=sim.device).reshape(-1, 7).repeat(sim.num_envs, 1, 1)


def pressed_finger(hand: HandSpec, env: int) -> int:
    """Index of the finger that ``pointing_down`` points in this environment: all but the thumb, in turn."""
    return 1 + env % (hand.num_fingers - 1)


def pointing_down(sim: Simulator, depth: float) -> Tensor:
    """Joint positions (N, D) in which each environment points one finger at the ground; others are curled.

    The fingerpad of that finger ends ``depth`` metres below the ground. The thumb stays at zero.
    """
    hand = sim.scene.hand
    reference = reference_of(hand)
    at_zero = reference.poses(torch.zeros(1, hand.num_dofs), torch.zeros(1, hand.num_dofs)).pos[0]
    dof_pos = torch.zeros(sim.num_envs, hand.num_dofs)
    dof_pos[:, hand.dof_names.index(hand.base_joints[4])] = math.pi / 2
    for env in range(sim.num_envs):
        pressed = pressed_finger(hand, env)
        reach = at_zero[reference.index(hand.fingerpads[pressed]), 0]
        dof_pos[env, 2] = reach - depth - sim.scene.hand_position[2]
        for number, finger in enumerate(hand.fingers[1:], 1):
            if number != pressed:
                for joint in finger.joints[1:]:
                    dof_pos[env, hand.dof_names.index(joint)] = CURL
    lower, upper = reference.dof_limits.unbind(-1)
    return dof_pos.clamp(lower, upper).to(sim.device)


def pinching(sim: Simulator, pinch: Pinch, closing: float, lifted: float = 0.0) -> Tensor:
    """Joint positions (N, D) of a pinch, its fingers ``closing`` rad further closed, the hand ``lifted`` m."""
    lift = sim.scene.hand.base_joints[2]
    base = {**pinch.base, lift: pinch.base.get(lift, 0.0) + lifted}
    return dof_rows(
        sim, **base, **{name: angle + closing * (name in pinch.closing) for name, angle in pinch.fingers.items()}
    )


def small_box_in_the_pinch(sim: Simulator, pinch: Pinch) -> Tensor:
    """Object poses (N, O, 7): the small box between the fingers of the pinch, the other one at its place."""
    pose = boxes_at(sim)
    x, y, turn = pinch.box
    index = sim.scene.objects.index(SMALL_BOX)
    hand_x, hand_y, _ = sim.scene.hand_position
    pose[:, index, :2] = torch.tensor((hand_x + x, hand_y + y), device=sim.device)
    pose[:, index, 5:] = torch.tensor((math.sin(turn / 2), math.cos(turn / 2)), device=sim.device)
    return pose


def random_targets(sim: Simulator, steps: int, seed: int = 0) -> Tensor:
    """Joint targets (steps, N, D), different in every environment, that bring fingers to the ground now and then."""
    hand = sim.scene.hand
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(steps, NUM_ENVS, hand.num_dofs, generator=generator).to(sim.device)
    lower, upper = reference_of(hand).dof_limits.to(sim.device).unbind(-1)
    return (pointing_down(sim, depth=0.0) + 0.1 * (noise - 0.5)).clamp(lower, upper)
