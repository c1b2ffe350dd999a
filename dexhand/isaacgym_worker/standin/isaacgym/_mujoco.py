"""The stand-in on MuJoCo: one model for all environments, one ``MjData`` for each.

State is rounded to float32 after every call, as PhysX has it, and the solver starts cold: what a tensor shows is all
there is. Who wants pictures sets ``MUJOCO_GL`` before.
"""

import itertools
import math
import os
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import mujoco
import numpy as np

from ._records import Actor, Asset, Camera, Sim, misuse
from ._types import (
    DOF_PROPERTIES,
    AssetOptions,
    ContactCollection,
    DofDriveMode,
    PlaneParams,
    Transform,
    pose_of,
    vector_of,
)

_NET_FORCE = [1 << int(mujoco.mjtConDataField.mjCONDATA_FORCE), 3, 1]


def describe(path: Path, options: AssetOptions) -> Asset:
    """Bodies and shapes as MuJoCo compiles them; servo gains as Isaac Gym is said to import them."""
    model = mujoco.MjModel.from_xml_path(str(path))
    if model.ntendon:
        misuse(f"load_asset: {path} has tendons, which the stand-in does not know")
    bodies = range(1, model.nbody)
    joints = [model.joint(i) for i in range(model.njnt)]
    properties = np.zeros(len(joints), DOF_PROPERTIES)
    properties["driveMode"] = options.default_dof_drive_mode
    properties["hasLimits"] = [bool(model.jnt_limited[joint.id]) for joint in joints]
    properties["lower"], properties["upper"] = np.array([joint.range for joint in joints]).T
    # kp becomes stiffness, the joint's damping becomes damping; the actuator's kv is not mentioned
    for actuator in range(model.nu):
        properties["stiffness"][model.actuator_trnid[actuator, 0]] = model.actuator_gainprm[actuator, 0]
    properties["damping"] = model.dof_damping
    properties["effort"] = properties["velocity"] = np.finfo(np.float32).max
    properties["armature"], properties["friction"] = model.dof_armature, model.dof_frictionloss
    shapes = [_shapes(model, body) for body in bodies]
    return Asset(
        source=path,
        options=options,
        body_names=[model.body(body).name for body in bodies],
        dof_names=[joint.name for joint in joints],
        shapes_of_body=[len(each) for each in shapes],
        masses=[float(model.body_mass[body]) for body in bodies],
        frictions=[float(model.geom_friction[geom, 0]) for each in shapes for geom in each],
        dof_properties=properties,
        actuator_joints=[model.joint(model.actuator_trnid[i, 0]).name for i in range(model.nu)],
    )


def _shapes(model: Any, body: int) -> List[int]:
    """The geoms of a body that can touch something."""
    geoms = range(model.body_geomadr[body], model.body_geomadr[body] + model.body_geomnum[body])
    return [geom for geom in geoms if model.geom_contype[geom] or model.geom_conaffinity[geom]]


