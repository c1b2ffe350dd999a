"""``Gym``: the tensor API and the simulation loop, with the rules that its users keep."""

from typing import List, Optional

import numpy as np

from ._records import Engine, Sim, Stage, Tensor, misuse
from ._types import CoordinateSpace, TensorDataType


def _engine(sim: Sim, what: str) -> Engine:
    """The physics, once ``prepare_sim`` has been called."""
    if sim.stage is Stage.DESTROYED:
        misuse(f"{what} after destroy_sim")
    if sim.engine is None:
        misuse(f"{what} before prepare_sim")
    return sim.engine


class TensorCalls:
    """The part of ``Gym`` that runs."""

    # --- reading ------------------------------------------------------------------------------------------------------

    def acquire_actor_root_state_tensor(self, sim: Sim, /) -> Tensor:
        """(actors, 13): position, quaternion, linear velocity, angular velocity."""
        return self._acquire(sim, "root_state")

    def acquire_dof_state_tensor(self, sim: Sim, /) -> Tensor:
        """(dofs, 2): position, velocity."""
        return self._acquire(sim, "dof_state")

    def acquire_rigid_body_state_tensor(self, sim: Sim, /) -> Tensor:
        """(bodies, 13), as the root states."""
        return self._acquire(sim, "body_state")

    def acquire_net_contact_force_tensor(self, sim: Sim, /) -> Tensor:
        """(bodies, 3): the net contact force on each body, world axes."""
        return self._acquire(sim, "contact_force")

    def acquire_dof_force_tensor(self, sim: Sim, /) -> Tensor:
        """(dofs,): what drives each degree of freedom; 0 for actors without dof force sensors."""
        return self._acquire(sim, "dof_force")

    def acquire_force_sensor_tensor(self, sim: Sim, /) -> Tensor:
        """(sensors, 6): force, torque."""
        return self._acquire(sim, "force_sensor")

    def refresh_actor_root_state_tensor(self, sim: Sim, /) -> bool:
        """Show what was simulated."""
        return self._refresh(sim, "root_state")

    def refresh_dof_state_tensor(self, sim: Sim, /) -> bool:
        """Show what was simulated."""
        return self._refresh(sim, "dof_state")

    def refresh_rigid_body_state_tensor(self, sim: Sim, /) -> bool:
        """Show what was simulated."""
        return self._refresh(sim, "body_state")

    def refresh_net_contact_force_tensor(self, sim: Sim, /) -> bool:
        """Show what was simulated."""
        return self._refresh(sim, "contact_force")

    def refresh_dof_force_tensor(self, sim: Sim, /) -> bool:
        """Show what was simulated."""
        return self._refresh(sim, "dof_force")

    def refresh_force_sensor_tensor(self, sim: Sim, /) -> bool:
        """Show what was simulated."""
        return self._refresh(sim, "force_sensor")

    def _acquire(self, sim: Sim, name: str) -> Tensor:
        # allowed before prepare_sim: one of the two public users does it; wrapping is not
        if sim.stage is Stage.DESTROYED:
            misuse(f"acquire of the {name} tensor after destroy_sim")
        return Tensor.of_buffer(sim, lambda: sim.buffers[name])

    def _refresh(self, sim: Sim, name: str) -> bool:
        _engine(sim, f"refresh of the {name} tensor")
        if not sim.results_fetched:
            misuse(f"refresh of the {name} tensor between simulate and fetch_results(sim, True) on the CPU pipeline")
        sim.buffers[name].show(sim.reading(name))
        return True

    # --- writing ------------------------------------------------------------------------------------------------------

    def set_actor_root_state_tensor(self, sim: Sim, states: Tensor, /) -> bool:
        """Of all actors, from the next simulate on."""
        return self._write_roots(sim, states, "set_actor_root_state_tensor", None)

    def set_actor_root_state_tensor_indexed(self, sim: Sim, states: Tensor, actors: Tensor, count: int, /) -> bool:
        """Of some actors, once between two simulates."""
        name = "set_actor_root_state_tensor_indexed"
        return self._write_roots(sim, states, name, self._indices(sim, actors, count, name))

    def set_dof_state_tensor(self, sim: Sim, states: Tensor, /) -> bool:
        """Of all degrees of freedom, from the next simulate on."""
        return self._write_dofs(sim, states, "set_dof_state_tensor", None)

    def set_dof_state_tensor_indexed(self, sim: Sim, states: Tensor, actors: Tensor, count: int, /) -> bool:
        """Of some actors, once between two simulates."""
        name = "set_dof_state_tensor_indexed"
        return self._write_dofs(sim, states, name, self._indices(sim, actors, count, name))

    def set_dof_position_target_tensor(self, sim: Sim, targets: Tensor, /) -> bool:
        """Of all degrees of freedom."""
        values = self._values(sim, targets, (sim.targets.size,), "set_dof_position_target_tensor")
        sim.targets = values.reshape(sim.targets.shape)
        return True

    def set_dof_position_target_tensor_indexed(self, sim: Sim, targets: Tensor, actors: Tensor, count: int, /) -> bool:
        """Of some actors."""
        name = "set_dof_position_target_tensor_indexed"
        values = self._values(sim, targets, (sim.targets.size,), name).reshape(sim.targets.shape)
        for index in self._indices(sim, actors, count, name):
            env, actor = divmod(index, len(sim.first_env.actors))
            first, number = _dofs_of(sim, actor)
            sim.targets[env, first : first + number] = values[env, first : first + number]
        return True

    def apply_rigid_body_force_tensors(
        self,
        sim: Sim,
        forceTensor: Optional[Tensor] = None,
        torqueTensor: Optional[Tensor] = None,
        space: CoordinateSpace = CoordinateSpace.ENV_SPACE,
    ) -> bool:
        """During the next simulate."""
        name = "apply_rigid_body_force_tensors"
        if space is CoordinateSpace.LOCAL_SPACE:
            misuse("The stand-in applies forces in world axes only: space must not be LOCAL_SPACE")
        shape = (len(sim.envs) * _bodies_per_env(sim), 3)
        sim.forces, sim.torques = (
            None if each is None else self._values(sim, each, shape, name).reshape(len(sim.envs), -1, 3)
            for each in (forceTensor, torqueTensor)
        )
        return True

    def _write_roots(self, sim: Sim, states: Tensor, name: str, indices: Optional[List[int]]) -> bool:
        per_env = len(sim.first_env.actors)
        values = self._values(sim, states, (len(sim.envs) * per_env, 13), name)
        engine = _engine(sim, name)
        self._once(sim, "actor root states")
        for index in range(len(values)) if indices is None else indices:
            env, actor = divmod(index, per_env)
            if not sim.first_env.actors[actor].asset.options.fix_base_link:
                state = values[index]
                sim.pending.append(lambda env=env, actor=actor, state=state: engine.set_root_state(env, actor, state))
        return True

    def _write_dofs(self, sim: Sim, states: Tensor, name: str, indices: Optional[List[int]]) -> bool:
        values = self._values(sim, states, (sim.targets.size, 2), name).reshape(len(sim.envs), -1, 2)
        engine = _engine(sim, name)
        self._once(sim, "dof states")
        per_env = len(sim.first_env.actors)
        for index in range(len(sim.envs) * per_env) if indices is None else indices:
            env, actor = divmod(index, per_env)
            first, number = _dofs_of(sim, actor)
            if number == 0 and indices is not None:
                misuse(f"{name}: actor {index} has no degrees of freedom")
            state = values[env, first : first + number]
            sim.pending.append(lambda env=env, first=first, state=state: engine.set_dof_state(env, first, state))
        return True

    def _once(self, sim: Sim, what: str) -> None:
        if what in sim.written:
            misuse(f"{what} were set twice before one simulate: only one of the calls would count")
        sim.written.append(what)

    def _indices(self, sim: Sim, actors: Tensor, count: int, name: str) -> List[int]:
        if actors.dtype is not TensorDataType.DTYPE_UINT32:
            misuse(f"{name}: actor indices must be int32")
        indices: List[int] = self._values(sim, actors, (count,), name).tolist()
        total = sum(len(env.actors) for env in sim.envs)
        if len(set(indices)) != len(indices) or not all(0 <= index < total for index in indices):
            misuse(f"{name}: actor indices must be different ones of DOMAIN_SIM, below {total}: {indices}")
        return indices

    def _values(self, sim: Sim, tensor: Tensor, shape: "tuple[int, ...]", name: str) -> np.ndarray:
        """What a setter was given, copied; the tensor must live until simulate."""
        _engine(sim, name)
        alive = tensor._torch() if tensor._torch is not None else None
        if alive is None:
            misuse(f"{name} takes gymtorch.unwrap_tensor of a torch tensor that is kept alive until simulate")
        if tensor.device != sim.device:
            where = "on the GPU" if sim.device >= 0 else "on the CPU"
            misuse(f"{name}: the tensor must be {where}, as the pipeline is")
        if tensor.dtype not in (TensorDataType.DTYPE_FLOAT32, TensorDataType.DTYPE_UINT32):
            misuse(f"{name}: the tensor must be float32")
        # (k,) and (k, 1) are the same memory; the engine counts numbers
        if int(np.prod(tensor.shape)) != int(np.prod(shape)):
            misuse(f"{name}: the tensor has shape {tensor.shape} instead of the whole buffer's {shape}")
        sim.kept_alive.append((tensor._torch, name))
        values: np.ndarray = alive.detach().cpu().numpy().reshape(shape).copy()
        return values

    # --- the loop -----------------------------------------------------------------------------------------------------

    def simulate(self, sim: Sim, /) -> None:
        """One ``SimParams.dt``."""
        engine = _engine(sim, "simulate")
        if not sim.results_fetched:
            misuse("simulate twice without fetch_results(sim, True) on the CPU pipeline")
        for reference, name in sim.kept_alive:
            if reference() is None:
                misuse(f"the tensor given to {name} was freed before simulate")
        for write in sim.pending:
            write()
        engine.simulate(sim.targets, sim.forces, sim.torques)
        sim.pending, sim.written, sim.kept_alive, sim.readings = [], [], [], {}
        sim.forces = sim.torques = None
        sim.results_fetched = sim.params.use_gpu_pipeline
        sim.graphics_stepped = sim.cameras_rendered = False
        sim.frame += 1

    def fetch_results(self, sim: Sim, wait: bool, /) -> None:
        """End the step."""
        _engine(sim, "fetch_results")
        sim.results_fetched = sim.results_fetched or wait

    def get_frame_count(self, sim: Sim, /) -> int:
        """How often ``simulate`` was called."""
        return sim.frame


def _dofs_of(sim: Sim, actor: int) -> "tuple[int, int]":
    """First degree of freedom of an actor in its environment, and how many it has."""
    counts = [len(each.asset.dof_names) for each in sim.first_env.actors]
    return sum(counts[:actor]), counts[actor]


def _bodies_per_env(sim: Sim) -> int:
    return sum(len(actor.asset.body_names) for actor in sim.first_env.actors)
