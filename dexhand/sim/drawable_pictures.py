"""Pictures of whatever is ``Drawable``, made by MuJoCo's renderer."""

import math
from collections.abc import Callable, Sequence

import mujoco
import numpy as np

from dexhand.core.interfaces import Frame, Shape, Vec3
from dexhand.sim.mujoco_pictures import Renderers

_FOVY = 35.0
"""Vertical field of view of the camera, degrees."""
_AZIMUTH, _ELEVATION = 137.0, -27.0
"""Direction in which the camera looks, degrees."""
_LARGEST = 2048
"""Largest width and height of a picture, pixels."""
_LEAST_WITH_SHADOWS = 320
"""Narrower pictures, which many environments share, are drawn without shadows, twice as fast; pixels."""
_XYZW_TO_WXYZ = [6, 3, 4, 5]


class DrawableModel:
    """MuJoCo's model of one environment, whose bodies are placed as a frame says, with a ground and light."""

    def __init__(self, shapes: Sequence[Shape]) -> None:
        self._bodies = sorted({shape.body for shape in shapes})
        self.model = _spec_of(shapes, self._bodies).compile()
        self.data = mujoco.MjData(self.model)

    def pose(self, frame: Frame, row: int) -> None:
        """Place the bodies of the environment in a row of ``frame``."""
        pose = frame.body_pose[row, self._bodies]
        self.data.mocap_pos[:] = pose[:, :3]
        self.data.mocap_quat[:] = pose[:, _XYZW_TO_WXYZ]
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)

    def look_at(self, frame: Frame, camera: mujoco.MjvCamera) -> None:
        """Point ``camera`` at all environments of ``frame``, with some room around them.

        Also tells MuJoCo how large the scene is, so that shadows and depth are sharp.
        """
        lowest, highest = np.full(3, np.inf), np.full(3, -np.inf)
        for row in range(len(frame.body_pose)):
            self.pose(frame, row)
            centres, radii = self.data.geom_xpos[1:], self.model.geom_rbound[1:, None]
            lowest = np.minimum(lowest, (centres - radii).min(axis=0))
            highest = np.maximum(highest, (centres + radii).max(axis=0))
        radius = max(float(np.linalg.norm(highest - lowest)) / 2, 0.05)
        camera.lookat[:] = self.model.stat.center[:] = (lowest + highest) / 2
        camera.distance = 0.8 * radius / math.sin(math.radians(_FOVY) / 2)
        camera.azimuth, camera.elevation = _AZIMUTH, _ELEVATION
        self.model.stat.extent = radius
        self.model.light_pos[:] = camera.lookat - 6 * radius * self.model.light_dir


class DrawablePictures:
    """Draws environments, each from the same fixed camera. All methods are to be called from one thread."""

    def __init__(self, shapes: Sequence[Shape], size: tuple[int, int]) -> None:
        """``size`` is the width and height of some picture to come, pixels.

        Raises ``RenderingUnavailable``, naming what to install, if this machine cannot render.
        """
        self._drawn = DrawableModel(shapes)
        self._renderers = Renderers(self._drawn.model)
        self._renderers.of_size(*size)
        self._camera: mujoco.MjvCamera | None = None

    def draw(self, frame: Frame, row: int, width: int, height: int) -> np.ndarray:
        """Draw the environment in a row of ``frame``; uint8 (height, width, 3), RGB, for the caller to keep.

        The camera, which never moves, shows all environments of the first frame, with some room around them.
        """
        if self._camera is None:
            self._camera = mujoco.MjvCamera()
            self._drawn.look_at(frame, self._camera)
        renderer = self._renderers.of_size(width, height)
        self._drawn.pose(frame, row)
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = width >= _LEAST_WITH_SHADOWS
        renderer.update_scene(self._drawn.data, self._camera)
        picture: np.ndarray = renderer.render()
        return picture

    def close(self) -> None:
        """Release the renderers."""
        self._renderers.close()


_GEOMS = mujoco.mjtGeom
_KINDS: dict[str, tuple[int, Callable[[float, float, float], Vec3]]] = {
    "box": (_GEOMS.mjGEOM_BOX, lambda x, y, z: (x / 2, y / 2, z / 2)),
    "ellipsoid": (_GEOMS.mjGEOM_ELLIPSOID, lambda x, y, z: (x / 2, y / 2, z / 2)),
    "cylinder": (_GEOMS.mjGEOM_CYLINDER, lambda x, y, z: (x / 2, z / 2, 0.0)),
    "capsule": (_GEOMS.mjGEOM_CAPSULE, lambda x, y, z: (x / 2, (z - x) / 2, 0.0)),
    "mesh": (_GEOMS.mjGEOM_MESH, lambda x, y, z: (0.0, 0.0, 0.0)),
}
"""MuJoCo's shapes and the sizes that belong to our extents."""


def _spec_of(shapes: Sequence[Shape], bodies: Sequence[int]) -> mujoco.MjSpec:
    """A world with a ground, a light, and one body, to be placed freely, for each of ``bodies``."""
    spec = mujoco.MjSpec()
    _furnish(spec)
    placed = {body: spec.worldbody.add_body(mocap=True) for body in bodies}
    for number, shape in enumerate(shapes):
        kind, size_of = _KINDS[shape.kind]
        x, y, z, w = shape.quat
        geom = placed[shape.body].add_geom(
            type=kind, size=size_of(*shape.size), pos=shape.position, quat=(w, x, y, z), rgba=shape.rgba
        )
        if shape.vertices is not None and shape.faces is not None:
            geom.meshname = f"mesh{number}"
            spec.add_mesh(
                name=geom.meshname,
                uservert=shape.vertices.ravel(),
                userface=shape.faces.ravel(),
                scale=shape.size,
                inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,  # of what is not closed, too
            )
    return spec


def _furnish(spec: mujoco.MjSpec) -> None:
    """Add what makes pictures readable: a chequered ground, light and shadows."""
    visual = spec.visual
    visual.global_.fovy = _FOVY
    visual.global_.offwidth = visual.global_.offheight = _LARGEST
    # a processor that has to do without a graphics card draws three times as fast with these
    visual.quality.shadowsize, visual.quality.offsamples = 1024, 0
    visual.map.shadowscale = 0.25  # sharper, as only the middle of the light has shadows
    visual.quality.numslices, visual.quality.numstacks = 16, 8
    visual.headlight.ambient, visual.headlight.diffuse = (0.35, 0.35, 0.35), (0.25, 0.25, 0.25)
    spec.add_texture(
        name="ground",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=(0.86, 0.88, 0.90),
        rgb2=(0.83, 0.85, 0.875),
        width=128,
        height=128,
    )
    ground = spec.add_material(name="ground", texrepeat=(5, 5), texuniform=True, specular=0)
    ground.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "ground"
    spec.worldbody.add_geom(type=_GEOMS.mjGEOM_PLANE, size=(0, 0, 1), material="ground")
    spec.worldbody.add_light(
        type=mujoco.mjtLightType.mjLIGHT_SPOT,
        pos=(0, 0, 3),
        dir=(-0.1, 0.12, -1),
        diffuse=(0.55, 0.55, 0.55),
        cutoff=75,
        exponent=0,
        castshadow=True,
    )
