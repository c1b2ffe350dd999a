"""Compiling a ``Scene`` to a MuJoCo model, for both MuJoCo back-ends."""

import logging
from pathlib import Path

import mujoco
import numpy as np

from dexhand.config.schema import SimConfig
from dexhand.hand_env.interfaces import Box, Camera, Scene
from dexhand.hands.spec import Gains, HandSpec
from dexhand.sim.mujoco_warnings import log_mujoco_warnings

log = logging.getLogger(__name__)


def mujoco_substeps(sim: SimConfig) -> int:
    """Return the number of MuJoCo steps per ``sim.dt``."""
    return sim.substeps or sim.mujoco.substeps


HAND_PREFIX = "hand/"
"""Prefix of the names of the hand's joints, bodies and actuators in the compiled model."""

BODY_SENSORS = (
    (mujoco.mjtSensor.mjSENS_FRAMEPOS, 3),
    (mujoco.mjtSensor.mjSENS_FRAMEQUAT, 4),
    (mujoco.mjtSensor.mjSENS_FRAMELINVEL, 3),
    (mujoco.mjtSensor.mjSENS_FRAMEANGVEL, 3),
)
"""Sensors of each tracked body with their sizes, in the layout order of ``compile_scene``."""

# data = force, reduce = net force, one slot: the sum over all contacts of a body, in world axes
_NET_FORCE = [1 << int(mujoco.mjtConDataField.mjCONDATA_FORCE), 3, 1]


def compile_scene(scene: Scene, sim: SimConfig) -> mujoco.MjModel:
    """Build the model of one environment.

    Sensor layout: for each kind of ``BODY_SENSORS`` all tracked bodies, then all objects; finally the net contact
    forces of all contact bodies, then of all objects. MuJoCo reports the force that a body exerts on others, the
    opposite of ``SimState``.

    Raises ``ValueError``, naming the problem, if the hand's MJCF is invalid.
    """
    log_mujoco_warnings()
    spec = mujoco.MjSpec()
    spec.modelname = "dexhand"
    hand_spec = load_hand_file(scene.hand)
    for each in (spec, hand_spec):  # MuJoCo warns if the two differ
        _set_options(each, sim)
    _add_surroundings(spec, scene)
    for joints, gains in scene.hand.joint_groups:
        for name in joints:
            if gains.armature is not None:
                hand_spec.joint(name).armature = gains.armature
    spec.attach(hand_spec, frame=spec.worldbody.add_frame(pos=scene.hand_position), prefix=HAND_PREFIX)
    for box in scene.objects:
        _add_box(spec, box)
    for camera in scene.cameras:
        _add_camera(spec, camera)
    _add_sensors(spec, scene)
    try:
        model = spec.compile()
    except ValueError as error:
        raise ValueError(f"The scene with {scene.hand.asset} does not compile: {_one_line(error)}") from None
    _apply_gains(model, scene)
    return model


def _set_options(spec: mujoco.MjSpec, sim: SimConfig) -> None:
    spec.option.timestep = sim.dt / mujoco_substeps(sim)
    spec.option.iterations = sim.mujoco.iterations
    spec.option.ls_iterations = sim.mujoco.ls_iterations
    spec.option.tolerance = sim.mujoco.tolerance
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    # with MuJoCo's default, pyramidal cones, contacts get softer with friction: 40 times at the pads' friction of 3,
    # where a grip of 1 N sinks 9 mm into the box and slips off
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.njmax = spec.nconmax = -1  # unlimited


def load_hand_file(hand: HandSpec) -> mujoco.MjSpec:
    """Read a hand's MJCF. Raises ``ValueError`` if MuJoCo cannot, or if it is not of this hand."""
    try:
        spec = mujoco.MjSpec.from_file(str(hand.asset))
    except TypeError:
        raise ValueError(
            f"{hand.asset}: MuJoCo opens no file whose path is not valid UTF-8. Rename its folder"
        ) from None
    except ValueError as error:
        raise ValueError(f"{hand.asset} is not a usable MJCF: {_one_line(error)}") from None
    hand.check_model(
        joints=(joint.name for joint in spec.joints),
        bodies=(body.name for body in spec.bodies),
        driven=(actuator.target for actuator in spec.actuators),
    )
    # sensors in the hand's MJCF would be evaluated in every step without being used
    for sensor in list(spec.sensors):
        spec.delete(sensor)
    for key in list(spec.keys):
        spec.delete(key)
    _drop_missing_visual_meshes(spec, hand.asset)
    return spec


def _drop_missing_visual_meshes(spec: mujoco.MjSpec, path: Path) -> None:
    """Drop visual meshes whose file is missing, which does not affect the physics."""
    folder = path.parent / (spec.meshdir or ".")
    missing = {mesh.name: mesh.file for mesh in spec.meshes if mesh.file and not (folder / mesh.file).exists()}
    users = [geom for geom in spec.geoms if geom.meshname in missing]
    colliding = {geom.meshname for geom in users if geom.contype or geom.conaffinity}
    dropped = sorted(set(missing) - colliding)  # compilation reports missing colliding ones
    for geom in users:
        if geom.meshname in dropped:
            spec.delete(geom)
    for mesh in [mesh for mesh in spec.meshes if mesh.name in dropped]:
        spec.delete(mesh)
    if dropped:
        log.warning(
            "%s: %d mesh files are missing (%s ...); they are not drawn, physics is the same",
            path,
            len(dropped),
            missing[dropped[0]],
        )


