"""``Gym``: cameras, and a viewer that shows nothing but remembers everything."""

import copy
from typing import Any, List, Optional

import numpy as np

from ._records import Buffer, Camera, Env, Sim, Stage, Tensor, Viewer, misuse
from ._types import (
    ActionEvent,
    CameraFollowMode,
    CameraProperties,
    ImageType,
    KeyboardInput,
    Transform,
    Vec3,
)


def _running(sim: Sim, what: str) -> None:
    if sim.stage is not Stage.PREPARED:
        misuse(f"{what} {'after destroy_sim' if sim.stage is Stage.DESTROYED else 'before prepare_sim'}")


class GraphicsCalls:
    """The part of ``Gym`` that draws."""

    # --- the viewer ---------------------------------------------------------------------------------------------------

    def create_viewer(self, sim: Sim, properties: CameraProperties, /) -> Viewer:
        """A window."""
        _running(sim, "create_viewer")
        if sim.graphics_device < 0:
            misuse("create_viewer with graphics_device -1")
        sim.viewer = Viewer(sim, copy.deepcopy(properties))
        return sim.viewer

    def destroy_viewer(self, viewer: Viewer, /) -> None:
        """Close it, once."""
        self._open(viewer, "destroy_viewer")
        viewer.is_destroyed = True
        viewer.sim.viewer = None

    def step_graphics(self, sim: Sim, /) -> None:
        """Move poses to the renderer."""
        _running(sim, "step_graphics")
        if not sim.results_fetched:
            misuse("step_graphics between simulate and fetch_results(sim, True)")
        sim.graphics_stepped = True

    def draw_viewer(self, viewer: Viewer, sim: Sim, render_collision: bool = True) -> None:
        """A frame."""
        self._open(viewer, "draw_viewer")
        self._stepped(sim, "draw_viewer")
        viewer.frames_drawn += 1

    def sync_frame_time(self, sim: Sim, /) -> None:
        """The stand-in does not wait."""
        _running(sim, "sync_frame_time")

    def poll_viewer_events(self, viewer: Viewer, /) -> None:
        """Take note of keys."""
        self._open(viewer, "poll_viewer_events")

    def query_viewer_has_closed(self, viewer: Viewer, /) -> bool:
        """Whether the user has closed the window."""
        self._open(viewer, "query_viewer_has_closed")
        return viewer.has_closed

    def query_viewer_action_events(self, viewer: Viewer, /) -> List[ActionEvent]:
        """Keys since the last call."""
        self._open(viewer, "query_viewer_action_events")
        events, viewer.events = viewer.events, []
        return events

    def subscribe_viewer_keyboard_event(self, viewer: Viewer, key: KeyboardInput, action: str, /) -> None:
        """Give a key a name."""
        self._open(viewer, "subscribe_viewer_keyboard_event")
        viewer.keys[action] = key

    def viewer_camera_look_at(self, viewer: Viewer, env: Optional[Env], position: Vec3, target: Vec3, /) -> None:
        """Place the camera."""
        self._open(viewer, "viewer_camera_look_at")
        viewer.look_at = copy.deepcopy((position, target))

    def write_viewer_image_to_file(self, viewer: Viewer, file: str, /) -> None:
        """What the viewer sees of environment 0, as PNG."""
        self._open(viewer, "write_viewer_image_to_file")
        self._stepped(viewer.sim, "write_viewer_image_to_file")
        from PIL import Image

        position, target = viewer.look_at or (Vec3(1.0, -1.0, 1.0), Vec3())
        picture = self._draw(viewer.sim.first_env, Camera(viewer.properties, position, target))
        Image.fromarray(picture).save(file)

    def add_lines(self, viewer: Viewer, env: Env, count: int, vertices: np.ndarray, colors: np.ndarray, /) -> None:
        """Lines that stay until they are cleared."""
        self._open(viewer, "add_lines")
        if np.size(vertices) != 6 * count or np.size(colors) != 3 * count:
            misuse(f"add_lines: {count} lines are {6 * count} coordinates and {3 * count} colour values")
        viewer.lines.append(np.array(vertices, copy=True))

    def clear_lines(self, viewer: Viewer, /) -> None:
        """Remove them."""
        self._open(viewer, "clear_lines")
        viewer.lines.clear()

    def _open(self, viewer: Viewer, what: str) -> None:
        if viewer.is_destroyed:
            misuse(f"{what} after destroy_viewer")

    def _stepped(self, sim: Sim, what: str) -> None:
        _running(sim, what)
        if not sim.graphics_stepped:
            misuse(f"{what} without step_graphics since the last simulate")

    # --- cameras ------------------------------------------------------------------------------------------------------

    def create_camera_sensor(self, env: Env, properties: CameraProperties, /) -> int:
        """-1 without a graphics device, or where this machine cannot draw."""
        engine = env.sim.engine
        if env.sim.graphics_device < 0 or (engine is not None and not engine.can_draw()):
            return -1
        env.cameras.append(Camera(copy.deepcopy(properties), Vec3(), Vec3(1.0, 0.0, 0.0)))
        return len(env.cameras) - 1

    def destroy_camera_sensor(self, sim: Sim, env: Env, camera: int, /) -> None:
        """Remove it; the numbers of the others stay."""
        self._camera(env, camera, "destroy_camera_sensor")
        env.cameras[camera] = None

    def set_camera_location(self, camera: int, env: Env, position: Vec3, target: Vec3, /) -> None:
        """Look at a point."""
        record = self._camera(env, camera, "set_camera_location")
        record.position, record.target, record.body = copy.deepcopy(position), copy.deepcopy(target), None

    def set_camera_transform(self, camera: int, env: Env, pose: Transform, /) -> None:
        """A camera looks along the x axis of its pose."""
        record = self._camera(env, camera, "set_camera_transform")
        record.position, record.target = _sight(pose)
        record.body = None

    def attach_camera_to_body(
        self, camera: int, env: Env, body: int, offset: Transform, mode: CameraFollowMode, /
    ) -> None:
        """Follow a body."""
        record = self._camera(env, camera, "attach_camera_to_body")
        if mode is not CameraFollowMode.FOLLOW_POSITION:
            misuse("The stand-in's cameras follow positions only: FOLLOW_POSITION")
        record.body, record.offset = body, copy.deepcopy(offset)

    def render_all_camera_sensors(self, sim: Sim, /) -> None:
        """Draw every camera's picture."""
        self._stepped(sim, "render_all_camera_sensors")
        for env in sim.envs:
            for camera in env.cameras:
                if camera is not None:
                    self._follow(env, camera)
                    camera.image = _with_alpha(self._draw(env, camera))
        sim.cameras_rendered = True

    def get_camera_image(self, sim: Sim, env: Env, camera: int, kind: ImageType, /) -> np.ndarray:
        """Rows of interleaved RGBA: (height, width * 4)."""
        image = self._image(sim, env, camera, kind, "get_camera_image")
        return image.reshape(image.shape[0], -1).copy()

    def get_camera_image_gpu_tensor(self, sim: Sim, env: Env, camera: int, kind: ImageType, /) -> Tensor:
        """To be wrapped once, read between start_ and end_access_image_tensors."""
        if not self._camera(env, camera, "get_camera_image_gpu_tensor").properties.enable_tensors:
            misuse("get_camera_image_gpu_tensor of a camera without CameraProperties.enable_tensors")
        image = self._image(sim, env, camera, kind, "get_camera_image_gpu_tensor")
        buffer = Buffer(image)
        return Tensor.of_buffer(sim, lambda: buffer)

    def start_access_image_tensors(self, sim: Sim, /) -> None:
        """Begin to read."""
        if not sim.cameras_rendered:
            misuse("start_access_image_tensors without render_all_camera_sensors")
        sim.images_accessible = True

    def end_access_image_tensors(self, sim: Sim, /) -> None:
        """End."""
        if not sim.images_accessible:
            misuse("end_access_image_tensors without start_access_image_tensors")
        sim.images_accessible = False

    def _camera(self, env: Env, camera: int, what: str) -> Camera:
        record = env.cameras[camera] if 0 <= camera < len(env.cameras) else None
        if record is None:
            misuse(f"{what}: environment {env.index} has no camera {camera}")
        return record

    def _image(self, sim: Sim, env: Env, camera: int, kind: ImageType, what: str) -> np.ndarray:
        record = self._camera(env, camera, what)
        if kind is not ImageType.IMAGE_COLOR:
            misuse(f"{what}: the stand-in draws colour only, not {kind.name}")
        if not sim.cameras_rendered or record.image is None:
            misuse(f"{what} without render_all_camera_sensors since the last simulate")
        return record.image

    def _follow(self, env: Env, camera: Camera) -> None:
        if camera.body is None or camera.offset is None:
            return
        x, y, z = env.sim.reading("body_state")[env.index, camera.body, :3].tolist()
        position, target = _sight(camera.offset)
        for point in (position, target):
            point.x, point.y, point.z = point.x + x, point.y + y, point.z + z
        camera.position, camera.target = position, target

    def _draw(self, env: Env, camera: Camera) -> np.ndarray:
        assert env.sim.engine is not None
        colors = {
            (number, body): color for number, actor in enumerate(env.actors) for body, color in actor.colors.items()
        }
        return env.sim.engine.draw(env.index, camera, colors)


def _sight(pose: Transform) -> Any:
    """Position, and a point along the x axis."""
    q = pose.r
    ahead = (1 - 2 * (q.y * q.y + q.z * q.z), 2 * (q.x * q.y + q.w * q.z), 2 * (q.x * q.z - q.w * q.y))
    p = pose.p
    return Vec3(p.x, p.y, p.z), Vec3(p.x + ahead[0], p.y + ahead[1], p.z + ahead[2])


def _with_alpha(picture: np.ndarray) -> np.ndarray:
    opaque = np.full((*picture.shape[:2], 1), 255, np.uint8)
    return np.concatenate((picture, opaque), axis=2)
