"""Values and structures of ``gymapi``. Like the real ones they refuse unknown names and wrong types."""

from enum import IntEnum
from typing import Any, ClassVar, Dict, List, Optional, Tuple, Type, get_type_hints

import numpy as np


class SimType(IntEnum):
    """Physics engines."""

    SIM_PHYSX = 0
    SIM_FLEX = 1


class UpAxis(IntEnum):
    """The axis against gravity."""

    UP_AXIS_Y = 0
    UP_AXIS_Z = 1


class ContactCollection(IntEnum):
    """Of which sub-steps contacts are kept."""

    CC_NEVER = 0
    CC_LAST_SUBSTEP = 1
    CC_ALL_SUBSTEPS = 2


class DofDriveMode(IntEnum):
    """What drives a degree of freedom."""

    DOF_MODE_NONE = 0
    DOF_MODE_POS = 1
    DOF_MODE_VEL = 2
    DOF_MODE_EFFORT = 3


class IndexDomain(IntEnum):
    """What an index counts in."""

    DOMAIN_ACTOR = 0
    DOMAIN_ENV = 1
    DOMAIN_SIM = 2


class ImageType(IntEnum):
    """Kinds of camera images."""

    IMAGE_COLOR = 0
    IMAGE_DEPTH = 1
    IMAGE_SEGMENTATION = 2
    IMAGE_OPTICAL_FLOW = 3


class MeshType(IntEnum):
    """Meshes of a body."""

    MESH_NONE = 0
    MESH_COLLISION = 1
    MESH_VISUAL = 2
    MESH_VISUAL_AND_COLLISION = 3


class MeshNormalMode(IntEnum):
    """Where normals come from."""

    FROM_ASSET = 0
    COMPUTE_PER_VERTEX = 1
    COMPUTE_PER_FACE = 2


class CoordinateSpace(IntEnum):
    """Frames of forces."""

    ENV_SPACE = 0
    LOCAL_SPACE = 1
    GLOBAL_SPACE = 2


class CameraFollowMode(IntEnum):
    """How an attached camera moves."""

    FOLLOW_POSITION = 0
    FOLLOW_TRANSFORM = 1


class TensorDataType(IntEnum):
    """Element types of buffers; there is none for signed 32-bit numbers, which travel as unsigned ones."""

    DTYPE_FLOAT32 = 0
    DTYPE_UINT32 = 1
    DTYPE_UINT64 = 2
    DTYPE_UINT8 = 3
    DTYPE_INT16 = 4


_KEYS = (
    [f"KEY_{letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"]
    + [f"KEY_F{number}" for number in range(1, 13)]
    + ["KEY_SPACE", "KEY_ESCAPE", "KEY_ENTER", "KEY_TAB", "KEY_UP", "KEY_DOWN", "KEY_LEFT", "KEY_RIGHT"]
)
KeyboardInput = IntEnum("KeyboardInput", _KEYS)  # type: ignore[misc]


class Struct:
    """A record whose fields are its annotations: another name or a value of another type is an error.

    As with compiled code. A field without a default begins as its type's zero.
    """

    def __init_subclass__(cls) -> None:
        hints = get_type_hints(cls)
        cls._fields = {name: kind for name, kind in hints.items() if name != "_fields"}

    _fields: ClassVar[Dict[str, Type[Any]]] = {}

    def __init__(self) -> None:
        for name, kind in self._fields.items():
            zero = kind(0) if issubclass(kind, IntEnum) else kind()
            setattr(self, name, getattr(type(self), name, zero))

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._fields:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}. It has {', '.join(self._fields)}")
        kind = self._fields[name]
        fits = (int, float, np.integer, np.floating) if kind is float else (int, np.integer) if kind is int else kind
        if not isinstance(value, fits):
            raise TypeError(
                f"{type(self).__name__}.{name} must be {kind.__name__}, not {type(value).__name__} ({value!r})"
            )
        object.__setattr__(self, name, kind(value) if kind in (int, float) else value)


class Vec3(Struct):
    """A vector."""

    x: float
    y: float
    z: float
    dtype = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4")])

    def __init__(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> None:
        self.x, self.y, self.z = x, y, z


class Quat(Struct):
    """A rotation, x, y, z, w."""

    x: float
    y: float
    z: float
    w: float
    dtype = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("w", "<f4")])

    def __init__(self, x: float = 0.0, y: float = 0.0, z: float = 0.0, w: float = 1.0) -> None:
        self.x, self.y, self.z, self.w = x, y, z, w


class Transform(Struct):
    """A pose: position ``p``, rotation ``r``."""

    p: Vec3
    r: Quat
    dtype = np.dtype([("p", Vec3.dtype), ("r", Quat.dtype)])

    def __init__(self, p: Optional[Vec3] = None, r: Optional[Quat] = None) -> None:
        self.p = Vec3() if p is None else p
        self.r = Quat() if r is None else r


class PhysXParams(Struct):
    """``SimParams.physx``."""

    always_use_articulations: bool
    bounce_threshold_velocity: float
    contact_collection: ContactCollection = ContactCollection.CC_ALL_SUBSTEPS
    contact_offset: float = 0.02
    default_buffer_size_multiplier: float
    friction_correlation_distance: float
    friction_offset_threshold: float
    max_depenetration_velocity: float
    max_gpu_contact_pairs: int
    num_position_iterations: int = 4
    num_subscenes: int
    num_threads: int
    num_velocity_iterations: int = 1
    rest_offset: float = 0.001
    solver_type: int
    use_gpu: bool


