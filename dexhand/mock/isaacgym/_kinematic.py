"""The stand-in where MuJoCo is not installed: the mock simulator's kinematics. The built-in hand and boxes only."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Dict, Optional, Tuple

import numpy as np
import torch

from dexhand.core import interfaces as dexhand
from dexhand.hands.spec import load_hand
from dexhand.mock.isaacgym._records import Asset, Camera, Sim, misuse
from dexhand.mock.isaacgym._types import DOF_PROPERTIES, AssetOptions, ContactCollection, pose_of, vector_of
from dexhand.mock.simulator import MockSimulator
from dexhand.sim.hand_file import read_bodies


def describe(path: Path, options: AssetOptions) -> Asset:
    """Bodies and joints as the file has them, a shape for each body that can touch something."""
    bodies = read_bodies(path)
    joints = [body.joint for body in bodies if body.joint]
    properties = np.zeros(len(joints), DOF_PROPERTIES)
    properties["hasLimits"], properties["driveMode"] = True, options.default_dof_drive_mode
    for key in ("lower", "upper", "stiffness", "damping", "armature", "friction"):
        properties[key] = [getattr(joint, key) for joint in joints]
    properties["effort"] = properties["velocity"] = np.finfo(np.float32).max
    return Asset(
        source=path,
        options=options,
        body_names=[body.name for body in bodies],
        dof_names=[joint.name for joint in joints],
        shapes_of_body=[int(body.friction is not None) for body in bodies],
        masses=[0.0] * len(bodies),
        frictions=[body.friction for body in bodies if body.friction is not None],
        dof_properties=properties,
        actuator_joints=[joint.name for joint in joints],
    )


class KinematicEngine:
    """``Engine`` on ``MockSimulator``: gains, friction and external forces mean nothing here."""

    def __init__(self, sim: Sim) -> None:
        articulated, *boxes = sim.first_env.actors
        hand = load_hand("dexhand021_right")
        if articulated.asset.source != hand.asset or not all(isinstance(box.asset.source, tuple) for box in boxes):
            misuse("Without MuJoCo the stand-in knows the built-in hand as first actor and boxes after it, no more")
        upright = sim.ground is not None and vector_of(sim.ground.normal) == (0.0, 0.0, 1.0)
        if not upright or vector_of(sim.params.gravity) != (0.0, 0.0, -9.81):
            misuse("Without MuJoCo the stand-in's ground has the normal z, and its gravity is (0, 0, -9.81)")
        self._collection = sim.params.physx.contact_collection
        self._bodies = articulated.asset.body_names
        x, y, z, *_ = pose_of(articulated.pose)
        scene = dexhand.Scene(
            hand=hand,
            hand_position=(x, y, z),
            bodies=tuple(self._bodies),
            contact_bodies=tuple(self._bodies),
            objects=tuple(
                dexhand.Box(box.name, box.asset.source, box.asset.masses[0])
                for box in boxes
                if isinstance(box.asset.source, tuple)
            ),
        )
        self._sim = MockSimulator(scene, len(sim.envs), sim.params.dt)
        poses = torch.tensor([[pose_of(box.pose) for box in boxes]]).reshape(1, -1, 7).repeat(len(sim.envs), 1, 1)
        dofs = torch.zeros(len(sim.envs), len(hand.dof_names))
        self._sim.reset(torch.ones(len(sim.envs), dtype=torch.bool), dofs, poses)
        order = [articulated.asset.dof_names.index(name) for name in hand.dof_names]
        self._from_asset = torch.tensor(order)
        self._to_asset = torch.argsort(self._from_asset)

    def simulate(self, targets: np.ndarray, forces: Optional[np.ndarray], torques: Optional[np.ndarray]) -> None:
        """See ``Engine.simulate``."""
        if forces is not None or torques is not None:
            misuse("Without MuJoCo the stand-in has no forces")
        self._sim.step(torch.from_numpy(targets)[:, self._from_asset])

    def set_dof_state(self, env: int, first: int, state: np.ndarray) -> None:
        """See ``Engine.set_dof_state``."""
        memory = self._sim.state_dict()
        memory["dof_pos"][env], memory["dof_vel"][env] = torch.from_numpy(state)[self._from_asset].unbind(-1)
        self._sim.load_state_dict(memory)

    def set_root_state(self, env: int, actor: int, state: np.ndarray) -> None:
        """See ``Engine.set_root_state``; a box that is put somewhere is held by nobody."""
        memory, box = self._sim.state_dict(), actor - 1
        values = torch.from_numpy(state)
        parts = {"object_pos": (0, 3), "object_quat": (3, 7), "object_linvel": (7, 10), "object_angvel": (10, 13)}
        for name, (start, end) in parts.items():
            memory[name][env, box] = values[start:end]
        memory["held"][env, box] = False
        self._sim.load_state_dict(memory)

    def set_gravity(self, gravity: Tuple[float, float, float]) -> None:
        """Not here."""
        misuse("Without MuJoCo the stand-in's gravity cannot change")

    def readings(self) -> Dict[str, np.ndarray]:
        """See ``Engine.readings``."""
        state = self._sim.state
        hand_bodies = torch.cat((state.body_pos, state.body_quat, state.body_linvel, state.body_angvel), dim=-1)
        boxes = torch.cat((state.object_pos, state.object_quat, state.object_linvel, state.object_angvel), dim=-1)
        contacts = torch.cat((state.contact_force, state.object_contact_force), dim=1)
        if self._collection is ContactCollection.CC_NEVER:
            contacts = torch.zeros_like(contacts)
        dofs = torch.stack((state.dof_pos, state.dof_vel), dim=-1)[:, self._to_asset]
        return {
            "dof_state": dofs.numpy(),
            "root_state": torch.cat((hand_bodies[:, :1], boxes), dim=1).numpy(),
            "body_state": torch.cat((hand_bodies, boxes), dim=1).numpy(),
            "contact_force": contacts.numpy(),
            "dof_force": np.zeros(dofs.shape[:2], np.float32),
            "force_sensor": np.zeros((len(dofs), 0, 6), np.float32),
        }

    def can_draw(self) -> bool:
        """See ``Engine.can_draw``."""
        return True

    def draw(self, env: int, camera: Camera, colors: Dict[Tuple[int, int], Tuple[float, float, float]]) -> np.ndarray:
        """See ``Engine.draw``; colours are the mock's own."""
        properties = camera.properties
        half_width = math.tan(math.radians(properties.horizontal_fov) / 2)
        fovy = math.degrees(2 * math.atan(half_width * properties.height / properties.width))
        view = dexhand.Camera("view", vector_of(camera.position), vector_of(camera.target), fovy)
        self._sim.scene = replace(self._sim.scene, cameras=(view,))
        return self._sim.render(env, "view", properties.width, properties.height)
