"""Isaac Gym Preview 4 (PhysX), driven through its tensor API on the GPU or the CPU pipeline.

Importing this module imports Isaac Gym, which must come before torch in its process.
"""

import math
from typing import Dict, List, Tuple

from isaacgym import gymapi, gymtorch  # isort: skip  (before torch)

import numpy as np
import torch
from torch import Tensor

from .scene import Box, Camera, SceneDescription, SimSettings
from .viewer import Viewer

_SPACING = 2.0
"""Half the edge of an environment's cell, metres."""


class CannotDraw(RuntimeError):
    """Isaac Gym has no device for rendering."""


class IsaacGymAdapter:
    """N copies of one scene in Isaac Gym.

    ``state`` holds tensors that every ``step`` updates in place: ``dof_pos``, ``dof_vel`` (N, D); ``body_pos``,
    ``body_quat``, ``body_linvel``, ``body_angvel`` (N, B, 3 or 4); the same for ``object_`` (N, O, 3 or 4);
    ``contact_force`` (N, C, 3) and ``object_contact_force`` (N, O, 3). Quaternions are (x, y, z, w); positions are in
    the environment's frame. Between steps the caller may change joints and objects in it; see ``write_back``.
    """

    def __init__(self, scene: SceneDescription, settings: SimSettings) -> None:
        """Build the simulation. Raises ``ValueError`` if the hand that Isaac Gym loads does not match ``scene``.

        Joints and objects stay at the engine's default poses until the first ``write_back``.
        """
        self._scene = scene
        self._settings = settings
        self._device = torch.device(settings["device"])
        self._on_gpu = self._device.type == "cuda"
        self._gym = gymapi.acquire_gym()
        index, graphics = self._device.index or 0, settings["graphics_device"]
        self._sim = self._gym.create_sim(
            index,
            index if graphics is None else graphics,
            gymapi.SIM_PHYSX,
            self._sim_params(),
        )
        if self._sim is None:
            raise RuntimeError(
                f"Isaac Gym could not create a simulation on {settings['device']}. See its log for the reason"
            )
        self._is_open = True
        self._add_ground()
        self._envs, self._actors = self._build_envs()
        self._gym.prepare_sim(self._sim)
        self._viewer = Viewer(self._gym, self._sim, self._envs[0], scene["cameras"][0]) if settings["viewer"] else None
        self._cameras: Dict[Tuple[int, str, int, int], int] = {}
        self._find_columns()
        self._wrap_tensors()
        self._pending = torch.zeros(settings["num_envs"], dtype=torch.bool, device=self._device)
        self._is_pending = False
        self.state = self._new_state()

    # --- building -----------------------------------------------------------------------------------------------------

    def _sim_params(self) -> gymapi.SimParams:
        params = gymapi.SimParams()
        params.dt = self._settings["dt"]
        params.substeps = self._settings["substeps"]
        params.up_axis = gymapi.UP_AXIS_Z
        params.gravity = gymapi.Vec3(0.0, 0.0, -9.81)
        params.use_gpu_pipeline = self._on_gpu
        params.num_client_threads = 0
        params.physx.use_gpu = self._on_gpu
        params.physx.num_subscenes = 0
        params.physx.always_use_articulations = True
        # the engine's default, collecting in all substeps, is known to report wrong contact forces
        params.physx.contact_collection = gymapi.CC_LAST_SUBSTEP
        for name, value in self._settings["physx"].items():
            setattr(params.physx, name, value)
        return params

    def _add_ground(self) -> None:
        plane = gymapi.PlaneParams()
        plane.normal = gymapi.Vec3(0.0, 0.0, 1.0)
        plane.static_friction = plane.dynamic_friction = self._scene["ground_friction"]
        plane.restitution = 0.0
        self._gym.add_ground(self._sim, plane)

    def _build_envs(self) -> Tuple[List[gymapi.Env], List[List[int]]]:
        """Create the environments; returns them and the simulation-wide indices of their actors: hand, then boxes."""
        assets = [self._load_hand(), *(self._make_box(box) for box in self._scene["boxes"])]
        bodies = sum(self._gym.get_asset_rigid_body_count(asset) for asset in assets)
        shapes = sum(self._gym.get_asset_rigid_shape_count(asset) for asset in assets)
        num_envs = self._settings["num_envs"]
        per_row = max(1, int(math.sqrt(num_envs)))
        lower, upper = gymapi.Vec3(-_SPACING, -_SPACING, 0.0), gymapi.Vec3(_SPACING, _SPACING, _SPACING)
        envs, actors = [], []
        for index in range(num_envs):
            env = self._gym.create_env(self._sim, lower, upper, per_row)
            self._gym.begin_aggregate(env, bodies, shapes, True)
            handles = [self._place_hand(env, assets[0], index)]
            for asset, box in zip(assets[1:], self._scene["boxes"]):
                handles.append(self._place_box(env, asset, box, index))
            self._gym.end_aggregate(env)
            envs.append(env)
            actors.append([self._gym.get_actor_index(env, handle, gymapi.DOMAIN_SIM) for handle in handles])
        return envs, actors

    def _load_hand(self) -> gymapi.Asset:
        options = _asset_options()
        options.fix_base_link = True
        options.collapse_fixed_joints = False  # fingertips and fingerpads are attached by fixed joints
        options.disable_gravity = False
        options.flip_visual_attachments = False
        options.use_mesh_materials = True
        options.use_physx_armature = True
        options.thickness = 0.001
        options.default_dof_drive_mode = int(gymapi.DOF_MODE_POS)
        path = self._scene["asset"]
        folder, _, name = path.rpartition("/")
        asset = self._gym.load_asset(self._sim, folder, name, options)
        if asset is None:
            raise ValueError(f"Isaac Gym cannot read {path}; see its log")
        found, wanted = self._gym.get_asset_dof_names(asset), [joint["name"] for joint in self._scene["joints"]]
        if sorted(found) != sorted(wanted):
            raise ValueError(f"Isaac Gym reads the joints {found} from {path}, expected {wanted}")
        return asset

    def _make_box(self, box: Box) -> gymapi.Asset:
        options = _asset_options()
        x, y, z = box["size"]
        options.density = box["mass"] / (x * y * z)
        return self._gym.create_box(self._sim, x, y, z, options)

    def _place_hand(self, env: gymapi.Env, asset: gymapi.Asset, index: int) -> int:
        pose = gymapi.Transform()
        pose.p = gymapi.Vec3(*self._scene["hand_position"])
        actor = self._gym.create_actor(env, asset, pose, "hand", index, 0)
        self._gym.set_actor_dof_properties(env, actor, self._dof_properties(env, actor))
        bodies = {body["name"]: body for body in self._scene["bodies"]}
        shapes = self._gym.get_actor_rigid_shape_properties(env, actor)
        ranges = self._gym.get_actor_rigid_body_shape_indices(env, actor)
        for name, shapes_of_body in zip(self._gym.get_actor_rigid_body_names(env, actor), ranges):
            for shape in shapes[shapes_of_body.start : shapes_of_body.start + shapes_of_body.count]:
                shape.filter = bodies[name]["collision_filter"]
                shape.friction = bodies[name]["friction"]
                shape.restitution = 0.0
        self._gym.set_actor_rigid_shape_properties(env, actor, shapes)
        return actor

    def _dof_properties(self, env: gymapi.Env, actor: int) -> np.ndarray:
        properties: np.ndarray = self._gym.get_actor_dof_properties(env, actor)
        joints = {joint["name"]: joint for joint in self._scene["joints"]}
        for row, name in enumerate(self._gym.get_actor_dof_names(env, actor)):
            joint = joints[name]
            properties["hasLimits"][row] = True
            properties["driveMode"][row] = int(gymapi.DOF_MODE_POS)
            for field in ("lower", "upper", "stiffness", "damping", "effort", "armature"):
                properties[field][row] = joint[field]
            # PhysX's joint friction is a dimensionless coefficient, unlike an MJCF's frictionloss, which is a force
            properties["friction"][row] = 0.0
        return properties

    def _place_box(self, env: gymapi.Env, asset: gymapi.Asset, box: Box, index: int) -> int:
        pose = gymapi.Transform()
        pose.p = gymapi.Vec3(0.0, 0.0, box["size"][2] / 2)
        actor = self._gym.create_actor(env, asset, pose, box["name"], index, 0)
        shapes = self._gym.get_actor_rigid_shape_properties(env, actor)
        for shape in shapes:
            shape.friction = box["friction"]
            shape.restitution = 0.0
        self._gym.set_actor_rigid_shape_properties(env, actor, shapes)
        self._gym.set_rigid_body_color(env, actor, 0, gymapi.MESH_VISUAL_AND_COLLISION, gymapi.Vec3(*box["rgb"]))
        return actor

    # --- tensors ------------------------------------------------------------------------------------------------------

    def _find_columns(self) -> None:
        """Find the indices of the scene's joints, bodies and objects within one environment's part of the tensors."""
        env, gym = self._envs[0], self._gym
        hand_actor = gym.find_actor_handle(env, "hand")
        names = gym.get_actor_dof_names(env, hand_actor)

        def columns(found: List[int]) -> Tensor:
            return torch.tensor(found, dtype=torch.int64, device=self._device)

        def bodies(wanted: List[str]) -> Tensor:
            found = [gym.find_actor_rigid_body_index(env, hand_actor, name, gymapi.DOMAIN_SIM) for name in wanted]
            missing = [name for name, index in zip(wanted, found) if index < 0]
            if missing:
                raise ValueError(f"{self._scene['asset']} lacks bodies {', '.join(missing)}")
            return columns(found)

        self._dof_columns = columns([names.index(joint["name"]) for joint in self._scene["joints"]])
        self._body_columns = bodies(self._scene["tracked_bodies"])
        self._contact_columns = bodies(self._scene["contact_bodies"])
        boxes = [gym.find_actor_handle(env, box["name"]) for box in self._scene["boxes"]]
        self._object_columns = columns(
            [gym.get_actor_rigid_body_index(env, actor, 0, gymapi.DOMAIN_SIM) for actor in boxes]
        )
        actors = torch.tensor(self._actors, device=self._device)
        self._hand_actors = actors[:, 0].to(torch.int32)
        self._object_rows = actors[:, 1:]
        self._object_actors = self._object_rows.to(torch.int32)

    def _wrap_tensors(self) -> None:
        """Wrap the engine's buffers, with views per environment."""
        gym, sim, n = self._gym, self._sim, self._settings["num_envs"]
        self._dof_buffer = gymtorch.wrap_tensor(gym.acquire_dof_state_tensor(sim))
        self._root_buffer = gymtorch.wrap_tensor(gym.acquire_actor_root_state_tensor(sim))
        bodies = gymtorch.wrap_tensor(gym.acquire_rigid_body_state_tensor(sim))
        contacts = gymtorch.wrap_tensor(gym.acquire_net_contact_force_tensor(sim))
        self._refresh_tensors()
        self._dofs = self._dof_buffer.view(n, -1, 2)
        self._bodies = bodies.view(n, -1, 13)
        self._contacts = contacts.view(n, -1, 3)
        self._targets = torch.zeros(n, len(self._scene["joints"]), device=self._device)

    def _refresh_tensors(self) -> None:
        self._gym.refresh_dof_state_tensor(self._sim)
        self._gym.refresh_actor_root_state_tensor(self._sim)
        self._gym.refresh_rigid_body_state_tensor(self._sim)
        self._gym.refresh_net_contact_force_tensor(self._sim)

    def _new_state(self) -> Dict[str, Tensor]:
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(self._settings["num_envs"], *shape, device=self._device)

        state = {name: zeros(len(self._scene["joints"])) for name in ("dof_pos", "dof_vel")}
        for kind, count in (("body", len(self._body_columns)), ("object", len(self._object_columns))):
            widths = {"pos": 3, "quat": 4, "linvel": 3, "angvel": 3}
            state.update({f"{kind}_{name}": zeros(count, width) for name, width in widths.items()})
        state["contact_force"] = zeros(len(self._contact_columns), 3)
        state["object_contact_force"] = zeros(len(self._object_columns), 3)
        return state

    def _update_state(self) -> None:
        """Copy the engine's buffers into ``state``."""
        state = self.state
        state["dof_pos"].copy_(self._dofs[:, self._dof_columns, 0])
        state["dof_vel"].copy_(self._dofs[:, self._dof_columns, 1])
        bodies, roots = self._bodies[:, self._body_columns], self._root_buffer[self._object_rows]
        for kind, source in (("body", bodies), ("object", roots)):
            state[f"{kind}_pos"].copy_(source[..., 0:3])
            state[f"{kind}_quat"].copy_(source[..., 3:7])
            state[f"{kind}_linvel"].copy_(source[..., 7:10])
            state[f"{kind}_angvel"].copy_(source[..., 10:13])
        state["contact_force"].copy_(self._contacts[:, self._contact_columns])
        state["object_contact_force"].copy_(self._contacts[:, self._object_columns])

    # --- running ------------------------------------------------------------------------------------------------------

    def step(self, dof_targets: Tensor) -> None:
        """Simulate ``calls_per_step * dt`` seconds with targets (N, D), within the limits, and update ``state``."""
        if self._is_pending:
            self._write_pending()
        self._targets[:, self._dof_columns] = dof_targets
        self._gym.set_dof_position_target_tensor(self._sim, gymtorch.unwrap_tensor(self._targets))
        for _ in range(self._settings["calls_per_step"]):
            self._gym.simulate(self._sim)
            if not self._on_gpu:
                self._gym.fetch_results(self._sim, True)
        self._refresh_tensors()
        self._update_state()
        if self._viewer is not None:
            self._fetch_for_graphics()
            self._viewer.show()

    def write_back(self, mask: Tensor) -> None:
        """Set joints and objects of the environments where ``mask`` (N,) is true from ``state``.

        The engine applies it in the next ``step``.
        """
        state, rows = self.state, mask[:, None, None]
        dofs = torch.stack((state["dof_pos"], state["dof_vel"]), dim=-1)
        self._dofs[:, self._dof_columns] = torch.where(rows, dofs, self._dofs[:, self._dof_columns])
        objects = torch.cat([state[f"object_{name}"] for name in ("pos", "quat", "linvel", "angvel")], dim=-1)
        self._root_buffer[self._object_rows] = torch.where(rows, objects, self._root_buffer[self._object_rows])
        self._pending |= mask
        self._is_pending = True

    def _write_pending(self) -> None:
        """Send everything written back since the last step in one call; the engine accepts only one per step."""
        envs = self._pending.nonzero().flatten()
        # kept alive until the step, when the engine reads them
        self._written = self._hand_actors[envs], self._object_actors[envs].flatten()
        hands, objects = self._written
        self._gym.set_dof_state_tensor_indexed(
            self._sim, gymtorch.unwrap_tensor(self._dof_buffer), gymtorch.unwrap_tensor(hands), len(hands)
        )
        if len(objects):
            self._gym.set_actor_root_state_tensor_indexed(
                self._sim, gymtorch.unwrap_tensor(self._root_buffer), gymtorch.unwrap_tensor(objects), len(objects)
            )
        self._pending.zero_()
        self._is_pending = False

    # --- rendering ----------------------------------------------------------------------------------------------------

    def render(self, env_id: int, camera: str, width: int, height: int) -> np.ndarray:
        """Render one environment as of the last ``step``: uint8 (height, width, 3). Raises ``CannotDraw``."""
        sensor = self._camera_sensor(env_id, camera, width, height)
        self._fetch_for_graphics()
        self._gym.step_graphics(self._sim)
        self._gym.render_all_camera_sensors(self._sim)
        rows = self._gym.get_camera_image(self._sim, self._envs[env_id], sensor, gymapi.IMAGE_COLOR)
        rgba: np.ndarray = np.asarray(rows, dtype=np.uint8).reshape(height, width, 4)
        return rgba[..., :3].copy()

    def _camera_sensor(self, env_id: int, name: str, width: int, height: int) -> int:
        key = (env_id, name, width, height)
        if key not in self._cameras:
            camera = self._camera(name)
            properties = gymapi.CameraProperties()
            properties.width, properties.height = width, height
            half_height = math.tan(math.radians(camera["fovy"]) / 2)
            properties.horizontal_fov = math.degrees(2 * math.atan(half_height * width / height))
            sensor = self._gym.create_camera_sensor(self._envs[env_id], properties)
            if sensor < 0:
                raise CannotDraw(
                    "Isaac Gym has no device for rendering: sim.isaacgym.graphicsDevice must be the index of a GPU "
                    "with its graphics driver installed"
                )
            position, target = gymapi.Vec3(*camera["position"]), gymapi.Vec3(*camera["target"])
            self._gym.set_camera_location(sensor, self._envs[env_id], position, target)
            self._cameras[key] = sensor
        return self._cameras[key]

    def _camera(self, name: str) -> Camera:
        return next(camera for camera in self._scene["cameras"] if camera["name"] == name)

    def _fetch_for_graphics(self) -> None:
        if self._on_gpu:
            self._gym.fetch_results(self._sim, True)

    def close(self) -> None:
        """Release all resources; calling it again does nothing."""
        if not self._is_open:
            return
        self._is_open = False
        if self._viewer is not None:
            self._viewer.close()
        self._gym.destroy_sim(self._sim)


def _asset_options() -> gymapi.AssetOptions:
    """Return options without PhysX's default damping and speed limits."""
    options = gymapi.AssetOptions()
    options.linear_damping = options.angular_damping = 0.0
    options.max_linear_velocity = options.max_angular_velocity = 1000.0
    return options