class FlexParams(Struct):
    """``SimParams.flex``; the stand-in has no Flex."""

    contact_regularization: float
    deterministic_mode: bool
    dynamic_friction: float
    friction_mode: int
    geometric_stiffness: float
    max_rigid_contacts: int
    max_soft_contacts: int
    num_inner_iterations: int
    num_outer_iterations: int
    particle_friction: float
    relaxation: float
    return_contacts: bool
    shape_collision_distance: float
    shape_collision_margin: float
    solver_type: int
    static_friction: float
    warm_start: float


class SimParams(Struct):
    """What ``create_sim`` takes. The world of a new one is y-up."""

    dt: float = 1 / 60
    enable_actor_creation_warning: bool
    flex: FlexParams
    gravity: Vec3
    num_client_threads: int
    physx: PhysXParams
    stress_visualization: bool
    stress_visualization_max: float
    stress_visualization_min: float
    substeps: int = 2
    up_axis: UpAxis
    use_gpu_pipeline: bool

    def __init__(self) -> None:
        super().__init__()
        self.gravity = Vec3(0.0, -9.8, 0.0)


class VhacdParams(Struct):
    """Convex decomposition; the stand-in's meshes are MuJoCo's."""

    alpha: float = 0.05
    beta: float = 0.05
    concavity: float = 0.0
    convex_hull_approximation: bool = True
    convex_hull_downsampling: int = 4
    max_convex_hulls: int = 64
    max_num_vertices_per_ch: int = 64
    min_volume_per_ch: float = 0.0001
    mode: int = 0
    ocl_acceleration: bool = True
    pca: int = 0
    plane_downsampling: int = 4
    project_hull_vertices: bool = True
    resolution: int = 100


class AssetOptions(Struct):
    """Options of ``load_asset`` and ``create_box``."""

    angular_damping: float = 0.5
    armature: float
    collapse_fixed_joints: bool
    convex_decomposition_from_submeshes: bool
    default_dof_drive_mode: int
    density: float = 1000.0
    disable_gravity: bool
    enable_gyroscopic_forces: bool
    fix_base_link: bool
    flip_visual_attachments: bool
    linear_damping: float
    max_angular_velocity: float = 64.0
    max_linear_velocity: float = 1000.0
    mesh_normal_mode: MeshNormalMode
    min_particle_mass: float
    override_com: bool
    override_inertia: bool
    replace_cylinder_with_capsule: bool
    slices_per_cylinder: int
    tendon_limit_stiffness: float
    thickness: float
    use_mesh_materials: bool
    use_physx_armature: bool
    vhacd_enabled: bool
    vhacd_params: VhacdParams


class CameraProperties(Struct):
    """Options of a camera or a viewer."""

    enable_tensors: bool
    far_plane: float = 2e7
    height: int = 900
    horizontal_fov: float = 90.0
    near_plane: float = 0.001
    supersampling_horizontal: int
    supersampling_vertical: int
    use_collision_geometry: bool
    width: int = 1600


class PlaneParams(Struct):
    """A ground plane; a new one is upright for a y-up world."""

    distance: float
    dynamic_friction: float = 1.0
    normal: Vec3
    restitution: float
    segmentation_id: int
    static_friction: float = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.normal = Vec3(0.0, 1.0, 0.0)


class RigidBodyProperties(Struct):
    """Mass and centre of mass of one body."""

    com: Vec3
    flags: int
    invMass: float
    mass: float


class RigidShapeProperties(Struct):
    """Contact properties of one collision shape."""

    compliance: float
    contact_offset: float
    filter: int
    friction: float = 1.0
    rest_offset: float
    restitution: float
    rolling_friction: float
    thickness: float
    torsion_friction: float


class ForceSensorProperties(Struct):
    """What a force sensor reports."""

    enable_constraint_solver_forces: bool = True
    enable_forward_dynamics_forces: bool = True
    use_world_frame: bool


class IndexRange(Struct):
    """The shapes of one body."""

    count: int
    start: int


class ActionEvent:
    """A key that was pressed in the viewer."""

    def __init__(self, action: str, value: float) -> None:
        self.action = action
        self.value = value


DOF_PROPERTIES = np.dtype(
    [
        ("hasLimits", "?"),
        ("lower", "<f4"),
        ("upper", "<f4"),
        ("driveMode", "<i4"),
        ("velocity", "<f4"),
        ("effort", "<f4"),
        ("stiffness", "<f4"),
        ("damping", "<f4"),
        ("friction", "<f4"),
        ("armature", "<f4"),
    ]
)
"""One element for each degree of freedom."""


def vector_of(vector: Vec3) -> Tuple[float, float, float]:
    """As a tuple."""
    return vector.x, vector.y, vector.z


def pose_of(transform: Transform) -> List[float]:
    """Position and quaternion, seven numbers."""
    return [*vector_of(transform.p), transform.r.x, transform.r.y, transform.r.z, transform.r.w]