class MujocoEngine:
    """``Engine`` on MuJoCo."""

    def __init__(self, sim: Sim) -> None:
        self._params = sim.params
        self._actors = sim.first_env.actors
        self._model = _compile(sim)
        self._bodies = [
            self._model.body(_body_name(number, actor, name)).id
            for number, actor in enumerate(self._actors)
            for name in actor.asset.body_names
        ]
        self._joints = [
            self._model.joint(f"{number}/{name}").id
            for number, actor in enumerate(self._actors)
            for name in actor.asset.dof_names
        ]
        self._qpos = self._model.jnt_qposadr[self._joints]
        self._qvel = self._model.jnt_dofadr[self._joints]
        self._has_dof_force = np.array(
            [actor.has_dof_force_sensors for actor in self._actors for _ in actor.asset.dof_names], dtype=bool
        )
        free = {number: self._model.joint(f"{number}/free") for number in self._boxes()}
        self._free_joints = {number: (int(j.qposadr[0]), int(j.dofadr[0])) for number, j in free.items()}
        self._root_bodies = [
            self._model.body(_body_name(n, a, a.asset.body_names[0])).id for n, a in enumerate(self._actors)
        ]
        self._worlds = [mujoco.MjData(self._model) for _ in sim.envs]
        self._contacts = np.zeros((len(sim.envs), len(self._bodies), 3), np.float32)
        for world in self._worlds:
            self._bring_up_to_date(world)

    def simulate(self, targets: np.ndarray, forces: Optional[np.ndarray], torques: Optional[np.ndarray]) -> None:
        """See ``Engine.simulate``."""
        collection = self._params.physx.contact_collection
        for env, world in enumerate(self._worlds):
            world.ctrl[:] = targets[env]
            world.xfrc_applied[:] = 0.0
            for column, load in ((0, forces), (3, torques)):
                if load is not None:
                    world.xfrc_applied[self._bodies, column : column + 3] = load[env]
            contacts = np.zeros((len(self._bodies), 3))
            for _ in range(self._params.substeps):
                mujoco.mj_step(self._model, world)
                # the sensor has the force of the body on the others
                latest = -world.sensordata[: contacts.size].reshape(-1, 3)
                keeps_all = collection is ContactCollection.CC_ALL_SUBSTEPS
                contacts = contacts + latest if keeps_all else latest
            self._contacts[env] = 0.0 if collection is ContactCollection.CC_NEVER else contacts
            self._bring_up_to_date(world)

    def set_dof_state(self, env: int, first: int, state: np.ndarray) -> None:
        """See ``Engine.set_dof_state``."""
        columns = slice(first, first + len(state))
        self._worlds[env].qpos[self._qpos[columns]] = state[:, 0]
        self._worlds[env].qvel[self._qvel[columns]] = state[:, 1]

    def set_root_state(self, env: int, actor: int, state: np.ndarray) -> None:
        """See ``Engine.set_root_state``."""
        self._place(self._worlds[env], actor, state)

    def _place(self, world: Any, actor: int, state: np.ndarray) -> None:
        pos, dof = self._free_joints[actor]
        world.qpos[pos : pos + 7] = state[[0, 1, 2, 6, 3, 4, 5]]
        rotation = np.zeros(9)
        mujoco.mju_quat2Mat(rotation, world.qpos[pos + 3 : pos + 7])
        world.qvel[dof : dof + 3] = state[7:10]
        # MuJoCo has the angular velocity of a free body in the body's own axes
        world.qvel[dof + 3 : dof + 6] = rotation.reshape(3, 3).T @ state[10:13]

    def set_gravity(self, gravity: Tuple[float, float, float]) -> None:
        """See ``Engine.set_gravity``."""
        self._model.opt.gravity[:] = gravity

    def readings(self) -> Dict[str, np.ndarray]:
        """See ``Engine.readings``."""
        bodies = np.array([self._body_states(world) for world in self._worlds])
        roots = np.array(
            [[self._root_state(world, actor) for actor in range(len(self._actors))] for world in self._worlds]
        )
        number_of_sensors = sum(len(actor.asset.force_sensors) for actor in self._actors)
        sensed = [world.sensordata[3 * len(self._bodies) :].reshape(number_of_sensors, 6) for world in self._worlds]
        return {
            "dof_state": np.array(
                [np.stack((world.qpos[self._qpos], world.qvel[self._qvel]), axis=-1) for world in self._worlds],
            ),
            "root_state": roots,
            "body_state": bodies,
            "contact_force": self._contacts,
            "dof_force": np.array(
                [world.qfrc_actuator[self._qvel] * self._has_dof_force for world in self._worlds],
            ),
            "force_sensor": np.array(sensed),
        }

    def draw(self, env: int, camera: Camera, colors: Dict[Tuple[int, int], Tuple[float, float, float]]) -> np.ndarray:
        """See ``Engine.draw``."""
        properties, model = camera.properties, self._model
        for (actor, body), color in colors.items():
            name = _body_name(actor, self._actors[actor], self._actors[actor].asset.body_names[body])
            first, count = model.body_geomadr[model.body(name).id], model.body_geomnum[model.body(name).id]
            model.geom_rgba[first : first + count, :3] = color
        half_width = math.tan(math.radians(properties.horizontal_fov) / 2)
        model.vis.global_.fovy = math.degrees(2 * math.atan(half_width * properties.height / properties.width))
        model.vis.global_.offwidth, model.vis.global_.offheight = properties.width, properties.height
        with mujoco.Renderer(model, properties.height, properties.width) as renderer:
            renderer.update_scene(self._worlds[env], camera=_look(camera))
            picture: np.ndarray = renderer.render().copy()
        return picture

    def can_draw(self) -> bool:
        """See ``Engine.can_draw``."""
        return os.environ.get("MUJOCO_GL") != "disable"

    def _boxes(self) -> List[int]:
        return [number for number, actor in enumerate(self._actors) if not isinstance(actor.asset.source, Path)]

    def _bring_up_to_date(self, world: Any) -> None:
        """Keep what the tensors show and no more, then compute poses and velocities of bodies."""
        mujoco.mj_normalizeQuat(self._model, world.qpos)
        world.qpos[:] = world.qpos.astype(np.float32)
        world.qvel[:] = world.qvel.astype(np.float32)
        mujoco.mj_kinematics(self._model, world)
        for number in self._boxes():
            self._place(world, number, self._root_state(world, number).astype(np.float32))
        mujoco.mj_kinematics(self._model, world)
        mujoco.mj_comPos(self._model, world)
        mujoco.mj_comVel(self._model, world)

    def _root_state(self, world: Any, actor: int) -> np.ndarray:
        """Of a free body its joint's own numbers, which setting them gives back."""
        body = self._root_bodies[actor]
        if actor not in self._free_joints:
            return np.concatenate((world.xpos[body], world.xquat[body][[1, 2, 3, 0]], np.zeros(6)))
        pos, dof = self._free_joints[actor]
        quat = world.qpos[pos + 3 : pos + 7]
        angvel = world.xmat[body].reshape(3, 3) @ world.qvel[dof + 3 : dof + 6]
        return np.concatenate((world.qpos[pos : pos + 3], quat[[1, 2, 3, 0]], world.qvel[dof : dof + 3], angvel))

    def _body_states(self, world: Any) -> np.ndarray:
        """Shape (B, 13). MuJoCo has the velocities of a tree at its centre of mass: ``mj_objectVelocity``."""
        pos, angvel = world.xpos[self._bodies], world.cvel[self._bodies, :3]
        arm = pos - world.subtree_com[self._model.body_rootid[self._bodies]]
        linvel = world.cvel[self._bodies, 3:] + np.cross(angvel, arm)
        return np.concatenate((pos, world.xquat[self._bodies][:, [1, 2, 3, 0]], linvel, angvel), axis=1)