def _add_surroundings(spec: mujoco.MjSpec, scene: Scene) -> None:
    spec.visual.headlight.ambient = [0.35, 0.35, 0.35]
    spec.visual.headlight.diffuse = [0.4, 0.4, 0.4]
    spec.visual.quality.shadowsize = 2048
    spec.visual.global_.offwidth = 1920
    spec.visual.global_.offheight = 1080
    kind, pattern = mujoco.mjtTexture, mujoco.mjtBuiltin
    for name, texture, builtin, rgb1, rgb2 in (
        ("sky", kind.mjTEXTURE_SKYBOX, pattern.mjBUILTIN_GRADIENT, [0.78, 0.85, 0.93], [0.97, 0.98, 1.0]),
        ("ground", kind.mjTEXTURE_2D, pattern.mjBUILTIN_CHECKER, [0.86, 0.87, 0.88], [0.80, 0.81, 0.83]),
    ):
        spec.add_texture(name=name, type=texture, builtin=builtin, rgb1=rgb1, rgb2=rgb2, width=256, height=256)
    material = spec.add_material(name="ground", texrepeat=[20, 20], texuniform=False)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "ground"
    world = spec.worldbody
    world.add_light(pos=[0.4, -0.6, 2.0], dir=[-0.2, 0.3, -1.0], diffuse=[0.6, 0.6, 0.6], castshadow=True)
    world.add_geom(
        name="ground",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[2.0, 2.0, 0.1],
        friction=[scene.ground_friction, 0.005, 0.0001],
        material="ground",
    )


def _add_box(spec: mujoco.MjSpec, box: Box) -> None:
    body = spec.worldbody.add_body(name=box.name, pos=[0.0, 0.0, box.size[2] / 2])
    body.add_freejoint(name=box.name)
    body.add_geom(
        name=box.name,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[edge / 2 for edge in box.size],
        mass=box.mass,
        friction=[box.friction, 0.005, 0.0001],
        rgba=box.rgba,
    )


def _add_camera(spec: mujoco.MjSpec, camera: Camera) -> None:
    position = np.array(camera.position)
    backward = position - np.array(camera.target)
    backward = backward / np.linalg.norm(backward)
    right = np.cross([0.0, 0.0, 1.0], backward)
    if np.linalg.norm(right) < 1e-6:  # straight down: image up = world x
        right = np.array([0.0, -1.0, 0.0])
    right = right / np.linalg.norm(right)
    matrix = np.stack([right, np.cross(backward, right), backward], axis=1)
    quat = np.empty(4)
    mujoco.mju_mat2Quat(quat, matrix.flatten())
    spec.worldbody.add_camera(name=camera.name, pos=position, quat=quat, fovy=camera.fovy)


def _add_sensors(spec: mujoco.MjSpec, scene: Scene) -> None:
    objects = tuple(box.name for box in scene.objects)
    bodies = tuple(HAND_PREFIX + name for name in scene.bodies)
    contact_bodies = tuple(HAND_PREFIX + name for name in scene.contact_bodies)
    for kind, _ in BODY_SENSORS:
        for body in bodies + objects:
            spec.add_sensor(name=f"{kind.name}:{body}", type=kind, objtype=mujoco.mjtObj.mjOBJ_XBODY, objname=body)
    for body in contact_bodies + objects:
        spec.add_sensor(
            name=f"net_force:{body}",
            type=mujoco.mjtSensor.mjSENS_CONTACT,
            objtype=mujoco.mjtObj.mjOBJ_BODY,
            objname=body,
            intprm=_NET_FORCE,
        )


def _apply_gains(model: mujoco.MjModel, scene: Scene) -> None:
    for joints, gains in scene.hand.joint_groups:
        ids = {model.joint(HAND_PREFIX + name).id for name in joints}
        for actuator in range(model.nu):
            if model.actuator_trnid[actuator, 0] in ids:
                _set_servo(model, actuator, gains)


def _set_servo(model: mujoco.MjModel, actuator: int, gains: Gains) -> None:
    # MuJoCo's position servo: force = gainprm[0] * ctrl + biasprm[1] * position + biasprm[2] * velocity
    if gains.stiffness is not None:
        model.actuator_gainprm[actuator, 0] = gains.stiffness
        model.actuator_biasprm[actuator, 1] = -gains.stiffness
    if gains.damping is not None:
        model.actuator_biasprm[actuator, 2] = -gains.damping
    if gains.force_limit is not None:
        model.actuator_forcelimited[actuator] = True
        model.actuator_forcerange[actuator] = (-gains.force_limit, gains.force_limit)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
