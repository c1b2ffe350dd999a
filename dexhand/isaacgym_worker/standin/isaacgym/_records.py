"""What a stand-in simulation is made of."""

from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Callable, Dict, List, NoReturn, Optional, Protocol, Sequence, Tuple, Union

import numpy as np

from ._types import (
    AssetOptions,
    CameraProperties,
    PlaneParams,
    RigidShapeProperties,
    SimParams,
    TensorDataType,
    Transform,
    Vec3,
)


class IsaacGymMisuse(RuntimeError):
    """A call that Isaac Gym answers with a crash, with garbage or not at all."""


def misuse(what: str) -> NoReturn:
    """Refuse a call."""
    raise IsaacGymMisuse(what)


class Stage(IntEnum):
    """How far a simulation has come."""

    EMPTY = 0
    HAS_ENVS = 1
    PREPARED = 2
    DESTROYED = 3


@dataclass(frozen=True)
class ForceSensor:
    """A sensor of an asset: a body and a pose in its frame."""

    body: int
    pose: Transform


@dataclass
class Asset:
    """A model that actors are instances of: an MJCF, or a box of three edge lengths."""

    source: Union[Path, Tuple[float, float, float]]
    options: AssetOptions
    body_names: List[str]
    dof_names: List[str]
    shapes_of_body: List[int]
    """How many collision shapes each body has."""
    masses: List[float]
    """Kilograms, body by body."""
    frictions: List[float]
    """Sliding friction, shape by shape."""
    dof_properties: np.ndarray
    actuator_joints: List[str] = field(default_factory=list)
    force_sensors: List[ForceSensor] = field(default_factory=list)

    def add_force_sensor(self, body: int, pose: Transform) -> int:
        """Returns the sensor's number."""
        self.force_sensors.append(ForceSensor(body, pose))
        return len(self.force_sensors) - 1


@dataclass
class Actor:
    """An instance of an asset in one environment."""

    asset: Asset
    pose: Transform
    name: str
    group: int
    shapes: List[RigidShapeProperties]
    uses_file_filters: bool
    dof_properties: np.ndarray
    aggregate: Optional[int] = None
    """Which aggregate of its environment it belongs to."""
    scale: float = 1.0
    colors: Dict[int, Tuple[float, float, float]] = field(default_factory=dict)
    """By body, RGB in 0..1."""
    has_dof_force_sensors: bool = False


@dataclass
class Aggregate:
    """A declared bundle of actors."""

    max_bodies: int
    max_shapes: int
    self_collisions: bool


@dataclass
class Camera:
    """An off-screen camera."""

    properties: CameraProperties
    position: Vec3
    target: Vec3
    image: Optional[np.ndarray] = None
    """The picture last drawn, uint8 (height, width, 4)."""
    body: Optional[int] = None
    """The body it follows."""
    offset: Optional[Transform] = None


@dataclass
class Env:
    """One environment."""

    index: int
    sim: "Sim"
    actors: List[Actor] = field(default_factory=list)
    aggregates: List[Aggregate] = field(default_factory=list)
    is_aggregating: bool = False
    cameras: List[Optional[Camera]] = field(default_factory=list)


@dataclass
class Viewer:
    """A window that only remembers what happened to it."""

    sim: "Sim"
    properties: CameraProperties
    has_closed: bool = False
    frames_drawn: int = 0
    keys: Dict[str, Any] = field(default_factory=dict)
    """Subscribed keys by action name."""
    events: List[Any] = field(default_factory=list)
    lines: List[np.ndarray] = field(default_factory=list)
    look_at: Optional[Tuple[Vec3, Vec3]] = None
    is_destroyed: bool = False