# --- the model --------------------------------------------------------------------------------------------------------


def _compile(sim: Sim) -> Any:
    params = sim.params
    spec = mujoco.MjSpec()
    specs = [_actor_spec(actor) for actor in sim.first_env.actors]
    for each in (spec, *specs):
        each.option.timestep = params.dt / params.substeps
        each.option.gravity = vector_of(params.gravity)
        each.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        each.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
        each.option.disableflags = mujoco.mjtDisableBit.mjDSBL_WARMSTART
    spec.worldbody.add_light(pos=[0.4, -0.6, 2.0], dir=[-0.2, 0.3, -1.0])
    if sim.ground is not None:
        _add_ground(spec, sim.ground)
    for number, (actor, actor_spec) in enumerate(zip(sim.first_env.actors, specs)):
        x, y, z, *quat = pose_of(actor.pose)
        frame = spec.worldbody.add_frame(pos=[x, y, z], quat=[quat[3], *quat[:3]])
        spec.attach(actor_spec, frame=frame, prefix=f"{number}/")
    _exclude(spec, sim)
    _add_sensors(spec, sim.first_env.actors)
    return spec.compile()


def _actor_spec(actor: Actor) -> Any:
    """The actor alone, with its own properties instead of the file's."""
    asset = actor.asset
    if isinstance(asset.source, Path):
        spec = mujoco.MjSpec.from_file(str(asset.source))
        for unused in (*spec.sensors, *spec.keys, *spec.actuators):
            spec.delete(unused)
        if not asset.options.fix_base_link:
            misuse("The stand-in's articulated actors stand still: fix_base_link must be True")
    else:
        spec = mujoco.MjSpec()
        box = spec.worldbody.add_body(name="box")
        box.add_freejoint(name="free")
        size = [actor.scale * edge / 2 for edge in asset.source]
        box.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=size, density=asset.options.density)
    for body in spec.bodies:
        body.gravcomp = float(asset.options.disable_gravity)
    joints = {joint.name: joint for joint in spec.joints}
    for name, properties in zip(asset.dof_names, actor.dof_properties):
        _drive(spec, joints[name], properties)
    shapes = iter(actor.shapes)
    for name in asset.body_names:
        for geom in spec.body(name).geoms:
            if geom.contype or geom.conaffinity:
                geom.friction[0] = next(shapes).friction
    return spec


