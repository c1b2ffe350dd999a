"""The stand-in of ``isaacgym.gymapi``: its names and signatures, on MuJoCo or on kinematics.

Must be imported before torch, as the real one.
"""

from ._graphics import GraphicsCalls
from ._records import Asset, Env, Sim, Tensor, Viewer
from ._setup import SetupCalls
from ._tensors import TensorCalls
from ._types import (
    ActionEvent,
    AssetOptions,
    CameraFollowMode,
    CameraProperties,
    ContactCollection,
    CoordinateSpace,
    DofDriveMode,
    FlexParams,
    ForceSensorProperties,
    ImageType,
    IndexDomain,
    IndexRange,
    KeyboardInput,
    MeshNormalMode,
    MeshType,
    PhysXParams,
    PlaneParams,
    Quat,
    RigidBodyProperties,
    RigidShapeProperties,
    SimParams,
    SimType,
    TensorDataType,
    Transform,
    UpAxis,
    Vec3,
    VhacdParams,
)

_ENUMS = (
    CameraFollowMode,
    ContactCollection,
    CoordinateSpace,
    DofDriveMode,
    ImageType,
    IndexDomain,
    KeyboardInput,
    MeshNormalMode,
    MeshType,
    SimType,
    TensorDataType,
    UpAxis,
)
INVALID_HANDLE = -1

# members of enumerations stand at the top level too
globals().update({member.name: member for enum in _ENUMS for member in enum})

__all__ = [
    "ActionEvent",
    "Asset",
    "AssetOptions",
    "CameraFollowMode",
    "CameraProperties",
    "ContactCollection",
    "CoordinateSpace",
    "DofDriveMode",
    "Env",
    "FlexParams",
    "ForceSensorProperties",
    "Gym",
    "ImageType",
    "IndexDomain",
    "IndexRange",
    "KeyboardInput",
    "MeshNormalMode",
    "MeshType",
    "PhysXParams",
    "PlaneParams",
    "Quat",
    "RigidBodyProperties",
    "RigidShapeProperties",
    "Sim",
    "SimParams",
    "SimType",
    "Tensor",
    "TensorDataType",
    "Transform",
    "UpAxis",
    "Vec3",
    "VhacdParams",
    "Viewer",
    "acquire_gym",
]


class Gym(SetupCalls, TensorCalls, GraphicsCalls):
    """Every call."""


_GYM = Gym()


def acquire_gym() -> Gym:
    """The one of this process."""
    return _GYM