class Engine(Protocol):
    """The physics underneath. Everything is float32, as in PhysX."""

    def simulate(self, targets: np.ndarray, forces: Optional[np.ndarray], torques: Optional[np.ndarray]) -> None:
        """One ``SimParams.dt`` with position targets (N, dofs) and external loads (N, bodies, 3) in world axes."""

    def set_dof_state(self, env: int, first: int, state: np.ndarray) -> None:
        """Positions and velocities (k, 2) of the degrees of freedom from number ``first`` on."""

    def set_root_state(self, env: int, actor: int, state: np.ndarray) -> None:
        """Pose and velocities (13,) of a free actor."""

    def set_gravity(self, gravity: Tuple[float, float, float]) -> None:
        """m/s^2, from now on."""

    def readings(self) -> Dict[str, np.ndarray]:
        """By buffer: dof_state, root_state, body_state, contact_force, dof_force, force_sensor; each (N, ...)."""

    def can_draw(self) -> bool:
        """Whether this machine has what pictures need."""

    def draw(self, env: int, camera: Camera, colors: Dict[Tuple[int, int], Tuple[float, float, float]]) -> np.ndarray:
        """A picture, uint8 (height, width, 3); ``colors`` by actor and body."""


@dataclass
class Buffer:
    """Memory that tensors are wrapped around."""

    values: np.ndarray
    """Flat over environments."""
    mirror: Any = None
    """The same on a GPU, once wrapped."""

    def show(self, values: np.ndarray) -> None:
        """Overwrite in place."""
        self.values[...] = values.reshape(self.values.shape)
        if self.mirror is not None:
            import torch

            self.mirror.copy_(torch.from_numpy(self.values))


class Tensor:
    """The description of a buffer of the simulation or of a torch tensor."""

    def __init__(
        self, shape: Sequence[int], dtype: TensorDataType, device: int, address: int, own_data: bool = False
    ) -> None:
        self.shape = tuple(shape)
        self.ndim = len(self.shape)
        self.dtype = dtype
        self.device = device
        self.data_address = address
        self.own_data = own_data
        self._sim: Optional[Sim] = None
        self._buffer: Optional[Callable[[], Buffer]] = None
        self._torch: Any = None

    @property
    def data_ptr(self) -> int:
        """Where the numbers are."""
        return self.data_address

    @classmethod
    def of_buffer(cls, sim: "Sim", find: Callable[[], Buffer]) -> "Tensor":
        """A buffer of ``sim``, which need not exist before ``prepare_sim``."""
        values = find().values if sim.stage is Stage.PREPARED else np.zeros(0, np.float32)
        tensor = cls(values.shape, TensorDataType.DTYPE_FLOAT32, sim.device, int(values.ctypes.data))
        tensor._sim, tensor._buffer = sim, find
        return tensor

    @classmethod
    def of_torch(
        cls, reference: Any, shape: Sequence[int], dtype: TensorDataType, device: int, address: int
    ) -> "Tensor":
        """A torch tensor, held by a weak reference."""
        tensor = cls(shape, dtype, device, address)
        tensor._torch = reference
        return tensor


@dataclass
class Sim:
    """One simulation."""

    params: SimParams
    graphics_device: int
    stage: Stage = Stage.EMPTY
    envs: List[Env] = field(default_factory=list)
    ground: Optional[PlaneParams] = None
    engine: Optional[Engine] = None
    buffers: Dict[str, Buffer] = field(default_factory=dict)
    targets: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    frame: int = 0
    viewer: Optional[Viewer] = None
    # what has happened since the last simulate
    results_fetched: bool = True
    written: List[str] = field(default_factory=list)
    kept_alive: List[Any] = field(default_factory=list)
    """Weak references to the tensors given to setters."""
    pending: List[Any] = field(default_factory=list)
    """Writes that the next simulate carries out."""
    readings: Dict[str, np.ndarray] = field(default_factory=dict)
    """Of the engine, once something has asked for them."""
    forces: Optional[np.ndarray] = None
    torques: Optional[np.ndarray] = None
    # what has happened in this frame of graphics
    graphics_stepped: bool = False
    cameras_rendered: bool = False
    images_accessible: bool = False

    @property
    def device(self) -> int:
        """Of the tensors: a CUDA index, -1 for the host."""
        return 0 if self.params.use_gpu_pipeline else -1

    @property
    def first_env(self) -> Env:
        """All environments are alike; this one speaks for them."""
        if not self.envs:
            misuse("The simulation has no environment yet")
        return self.envs[0]

    def reading(self, name: str) -> np.ndarray:
        """A buffer's values, which the engine computes once after each simulate."""
        assert self.engine is not None
        if not self.readings:
            self.readings = self.engine.readings()
        return self.readings[name]
