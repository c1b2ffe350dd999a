"""Isaac Gym Preview 4 (PhysX): the tensor API on the GPU or the CPU pipeline.

Importing this module imports Isaac Gym, which must come before torch in every process.
"""

import math
from dataclasses import asdict, dataclass
from typing import Dict, List, Mapping, Optional, Tuple

from isaacgym import gymapi, gymtorch  # isort: skip  (before torch)

import numpy as np
import torch
from torch import Tensor

from dexhand.core.interfaces import Box, Camera, RenderingUnavailable, Scene, SimState
from dexhand.hands.spec import Gains
from dexhand.sim.hand_file import Joint, read_hand
from dexhand.sim.isaacgym_viewer import IsaacGymViewer
from dexhand.sim.kinematics import HandKinematics

_SPACING = 2.0
"""Half the edge of an environment's cell, metres."""
_FRAME_TOLERANCE = 1e-3
"""How far a body may be from where the hand's file puts it, metres and quaternion components."""


@dataclass(frozen=True)
class PhysxSettings:
    """How PhysX solves; names and meanings are those of ``gymapi.PhysXParams``."""

    solver_type: int
    num_position_iterations: int
    num_velocity_iterations: int
    contact_offset: float
    rest_offset: float
    bounce_threshold_velocity: float
    max_depenetration_velocity: float
    default_buffer_size_multiplier: float
    max_gpu_contact_pairs: int
    num_threads: int


