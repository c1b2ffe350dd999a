#!/usr/bin/env python3
"""Write the MJCF of a left hand from that of a right one, or the other way round.

Everything is reflected at the x-z plane, each body's own frame included: pos (x, -y, z), quat (w, -x, y, -z). The axes
of finger joints are reflected so that equal joint positions bend the fingers equally. The base joints keep their axes:
the mirror image of a pose has ARTy, ARRx and ARRz with the opposite sign.
"""

import argparse
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from dexhand.files.atomic import write_atomically
from dexhand.hands.spec import HandError, HandSpec, load_hand
from dexhand.sim.hand_file import Joint, read_hand

_NEGATED = {"pos": (1,), "fromto": (1, 4), "quat": (1, 3)}
"""Which numbers of an attribute change their sign."""
_REFUSED = ("euler", "axisangle", "xyaxes", "zaxis", "mesh")


def mirrored_mjcf(hand: HandSpec, renames: Sequence[tuple[str, str]]) -> str:
    """Return the mirror image of a hand's MJCF, with parts of names replaced. Raises ``ValueError``."""
    joints = {body.joint.name: body.joint for body in read_hand(hand) if body.joint}
    root = ET.parse(hand.asset, ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))).getroot()
    for element in root.iter():
        refused = [name for name in _REFUSED if name in element.attrib]
        if refused:
            raise ValueError(f"{hand.asset}: {element.tag} {element.get('name', '')} has {refused[0]}: not supported")
        for name, places in _NEGATED.items():
            if name in element.attrib:
                element.set(name, _negated(element.attrib[name], places))
    for joint in root.iterfind("worldbody//joint"):
        if joint.attrib["name"] not in hand.base_joints:
            joint.set("axis", _mirrored_axis(joints[joint.attrib["name"]]))
    text = ET.tostring(root, encoding="unicode").replace(" />", "/>") + "\n"
    for old, new in renames:
        text = text.replace(old, new)
    return text


def _negated(numbers: str, places: Sequence[int]) -> str:
    """Change signs in the text, so that no digit changes."""
    words = numbers.split()
    for place in places:
        words[place] = words[place][1:] if words[place].startswith("-") else f"-{words[place]}"
    return " ".join("0" if float(word) == 0 else word for word in words)


def _mirrored_axis(joint: Joint) -> str:
    """A direction of motion is reflected; an axis of rotation is reflected and reversed."""
    x, y, z = joint.axis
    mirrored = (x, -y, z) if joint.is_slide else (-x, y, -z)
    return " ".join(f"{number + 0.0:.17g}" for number in mirrored)


def main() -> int:
    """Mirror one hand."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hand", help="name of a built-in hand, or a folder with a spec.yaml")
    parser.add_argument("mjcf", type=Path, help="the file to write")
    parser.add_argument("renames", nargs="*", metavar="OLD=NEW", help="parts of names to replace, such as r_f_=l_f_")
    arguments = parser.parse_args()
    renames = [(old, new) for old, _, new in (rename.partition("=") for rename in arguments.renames)]
    try:
        text = mirrored_mjcf(load_hand(arguments.hand), renames)
        write_atomically(arguments.mjcf, lambda file: file.write(text.encode()))
    except (HandError, ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