def _drive(spec: Any, joint: Any, properties: np.ndarray) -> None:
    joint.armature, joint.frictionloss = float(properties["armature"]), float(properties["friction"])
    joint.limited = bool(properties["hasLimits"])
    joint.range = [float(properties["lower"]), float(properties["upper"])]
    is_driven = properties["driveMode"] == DofDriveMode.DOF_MODE_POS
    stiffness, damping = (float(properties[key]) if is_driven else 0.0 for key in ("stiffness", "damping"))
    effort = float(properties["effort"])
    # beside the servo: within a servo at its force limit MuJoCo integrates it explicitly, and light links shake
    joint.damping[0] = damping
    spec.add_actuator(
        name=joint.name,
        target=joint.name,
        trntype=mujoco.mjtTrn.mjTRN_JOINT,
        gaintype=mujoco.mjtGain.mjGAIN_FIXED,
        biastype=mujoco.mjtBias.mjBIAS_AFFINE,
        gainprm=[stiffness] + [0.0] * 9,
        biasprm=[0.0, -stiffness] + [0.0] * 8,
        forcelimited=effort < 1e9,
        forcerange=[-min(effort, 1e9), min(effort, 1e9)],
    )


def _add_ground(spec: Any, plane: PlaneParams) -> None:
    normal = np.array(vector_of(plane.normal))
    quat = np.empty(4)
    mujoco.mju_quatZ2Vec(quat, normal)
    spec.worldbody.add_geom(
        name="ground",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[3.0, 3.0, 0.1],
        pos=-plane.distance * normal,
        quat=quat,
        friction=[plane.dynamic_friction, 0.005, 0.0001],
        rgba=[0.8, 0.82, 0.84, 1.0],
    )


def _exclude(spec: Any, sim: Sim) -> None:
    """Turn filters, groups and aggregates into pairs of bodies that never collide."""
    env = sim.first_env
    bodies = []
    for number, actor in enumerate(env.actors):
        shapes = iter(actor.shapes)
        for name, count in zip(actor.asset.body_names, actor.asset.shapes_of_body):
            filters = {next(shapes).filter for _ in range(count)}
            if len(filters) > 1:
                misuse(f"The stand-in needs one collision filter for each body, {name} has {sorted(filters)}")
            if count:
                bodies.append((number, actor, name, filters.pop()))
                if not actor.uses_file_filters:
                    for geom in spec.body(_body_name(number, actor, name)).geoms:
                        if geom.contype or geom.conaffinity:
                            geom.contype = geom.conaffinity = 1
    for (a, first, name_a, filter_a), (b, second, name_b, filter_b) in itertools.combinations(bodies, 2):
        bundled = first.aggregate is not None and first.aggregate == second.aggregate
        apart = bundled and not env.aggregates[first.aggregate or 0].self_collisions
        if filter_a & filter_b or apart or (first.group != second.group and -1 not in (first.group, second.group)):
            spec.add_exclude(bodyname1=_body_name(a, first, name_a), bodyname2=_body_name(b, second, name_b))


def _add_sensors(spec: Any, actors: List[Actor]) -> None:
    names = [_body_name(number, actor, name) for number, actor in enumerate(actors) for name in actor.asset.body_names]
    for name in names:
        spec.add_sensor(
            type=mujoco.mjtSensor.mjSENS_CONTACT, objtype=mujoco.mjtObj.mjOBJ_BODY, objname=name, intprm=_NET_FORCE
        )
    for number, actor in enumerate(actors):
        for index, sensor in enumerate(actor.asset.force_sensors):
            body = spec.body(_body_name(number, actor, actor.asset.body_names[sensor.body]))
            _add_force_sensor(spec, body, f"{number}/sensor{index}", sensor.pose)


def _add_force_sensor(spec: Any, body: Any, name: str, pose: Transform) -> None:
    x, y, z, *quat = pose_of(pose)
    body.add_site(name=name, pos=[x, y, z], quat=[quat[3], *quat[:3]])
    for kind in (mujoco.mjtSensor.mjSENS_FORCE, mujoco.mjtSensor.mjSENS_TORQUE):
        spec.add_sensor(type=kind, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=name)


def _body_name(number: int, actor: Actor, name: str) -> str:
    return f"{number}/{name}"


def _look(camera: Camera) -> Any:
    """A free camera at a place, looking at a point."""
    position, target = np.array(vector_of(camera.position)), np.array(vector_of(camera.target))
    ahead = target - position
    view = mujoco.MjvCamera()
    view.lookat[:] = target
    view.distance = float(np.linalg.norm(ahead))
    view.azimuth = math.degrees(math.atan2(ahead[1], ahead[0]))
    view.elevation = math.degrees(math.asin(ahead[2] / view.distance))
    return view
