"""``Gym``: simulations, assets, environments and actors, up to ``prepare_sim``."""

import copy
from pathlib import Path
from typing import Any, List, Optional

import numpy as np

from . import _engines
from ._records import (
    Actor,
    Aggregate,
    Asset,
    Buffer,
    Env,
    IsaacGymMisuse,
    Sim,
    Stage,
    misuse,
)
from ._types import (
    DOF_PROPERTIES,
    AssetOptions,
    ForceSensorProperties,
    IndexDomain,
    IndexRange,
    MeshType,
    PlaneParams,
    RigidBodyProperties,
    RigidShapeProperties,
    SimParams,
    SimType,
    Transform,
    Vec3,
    vector_of,
)

_BUFFER_WIDTHS = {
    "root_state": 13,
    "dof_state": 2,
    "body_state": 13,
    "contact_force": 3,
    "dof_force": None,
    "force_sensor": 6,
}
"""Columns of each buffer; ``None`` = a flat vector."""


def _require(sim: Sim, stage: Stage, what: str) -> None:
    """Refuse a call that comes too early or too late."""
    if sim.stage is Stage.DESTROYED:
        misuse(f"{what} after destroy_sim")
    if stage is Stage.PREPARED and sim.stage < Stage.PREPARED:
        misuse(f"{what} before prepare_sim")
    if stage < Stage.PREPARED <= sim.stage:
        misuse(f"{what} after prepare_sim")
    if stage is Stage.EMPTY and sim.stage > Stage.EMPTY:
        misuse(f"{what} after create_env")


