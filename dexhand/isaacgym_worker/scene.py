"""Description of a scene for the adapter: plain, JSON-compatible data in metres, radians, kilograms, newtons."""

from typing import Dict, List, Optional, TypedDict, Union


class Joint(TypedDict):
    """One joint of the hand and its servo."""

    name: str
    lower: float
    upper: float
    stiffness: float
    """N/m or N m/rad."""
    damping: float
    """Of servo and joint together, N s/m or N m s/rad."""
    effort: float
    """Largest force of the servo, N or N m."""
    armature: float
    """kg or kg m^2."""


class Body(TypedDict):
    """Contact properties of one body of the hand."""

    name: str
    friction: float
    """Sliding friction coefficient."""
    collision_filter: int
    """Two shapes collide where their filters share no bit; ground and boxes have 0."""


class Box(TypedDict):
    """A free rigid box."""

    name: str
    size: List[float]
    """Edge lengths x, y, z."""
    mass: float
    friction: float
    rgb: List[float]


class Camera(TypedDict):
    """A fixed camera."""

    name: str
    position: List[float]
    target: List[float]
    fovy: float
    """Vertical field of view, degrees."""


class SceneDescription(TypedDict):
    """One hand over a ground plane at z = 0, with boxes."""

    asset: str
    """Path of the hand's MJCF."""
    hand_position: List[float]
    joints: List[Joint]
    """All joints of the file, in the order of axis D."""
    bodies: List[Body]
    """All bodies of the file."""
    tracked_bodies: List[str]
    """In the order of axis B."""
    contact_bodies: List[str]
    """In the order of axis C."""
    boxes: List[Box]
    """In the order of axis O."""
    ground_friction: float
    cameras: List[Camera]
    """The viewer uses the first one."""


class SimSettings(TypedDict):
    """Simulation settings."""

    num_envs: int
    device: str
    """Device of PhysX and of the tensors: ``cpu`` or ``cuda:<index>``."""
    graphics_device: Optional[int]
    """GPU that renders cameras and the viewer; ``None`` = the GPU of the simulation, -1 = none."""
    viewer: bool
    dt: float
    """Seconds per ``simulate`` call."""
    substeps: int
    calls_per_step: int
    """``simulate`` calls per step."""
    physx: Dict[str, Union[int, float]]
    """Fields of ``gymapi.PhysXParams``."""