class IsaacGymSimulator:
    """``Simulator`` on Isaac Gym.

    Two deviations from the contract come from the engine. It sets no state before its next step, so that a picture
    drawn right after ``reset`` still shows the old pose. And its contact caches cannot be read: on the real engine a
    loaded ``state_dict`` goes on from the same state, but not with the same bits.
    """

    def __init__(
        self,
        scene: Scene,
        num_envs: int,
        *,
        physx: PhysxSettings,
        dt: float,
        substeps: int,
        calls_per_control: int,
        device: torch.device,
        graphics_device: Optional[int] = None,
        viewer: bool = False,
    ) -> None:
        """``dt`` seconds per ``simulate`` call, in ``substeps`` parts.

        ``graphics_device`` draws cameras and the viewer: ``None`` = the GPU that computes, -1 = none, which saves its
        memory. Raises ``ValueError`` where the hand's file cannot be used.
        """
        if num_envs < 2:
            raise ValueError(f"env.numEnvs={num_envs}: Isaac Gym can crash with a single environment. Use 2 or more")
        self.scene = scene
        self.num_envs = num_envs
        self.device = device
        self.control_dt = dt * calls_per_control
        self.dof_names = scene.hand.dof_names
        self._asset_path = scene.hand.asset
        self._kinematics = HandKinematics(scene.hand, scene.hand_position, device)
        self.dof_limits = self._kinematics.dof_limits
        self._calls_per_control = calls_per_control
        self._on_gpu = device.type == "cuda"
        self._gym = gymapi.acquire_gym()
        index = device.index or 0
        self._sim = self._gym.create_sim(
            index,
            index if graphics_device is None else graphics_device,
            gymapi.SIM_PHYSX,
            self._sim_params(physx, dt, substeps),
        )
        self._is_open = True
        self._add_ground()
        self._envs, self._actors = self._build_envs()
        self._gym.prepare_sim(self._sim)
        self._viewer = IsaacGymViewer(self._gym, self._sim, self._envs[0], scene.cameras[0]) if viewer else None
        self._cameras: Dict[Tuple[int, str, int, int], int] = {}
        self._find_columns()
        self._wrap_tensors()
        self.state = self._new_state()
        self._pending = torch.zeros(num_envs, dtype=torch.bool, device=device)
        self._is_pending = False
        self._frames_checked = False
        poses = [[0.0, 0.0, box.size[2] / 2, 0.0, 0.0, 0.0, 1.0] for box in scene.objects]
        self.reset(
            torch.ones(num_envs, dtype=torch.bool, device=device),
            torch.zeros(num_envs, len(self.dof_names), device=device),
            torch.tensor(poses, device=device).reshape(1, -1, 7).repeat(num_envs, 1, 1),
        )

    # --- building -----------------------------------------------------------------------------------------------------

    def _sim_params(self, physx: PhysxSettings, dt: float, substeps: int) -> gymapi.SimParams:
        params = gymapi.SimParams()
        params.dt = dt
        params.substeps = substeps
        params.up_axis = gymapi.UP_AXIS_Z
        params.gravity = gymapi.Vec3(0.0, 0.0, -9.81)
        params.use_gpu_pipeline = self._on_gpu
        params.num_client_threads = 0
        params.physx.use_gpu = self._on_gpu
        params.physx.num_subscenes = 0
        params.physx.always_use_articulations = True
        # the engine's default, all sub-steps, is known to give wrong contact forces
        params.physx.contact_collection = gymapi.CC_LAST_SUBSTEP
        for name, value in asdict(physx).items():
            setattr(params.physx, name, value)
        return params

    def _add_ground(self) -> None:
        plane = gymapi.PlaneParams()
        plane.normal = gymapi.Vec3(0.0, 0.0, 1.0)
        plane.static_friction = plane.dynamic_friction = self.scene.ground_friction
        plane.restitution = 0.0
        self._gym.add_ground(self._sim, plane)

    def _build_envs(self) -> Tuple[List[gymapi.Env], List[List[int]]]:
        """The environments, and the simulation-wide indices of their actors: the hand, then the objects."""
        assets = [self._load_hand(), *(self._make_box(box) for box in self.scene.objects)]
        bodies = sum(self._gym.get_asset_rigid_body_count(asset) for asset in assets)
        shapes = sum(self._gym.get_asset_rigid_shape_count(asset) for asset in assets)
        per_row = max(1, int(math.sqrt(self.num_envs)))
        lower, upper = gymapi.Vec3(-_SPACING, -_SPACING, 0.0), gymapi.Vec3(_SPACING, _SPACING, _SPACING)
        envs, actors = [], []
        for index in range(self.num_envs):
            env = self._gym.create_env(self._sim, lower, upper, per_row)
            self._gym.begin_aggregate(env, bodies, shapes, True)
            handles = [self._place_hand(env, assets[0], index)]
            for asset, box in zip(assets[1:], self.scene.objects):
                handles.append(self._place_box(env, asset, box, index))
            self._gym.end_aggregate(env)
            envs.append(env)
            actors.append([self._gym.get_actor_index(env, handle, gymapi.DOMAIN_SIM) for handle in handles])
        return envs, actors

    def _load_hand(self) -> gymapi.Asset:
        options = gymapi.AssetOptions()
        options.fix_base_link = True
        options.collapse_fixed_joints = False  # fingertips and fingerpads hang on fixed joints
        options.disable_gravity = False
        options.flip_visual_attachments = False
        options.use_mesh_materials = True
        options.thickness = 0.001
        options.default_dof_drive_mode = int(gymapi.DOF_MODE_POS)
        path = self._asset_path
        asset = self._gym.load_asset(self._sim, str(path.parent), path.name, options)
        found = self._gym.get_asset_dof_names(asset)
        if sorted(found) != sorted(self.dof_names):
            raise ValueError(
                f"Isaac Gym reads {len(found)} joints from {path}, not the {len(self.dof_names)} of the hand: {found}"
            )
        return asset

    def _make_box(self, box: Box) -> gymapi.Asset:
        options = gymapi.AssetOptions()
        options.density = box.mass / (box.size[0] * box.size[1] * box.size[2])
        return self._gym.create_box(self._sim, *box.size, options)

    def _place_hand(self, env: gymapi.Env, asset: gymapi.Asset, index: int) -> int:
        pose = gymapi.Transform()
        pose.p = gymapi.Vec3(*self.scene.hand_position)
        actor = self._gym.create_actor(env, asset, pose, "hand", index, 0)
        self._gym.set_actor_dof_properties(env, actor, self._dof_properties(env, actor))
        bodies = {body.name: body for body in read_hand(self.scene.hand)}
        shapes = self._gym.get_actor_rigid_shape_properties(env, actor)
        ranges = self._gym.get_actor_rigid_body_shape_indices(env, actor)
        for name, shapes_of_body in zip(self._gym.get_actor_rigid_body_names(env, actor), ranges):
            for shape in shapes[shapes_of_body.start : shapes_of_body.start + shapes_of_body.count]:
                shape.filter = _collision_filter(name, self.scene.hand.contact_bodies)
                shape.friction = bodies[name].friction or 0.0
                shape.restitution = 0.0
        self._gym.set_actor_rigid_shape_properties(env, actor, shapes)
        return actor

    def _dof_properties(self, env: gymapi.Env, actor: int) -> np.ndarray:
        """Servos with the scene's gains over those of the file; limits and losses are the file's."""
        properties: np.ndarray = self._gym.get_actor_dof_properties(env, actor)
        joints = {body.joint.name: body.joint for body in read_hand(self.scene.hand) if body.joint}
        for row, name in enumerate(self._gym.get_actor_dof_names(env, actor)):
            joint, gains = joints[name], self._gains(name)
            properties["hasLimits"][row] = True
            properties["lower"][row], properties["upper"][row] = joint.lower, joint.upper
            properties["driveMode"][row] = int(gymapi.DOF_MODE_POS)
            properties["stiffness"][row], properties["damping"][row] = _drive(joint, gains)
            properties["effort"][row] = joint.force_limit if gains.force_limit is None else gains.force_limit
            properties["armature"][row] = joint.armature if gains.armature is None else gains.armature
            properties["friction"][row] = joint.friction
        return properties

    def _gains(self, joint: str) -> Gains:
        return next(gains for joints, gains in self.scene.hand.joint_groups if joint in joints)

    def _place_box(self, env: gymapi.Env, asset: gymapi.Asset, box: Box, index: int) -> int:
        pose = gymapi.Transform()
        pose.p = gymapi.Vec3(0.0, 0.0, box.size[2] / 2)
        actor = self._gym.create_actor(env, asset, pose, box.name, index, 0)
        shapes = self._gym.get_actor_rigid_shape_properties(env, actor)
        for shape in shapes:
            shape.friction = box.friction
            shape.restitution = 0.0
        self._gym.set_actor_rigid_shape_properties(env, actor, shapes)
        red, green, blue, _ = box.rgba
        self._gym.set_rigid_body_color(env, actor, 0, gymapi.MESH_VISUAL_AND_COLLISION, gymapi.Vec3(red, green, blue))
        return actor

    # --- tensors ------------------------------------------------------------------------------------------------------

    def _find_columns(self) -> None:
        """Where the scene's joints, bodies and objects are within one environment's part of the tensors."""
        env, gym = self._envs[0], self._gym
        hand_actor = gym.find_actor_handle(env, "hand")
        names = gym.get_actor_dof_names(env, hand_actor)

        def bodies(wanted: Tuple[str, ...]) -> Tensor:
            found = [gym.find_actor_rigid_body_index(env, hand_actor, name, gymapi.DOMAIN_SIM) for name in wanted]
            missing = [name for name, index in zip(wanted, found) if index < 0]
            if missing:
                raise ValueError(f"{self._asset_path} lacks bodies {', '.join(missing)}")
            return torch.tensor(found, dtype=torch.int64, device=self.device)

        self._dof_columns = torch.tensor([names.index(name) for name in self.dof_names], device=self.device)
        self._body_columns = bodies(self.scene.bodies)
        self._contact_columns = bodies(self.scene.contact_bodies)
        objects = [gym.find_actor_handle(env, box.name) for box in self.scene.objects]
        self._object_columns = torch.tensor(
            [gym.get_actor_rigid_body_index(env, actor, 0, gymapi.DOMAIN_SIM) for actor in objects],
            dtype=torch.int64,
            device=self.device,
        )
        kinematic = [self._kinematics.index(name) for name in self.scene.bodies]
        self._kinematic_bodies = torch.tensor(kinematic, dtype=torch.int64, device=self.device)
        actors = torch.tensor(self._actors, device=self.device)
        self._hand_actors = actors[:, 0].to(torch.int32)
        self._object_rows = actors[:, 1:]
        self._object_actors = self._object_rows.to(torch.int32)

    def _wrap_tensors(self) -> None:
        """Take hold of the engine's own buffers; views of them are per environment."""
        gym, sim, n = self._gym, self._sim, self.num_envs
        self._dof_buffer = gymtorch.wrap_tensor(gym.acquire_dof_state_tensor(sim))
        self._root_buffer = gymtorch.wrap_tensor(gym.acquire_actor_root_state_tensor(sim))
        bodies = gymtorch.wrap_tensor(gym.acquire_rigid_body_state_tensor(sim))
        contacts = gymtorch.wrap_tensor(gym.acquire_net_contact_force_tensor(sim))
        self._refresh_tensors()
        self._dofs = self._dof_buffer.view(n, -1, 2)
        self._bodies = bodies.view(n, -1, 13)
        self._contacts = contacts.view(n, -1, 3)
        self._targets = torch.zeros(n, len(self.dof_names), device=self.device)

    def _refresh_tensors(self) -> None:
        self._gym.refresh_dof_state_tensor(self._sim)
        self._gym.refresh_actor_root_state_tensor(self._sim)
        self._gym.refresh_rigid_body_state_tensor(self._sim)
        self._gym.refresh_net_contact_force_tensor(self._sim)

    def _new_state(self) -> SimState:
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(self.num_envs, *shape, device=self.device)

        bodies, objects = len(self.scene.bodies), len(self.scene.objects)
        return SimState(
            dof_pos=zeros(len(self.dof_names)),
            dof_vel=zeros(len(self.dof_names)),
            body_pos=zeros(bodies, 3),
            body_quat=zeros(bodies, 4),
            body_linvel=zeros(bodies, 3),
            body_angvel=zeros(bodies, 3),
            contact_force=zeros(len(self.scene.contact_bodies), 3),
            object_pos=zeros(objects, 3),
            object_quat=zeros(objects, 4),
            object_linvel=zeros(objects, 3),
            object_angvel=zeros(objects, 3),
            object_contact_force=zeros(objects, 3),
        )

    def _show(self) -> None:
        """Copy what the engine's buffers hold into ``state``."""
        state, bodies = self.state, self._bodies[:, self._body_columns]
        roots = self._root_buffer[self._object_rows]
        state.dof_pos.copy_(self._dofs[:, self._dof_columns, 0])
        state.dof_vel.copy_(self._dofs[:, self._dof_columns, 1])
        for pos, quat, linvel, angvel, source in (
            (state.body_pos, state.body_quat, state.body_linvel, state.body_angvel, bodies),
            (state.object_pos, state.object_quat, state.object_linvel, state.object_angvel, roots),
        ):
            pos.copy_(source[..., 0:3])
            quat.copy_(source[..., 3:7])
            linvel.copy_(source[..., 7:10])
            angvel.copy_(source[..., 10:13])
        state.contact_force.copy_(self._contacts[:, self._contact_columns])
        state.object_contact_force.copy_(self._contacts[:, self._object_columns])

    # --- running ------------------------------------------------------------------------------------------------------

    def step(self, dof_targets: Tensor) -> None:
        """See ``Simulator.step``. Raises ``RuntimeError`` where the engine has built another hand than the file's."""
        if self._is_pending:
            self._write_pending()
        self._targets[:, self._dof_columns] = dof_targets.clamp(self.dof_limits[:, 0], self.dof_limits[:, 1])
        self._gym.set_dof_position_target_tensor(self._sim, gymtorch.unwrap_tensor(self._targets))
        for _ in range(self._calls_per_control):
            self._gym.simulate(self._sim)
            if not self._on_gpu:
                self._gym.fetch_results(self._sim, True)
        self._refresh_tensors()
        self._show()
        if not self._frames_checked:
            self._check_frames()
        if self._viewer is not None:
            self._fetch_for_graphics()
            self._viewer.show()

    def _write_pending(self) -> None:
        """Hand over the poses of all resets since the last step: the engine takes one call of each kind between two."""
        envs = self._pending.nonzero().flatten()
        # kept until the step, for the engine reads them then
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

    def _check_frames(self) -> None:
        """Bodies must be where the hand's file puts them: same frames, same joint order, the environment's origin."""
        poses = self._kinematics.poses(self.state.dof_pos, self.state.dof_vel).select(self._kinematic_bodies)
        apart = (poses.pos - self.state.body_pos).abs().amax(dim=(0, 2))
        turned = 1 - (poses.quat * self.state.body_quat).sum(-1).abs().amin(dim=0)
        for name, metres, turn in zip(self.scene.bodies, apart.tolist(), turned.tolist()):
            if not max(metres, turn) < _FRAME_TOLERANCE:
                raise RuntimeError(
                    f"Isaac Gym has {name} {metres:.3g} m away and turned (1 - |cos| = {turn:.3g}) from where "
                    f"{self._asset_path} puts it: it has read the file differently"
                )
        self._frames_checked = True

    def reset(self, mask: Tensor, dof_pos: Tensor, object_pose: Tensor) -> None:
        """See ``Simulator.reset``. The engine learns of it in the next ``step``; ``state`` shows it at once."""
        state, rows = self.state, mask[:, None]
        state.dof_pos.copy_(torch.where(rows, dof_pos, state.dof_pos))
        state.dof_vel.masked_fill_(rows, 0.0)
        for tensor, values in ((state.object_pos, object_pose[..., :3]), (state.object_quat, object_pose[..., 3:])):
            tensor.copy_(torch.where(rows[..., None], values, tensor))
        for tensor in (
            state.object_linvel,
            state.object_angvel,
            state.contact_force,
            state.object_contact_force,
        ):
            tensor.masked_fill_(rows[..., None], 0.0)
        poses = self._kinematics.poses(state.dof_pos, state.dof_vel).select(self._kinematic_bodies)
        for tensor, values in (
            (state.body_pos, poses.pos),
            (state.body_quat, poses.quat),
            (state.body_linvel, poses.linvel),
            (state.body_angvel, poses.angvel),
        ):
            tensor.copy_(torch.where(rows[..., None], values, tensor))
        self._give_back(mask)

    def _give_back(self, mask: Tensor) -> None:
        """Write ``state`` of these environments into the engine's buffers, to be handed over in the next step."""
        state, rows = self.state, mask[:, None, None]
        dofs = torch.stack((state.dof_pos, state.dof_vel), dim=-1)
        self._dofs[:, self._dof_columns] = torch.where(rows, dofs, self._dofs[:, self._dof_columns])
        objects = torch.cat((state.object_pos, state.object_quat, state.object_linvel, state.object_angvel), dim=-1)
        self._root_buffer[self._object_rows] = torch.where(rows, objects, self._root_buffer[self._object_rows])
        self._pending |= mask
        self._is_pending = True

    # --- pictures -----------------------------------------------------------------------------------------------------

    def render(self, env_id: int, camera: str = "default", width: int = 640, height: int = 480) -> np.ndarray:
        """See ``Simulator.render``; after ``reset`` the old pose, until the next ``step``."""
        known = {each.name: each for each in self.scene.cameras}
        if camera not in known:
            raise ValueError(f"camera={camera!r} is not in the scene. Cameras: {', '.join(known)}")
        sensor = self._camera_sensor(env_id, known[camera], width, height)
        self._fetch_for_graphics()
        self._gym.step_graphics(self._sim)
        self._gym.render_all_camera_sensors(self._sim)
        rows = self._gym.get_camera_image(self._sim, self._envs[env_id], sensor, gymapi.IMAGE_COLOR)
        rgba: np.ndarray = np.asarray(rows, dtype=np.uint8).reshape(height, width, 4)
        return rgba[..., :3].copy()

    def _camera_sensor(self, env_id: int, camera: Camera, width: int, height: int) -> int:
        key = (env_id, camera.name, width, height)
        if key not in self._cameras:
            properties = gymapi.CameraProperties()
            properties.width, properties.height = width, height
            half_height = math.tan(math.radians(camera.fovy) / 2)
            properties.horizontal_fov = math.degrees(2 * math.atan(half_height * width / height))
            sensor = self._gym.create_camera_sensor(self._envs[env_id], properties)
            if sensor < 0:
                raise RenderingUnavailable(
                    "Isaac Gym has no device to draw with: sim.isaacgym.graphicsDevice must be the index of a GPU "
                    "with its graphics driver installed"
                )
            position, target = gymapi.Vec3(*camera.position), gymapi.Vec3(*camera.target)
            self._gym.set_camera_location(sensor, self._envs[env_id], position, target)
            self._cameras[key] = sensor
        return self._cameras[key]

    def _fetch_for_graphics(self) -> None:
        if self._on_gpu:
            self._gym.fetch_results(self._sim, True)

    # --- saving -------------------------------------------------------------------------------------------------------

    def state_dict(self) -> Dict[str, Tensor]:
        """See ``Simulator.state_dict``; all that the engine lets one read."""
        return {name: tensor.clone() for name, tensor in vars(self.state).items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See ``Simulator.load_state_dict``."""
        for name, tensor in vars(self.state).items():
            if state[name].shape != tensor.shape:
                raise ValueError(
                    f"The saved {name} has shape {tuple(state[name].shape)}, this simulator needs "
                    f"{tuple(tensor.shape)}: same scene and env.numEnvs={self.num_envs}"
                )
        for name, tensor in vars(self.state).items():
            tensor.copy_(state[name])
        self._give_back(torch.ones(self.num_envs, dtype=torch.bool, device=self.device))

    def close(self) -> None:
        """See ``Simulator.close``."""
        if not self._is_open:
            return
        self._is_open = False
        if self._viewer is not None:
            self._viewer.close()
        self._gym.destroy_sim(self._sim)


def _drive(joint: Joint, gains: Gains) -> Tuple[float, float]:
    """Stiffness and damping of a drive that stands for MuJoCo's servo and the joint's own damping."""
    stiffness = joint.stiffness if gains.stiffness is None else gains.stiffness
    servo_damping = joint.servo_damping if gains.damping is None else gains.damping
    return stiffness, servo_damping + joint.damping


def _collision_filter(body: str, distal_links: Tuple[str, ...]) -> int:
    """Two shapes collide only if their filters share no bit: distal links with each other, the rest with no part of it.

    Ground and objects have filter 0 and collide with everything.
    """
    if body in distal_links:
        return 1 << distal_links.index(body)
    return (1 << len(distal_links)) - 1
