"""Names of the DexHand's joints and bodies, and how its 12 finger controls drive 20 joints."""

from pathlib import Path

ASSET = Path(__file__).parent / "dexhand021_right" / "hand.xml"
"""The built-in model."""

BASE_JOINTS = ("ARTx", "ARTy", "ARTz", "ARRx", "ARRy", "ARRz")
"""Three slides (m), then three hinges (rad): world rotation = Rx Ry Rz."""

FINGER_JOINTS = tuple(f"r_f_joint{finger}_{k}" for finger in range(1, 6) for k in range(1, 5))
"""Thumb, index, middle, ring, little; four joints each, from the palm outwards."""

DOF_NAMES = BASE_JOINTS + FINGER_JOINTS

HAND_BODY = "right_hand_base"
FINGERTIPS = tuple(f"r_f_link{finger}_tip" for finger in range(1, 6))
FINGERPADS = tuple(f"r_f_link{finger}_pad" for finger in range(1, 6))
CONTACT_BODIES = tuple(f"r_f_link{finger}_4" for finger in range(1, 6))
"""The distal links."""

FINGER_CONTROLS: dict[str, tuple[tuple[str, float], ...]] = {
    "th_rot": (("r_f_joint1_1", 1.0),),
    "th_mcp": (("r_f_joint1_2", 1.0),),
    "th_dip": (("r_f_joint1_3", 1.0), ("r_f_joint1_4", 1.0)),
    "ff_spr": (("r_f_joint2_1", 1.0), ("r_f_joint4_1", 1.0), ("r_f_joint5_1", 2.0)),
    "ff_mcp": (("r_f_joint2_2", 1.0),),
    "ff_dip": (("r_f_joint2_3", 1.0), ("r_f_joint2_4", 1.0)),
    "mf_mcp": (("r_f_joint3_2", 1.0),),
    "mf_dip": (("r_f_joint3_3", 1.0), ("r_f_joint3_4", 1.0)),
    "rf_mcp": (("r_f_joint4_2", 1.0),),
    "rf_dip": (("r_f_joint4_3", 1.0), ("r_f_joint4_4", 1.0)),
    "lf_mcp": (("r_f_joint5_2", 1.0),),
    "lf_dip": (("r_f_joint5_3", 1.0), ("r_f_joint5_4", 1.0)),
}
"""The joints that each control drives, with factors: joint position = factor * control.

r_f_joint3_1 is driven by none and stays at 0.
"""