class SetupCalls:
    """The part of ``Gym`` that builds."""

    def create_sim(
        self,
        compute_device: int = 0,
        graphics_device: int = 0,
        type: SimType = SimType.SIM_FLEX,
        params: Optional[SimParams] = None,
    ) -> Sim:
        """A new simulation."""
        params = copy.deepcopy(params) if params is not None else SimParams()
        if type is not SimType.SIM_PHYSX:
            misuse("create_sim without SIM_PHYSX: the default is Flex, whose tensors cannot be written")
        if params.physx.rest_offset >= params.physx.contact_offset:
            misuse("physx.rest_offset must be less than physx.contact_offset")
        if params.use_gpu_pipeline and not params.physx.use_gpu:
            misuse("use_gpu_pipeline without physx.use_gpu")
        return Sim(params, graphics_device)

    def destroy_sim(self, sim: Sim, /) -> None:
        """Free it; its viewer must be gone."""
        if sim.viewer is not None:
            misuse("destroy_sim before destroy_viewer")
        sim.stage = Stage.DESTROYED
        sim.engine = None

    def get_sim_params(self, sim: Sim, /) -> SimParams:
        """A copy."""
        return copy.deepcopy(sim.params)

    def set_sim_params(self, sim: Sim, params: SimParams, /) -> None:
        """Gravity may change while it runs; nothing else here."""
        _require(sim, min(sim.stage, Stage.PREPARED), "set_sim_params")
        if sim.engine is not None:
            sim.engine.set_gravity(vector_of(params.gravity))
        sim.params.gravity = copy.deepcopy(params.gravity)

    def add_ground(self, sim: Sim, params: PlaneParams) -> None:
        """One plane below everything."""
        _require(sim, Stage.EMPTY, "add_ground")
        sim.ground = copy.deepcopy(params)

    # --- assets -------------------------------------------------------------------------------------------------------

    def load_asset(self, sim: Sim, rootpath: str, filename: str, options: Optional[AssetOptions] = None) -> Asset:
        """Read an MJCF."""
        _require(sim, Stage.HAS_ENVS, "load_asset")
        path = Path(rootpath) / filename
        if path.suffix != ".xml" or not path.is_file():
            misuse(f"load_asset: {path} is not an MJCF file that exists")
        options = copy.deepcopy(options) if options is not None else AssetOptions()
        if options.collapse_fixed_joints:
            misuse("collapse_fixed_joints would merge the fingertip and fingerpad bodies away")
        return _engines.describe(path, options)

    def create_box(
        self, sim: Sim, width: float, height: float, depth: float, options: Optional[AssetOptions] = None
    ) -> Asset:
        """A box of full edge lengths x, y, z."""
        _require(sim, Stage.HAS_ENVS, "create_box")
        options = copy.deepcopy(options) if options is not None else AssetOptions()
        return Asset(
            source=(width, height, depth),
            options=options,
            body_names=["box"],
            dof_names=[],
            shapes_of_body=[1],
            masses=[options.density * width * height * depth],
            frictions=[1.0],
            dof_properties=np.zeros(0, DOF_PROPERTIES),
        )

    def get_asset_rigid_body_count(self, asset: Asset, /) -> int:
        """Bodies."""
        return len(asset.body_names)

    def get_asset_rigid_shape_count(self, asset: Asset, /) -> int:
        """Collision shapes."""
        return sum(asset.shapes_of_body)

    def get_asset_dof_count(self, asset: Asset, /) -> int:
        """Degrees of freedom."""
        return len(asset.dof_names)

    def get_asset_dof_names(self, asset: Asset, /) -> List[str]:
        """In tensor order."""
        return list(asset.dof_names)

    def get_asset_actuator_count(self, asset: Asset, /) -> int:
        """Actuators of the file."""
        return len(asset.actuator_joints)

    def get_asset_tendon_count(self, asset: Asset, /) -> int:
        """Tendons: a file with any is not read."""
        return 0

    def get_asset_dof_properties(self, asset: Asset, /) -> np.ndarray:
        """A copy."""
        return asset.dof_properties.copy()

    def get_asset_actuator_joint_name(self, asset: Asset, index: int, /) -> str:
        """The joint an actuator drives."""
        return asset.actuator_joints[index]

    def find_asset_rigid_body_index(self, asset: Asset, name: str, /) -> int:
        """-1 if there is none."""
        return asset.body_names.index(name) if name in asset.body_names else -1

    def find_asset_dof_index(self, asset: Asset, name: str, /) -> int:
        """-1 if there is none."""
        return asset.dof_names.index(name) if name in asset.dof_names else -1

    def create_asset_force_sensor(
        self, asset: Asset, body_idx: int, local_pose: Transform, props: Optional[ForceSensorProperties] = None
    ) -> int:
        """Force and torque between a body and its parent, in the sensor's frame."""
        if props is not None and props.use_world_frame:
            misuse("The stand-in's force sensors report in their own frame: use_world_frame must be False")
        return asset.add_force_sensor(body_idx, copy.deepcopy(local_pose))

    # --- environments -------------------------------------------------------------------------------------------------

    def create_env(self, sim: Sim, lower: Vec3, upper: Vec3, per_row: int, /) -> Env:
        """The next environment."""
        _require(sim, Stage.HAS_ENVS, "create_env")
        if sim.envs:
            self._check_complete(sim.envs[-1])
        sim.stage = Stage.HAS_ENVS
        sim.envs.append(Env(index=len(sim.envs), sim=sim))
        return sim.envs[-1]

    def get_env(self, sim: Sim, index: int, /) -> Env:
        """By number."""
        return sim.envs[index]

    def begin_aggregate(self, env: Env, max_bodies: int, max_shapes: int, self_collisions: bool, /) -> bool:
        """Open an aggregate."""
        self._check_open(env, "begin_aggregate")
        if env.is_aggregating:
            misuse("begin_aggregate twice without end_aggregate")
        env.aggregates.append(Aggregate(max_bodies, max_shapes, self_collisions))
        env.is_aggregating = True
        return True

    def end_aggregate(self, env: Env, /) -> bool:
        """Close it; what it holds must be what was declared."""
        if not env.is_aggregating:
            misuse("end_aggregate without begin_aggregate")
        env.is_aggregating = False
        number, aggregate = len(env.aggregates) - 1, env.aggregates[-1]
        assets = [actor.asset for actor in env.actors if actor.aggregate == number]
        bodies = sum(len(asset.body_names) for asset in assets)
        shapes = sum(sum(asset.shapes_of_body) for asset in assets)
        if bodies > aggregate.max_bodies or shapes > aggregate.max_shapes:
            misuse(
                f"The aggregate holds {bodies} bodies and {shapes} shapes, declared were {aggregate.max_bodies} and "
                f"{aggregate.max_shapes}"
            )
        return True

    def create_actor(
        self,
        env: Env,
        asset: Asset,
        pose: Transform,
        name: Optional[str] = None,
        group: int = -1,
        filter: int = -1,
        segmentationId: int = 0,
    ) -> int:
        """An instance of an asset."""
        self._check_open(env, "create_actor")
        for other in env.sim.envs[:-1]:
            if group in (-1, *(actor.group for actor in other.actors)):
                misuse(f"create_actor with group {group}: actors of environments {other.index} and {env.index} collide")
        shapes = []
        for friction in asset.frictions:
            shape = RigidShapeProperties()
            shape.friction, shape.filter = friction, max(filter, 0)
            shapes.append(shape)
        env.actors.append(
            Actor(
                asset=asset,
                pose=copy.deepcopy(pose),
                name=name or f"actor{len(env.actors)}",
                group=group,
                shapes=shapes,
                uses_file_filters=filter < 0,
                dof_properties=asset.dof_properties.copy(),
                aggregate=len(env.aggregates) - 1 if env.is_aggregating else None,
            )
        )
        return len(env.actors) - 1

    def _check_open(self, env: Env, what: str) -> None:
        _require(env.sim, Stage.HAS_ENVS, what)
        if env is not env.sim.envs[-1]:
            misuse(f"{what} in environment {env.index} after create_env of the next one")

    def _check_complete(self, env: Env) -> None:
        if env.is_aggregating:
            misuse(f"environment {env.index} has an aggregate without end_aggregate")
        if not env.actors:
            misuse(f"environment {env.index} has no actor")

    # --- actors -------------------------------------------------------------------------------------------------------

    def get_actor_count(self, env: Env, /) -> int:
        """In one environment."""
        return len(env.actors)

    def get_actor_handle(self, env: Env, index: int, /) -> int:
        """By number."""
        return index if 0 <= index < len(env.actors) else -1

    def find_actor_handle(self, env: Env, name: str, /) -> int:
        """-1 if there is none."""
        names = [actor.name for actor in env.actors]
        return names.index(name) if name in names else -1

    def get_actor_index(self, env: Env, actor: int, domain: IndexDomain, /) -> int:
        """A row of the root state tensor in DOMAIN_SIM."""
        before = sum(len(other.actors) for other in env.sim.envs[: env.index]) if _in_sim(domain) else 0
        return 0 if domain is IndexDomain.DOMAIN_ACTOR else before + actor

    def get_sim_dof_count(self, sim: Sim, /) -> int:
        """Over all environments."""
        return sum(len(actor.asset.dof_names) for env in sim.envs for actor in env.actors)

    def get_actor_dof_names(self, env: Env, actor: int, /) -> List[str]:
        """In tensor order."""
        return list(env.actors[actor].asset.dof_names)

    def get_actor_dof_properties(self, env: Env, actor: int, /) -> np.ndarray:
        """A copy."""
        return env.actors[actor].dof_properties.copy()

    def set_actor_dof_properties(self, env: Env, actor: int, props: np.ndarray, /) -> bool:
        """Drive mode, gains, limits."""
        _require(env.sim, Stage.HAS_ENVS, "set_actor_dof_properties")
        if props.dtype != DOF_PROPERTIES or props.shape != env.actors[actor].dof_properties.shape:
            misuse("set_actor_dof_properties takes the array that get_actor_dof_properties gave")
        env.actors[actor].dof_properties = props.copy()
        return True

    def get_actor_rigid_body_count(self, env: Env, actor: int, /) -> int:
        """Bodies."""
        return len(env.actors[actor].asset.body_names)

    def get_actor_rigid_body_names(self, env: Env, actor: int, /) -> List[str]:
        """In tensor order."""
        return list(env.actors[actor].asset.body_names)

    def get_actor_rigid_body_properties(self, env: Env, actor: int, /) -> List[RigidBodyProperties]:
        """Masses."""
        properties = []
        for mass in env.actors[actor].asset.masses:
            each = RigidBodyProperties()
            each.mass, each.invMass = mass, 1 / mass if mass else 0.0
            properties.append(each)
        return properties

    def get_actor_rigid_body_shape_indices(self, env: Env, actor: int, /) -> List[IndexRange]:
        """Which shapes belong to which body."""
        ranges, start = [], 0
        for count in env.actors[actor].asset.shapes_of_body:
            each = IndexRange()
            each.start, each.count = start, count
            ranges.append(each)
            start += count
        return ranges

    def get_actor_rigid_shape_properties(self, env: Env, actor: int, /) -> List[RigidShapeProperties]:
        """Copies."""
        return copy.deepcopy(env.actors[actor].shapes)

    def set_actor_rigid_shape_properties(self, env: Env, actor: int, shapes: List[RigidShapeProperties], /) -> bool:
        """Friction and collision filters."""
        _require(env.sim, Stage.HAS_ENVS, "set_actor_rigid_shape_properties")
        if len(shapes) != len(env.actors[actor].shapes):
            misuse(f"set_actor_rigid_shape_properties: {len(shapes)} instead of {len(env.actors[actor].shapes)} shapes")
        env.actors[actor].shapes = copy.deepcopy(shapes)
        env.actors[actor].uses_file_filters &= all(shape.filter == 0 for shape in shapes)
        return True

    def get_actor_rigid_body_index(self, env: Env, actor: int, body: int, domain: IndexDomain, /) -> int:
        """A row of the body state tensor in DOMAIN_SIM."""
        if domain is IndexDomain.DOMAIN_ACTOR:
            return body
        envs = env.sim.envs[: env.index] if _in_sim(domain) else []
        actors = [*(actor for other in envs for actor in other.actors), *env.actors[:actor]]
        return sum(len(each.asset.body_names) for each in actors) + body

    def find_actor_rigid_body_index(self, env: Env, actor: int, name: str, domain: IndexDomain, /) -> int:
        """-1 if there is none."""
        names = env.actors[actor].asset.body_names
        return self.get_actor_rigid_body_index(env, actor, names.index(name), domain) if name in names else -1

    def find_actor_rigid_body_handle(self, env: Env, actor: int, name: str, /) -> int:
        """-1 if there is none."""
        return self.find_actor_rigid_body_index(env, actor, name, IndexDomain.DOMAIN_ENV)

    def set_actor_scale(self, env: Env, actor: int, factor: float, /) -> bool:
        """Of boxes."""
        _require(env.sim, Stage.HAS_ENVS, "set_actor_scale")
        if isinstance(env.actors[actor].asset.source, Path):
            misuse("The stand-in scales boxes only")
        env.actors[actor].scale = factor
        return True

    def enable_actor_dof_force_sensors(self, env: Env, actor: int, /) -> bool:
        """Without it the dof force tensor stays 0."""
        _require(env.sim, Stage.HAS_ENVS, "enable_actor_dof_force_sensors")
        env.actors[actor].has_dof_force_sensors = True
        return True

    def set_rigid_body_color(self, env: Env, actor: int, body: int, mesh: MeshType, color: Vec3, /) -> None:
        """At any time."""
        if mesh is MeshType.MESH_NONE:
            misuse("set_rigid_body_color of MESH_NONE colours nothing")
        env.actors[actor].colors[body] = vector_of(color)

    # --- the end of it ------------------------------------------------------------------------------------------------

    def prepare_sim(self, sim: Sim, /) -> bool:
        """Allocate everything."""
        _require(sim, Stage.HAS_ENVS, "prepare_sim")
        self._check_complete(sim.first_env if sim.stage is Stage.EMPTY else sim.envs[-1])
        layout = _layout(sim.first_env)
        for env in sim.envs[1:]:
            if _layout(env) != layout:
                raise IsaacGymMisuse(f"environments 0 and {env.index} differ: the stand-in needs them alike")
        sim.engine = _engines.build(sim)
        for name, values in sim.engine.readings().items():
            width = _BUFFER_WIDTHS[name]
            shape = (-1,) if width is None else (-1, width)
            sim.buffers[name] = Buffer(np.zeros_like(values, dtype=np.float32).reshape(shape))
        sim.targets = np.zeros((len(sim.envs), self.get_sim_dof_count(sim) // len(sim.envs)), np.float32)
        sim.stage = Stage.PREPARED
        return True


def _in_sim(domain: IndexDomain) -> bool:
    return domain is IndexDomain.DOMAIN_SIM


def _layout(env: Env) -> Any:
    """What must be the same in all environments."""
    return [
        (
            id(actor.asset),
            actor.dof_properties.tobytes(),
            [tuple(vars(shape).values()) for shape in actor.shapes],
            (actor.uses_file_filters, actor.aggregate, actor.scale),
            tuple(vars(actor.pose.p).values()),
        )
        for actor in env.actors
    ]
