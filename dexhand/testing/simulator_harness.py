"""Base class and helpers of the simulator suite."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import cached_property
from unittest import SkipTest

import torch
from torch import Tensor

from dexhand.hand_env.interfaces import Scene, SimState, Simulator
from dexhand.hands.spec import HandSpec
from dexhand.testing.scenes import (
    NUM_ENVS,
    RIGHT_HAND,
    RIGHT_PINCH,
    Pinch,
    boxes_at,
    dof_rows,
    pinching,
    pointing_down,
    random_targets,
    scene_of,
    small_box_in_the_pinch,
)

Snapshot = dict[str, Tensor]
"""A copy of every tensor of a ``SimState``, by name."""


class SimulatorHarness:
    """The factory that a subclass defines, tolerances that it may widen, and helpers that run a simulator."""

    pose_tolerance = 1e-5
    """Tolerance of body poses, m and for quaternion components; that of float32 kinematics."""
    settling_time = 0.5
    """Seconds within which joints reach a target 0.1 away, and a box on the ground comes to rest."""
    dof_tolerance = 0.005
    """Largest distance of a settled joint from its target, m or rad."""
    velocity_tolerance = 0.05
    """Error of velocities compared with finite differences, relative to the largest velocity."""
    fall_tolerance = 0.03
    """Relative error of height and velocity in free fall."""
    weight_tolerance = 0.05
    """Error of the contact force on a resting box, relative to its weight."""
    draws_resets_after_a_step = False
    """True if the engine can draw a reset only after the next step."""

    hand: HandSpec = RIGHT_HAND
    """The hand of all scenes. It needs at least three fingers, along the world's x axis at zero joints."""
    pinch: Pinch | None = RIGHT_PINCH
    """How this hand grasps the small box; ``None`` skips the checks that need it."""

    def make_simulator(self, scene: Scene, num_envs: int) -> Simulator:
        """Build the simulator under test. The suite closes it."""
        raise NotImplementedError("A conformance suite needs make_simulator(scene, num_envs)")

    @cached_property
    def scene(self) -> Scene:
        """The hand and two boxes."""
        return scene_of(self.hand)

    @contextmanager
    def simulator(self, scene: Scene | None = None, num_envs: int = NUM_ENVS) -> Iterator[Simulator]:
        """Make a simulator at the zero pose with its boxes on the ground, and close it at the end."""
        sim = self.make_simulator(scene or self.scene, num_envs)
        try:
            put(sim)
            yield sim
        finally:
            sim.close()

    def settle(self, sim: Simulator, targets: Tensor) -> None:
        """Hold the targets for ``settling_time``."""
        for _ in range(steps_in(sim, self.settling_time)):
            sim.step(targets)

    def press(self, sim: Simulator) -> None:
        """Press one finger to the ground in each environment, starting 2 cm above it."""
        put(sim, pointing_down(sim, depth=-0.02))
        self.settle(sim, pointing_down(sim, depth=0.003))

    def pick_up(self, sim: Simulator) -> None:
        """Close the fingers around the small box, lift it by 5 cm and hold it still."""
        pinch = self.pinch
        if pinch is None:
            raise SkipTest(f"The suite has pinch = None: it does not know how {self.hand.name} grasps the small box")
        put(sim, pinching(sim, pinch, -0.28), small_box_in_the_pinch(sim, pinch))
        steps = steps_in(sim, 0.8)
        for step in range(steps):
            sim.step(pinching(sim, pinch, -0.28 + 0.33 * (step + 1) / steps))
        for step in range(steps):
            sim.step(pinching(sim, pinch, 0.05, lifted=0.05 * (step + 1) / steps))
        self.settle(sim, pinching(sim, pinch, 0.05, lifted=0.05))


def put(sim: Simulator, dof_pos: Tensor | None = None, object_pose: Tensor | None = None) -> None:
    """Reset all environments; by default to the zero pose with the boxes on the ground."""
    everywhere = torch.ones(sim.num_envs, dtype=torch.bool, device=sim.device)
    sim.reset(
        everywhere,
        dof_rows(sim) if dof_pos is None else dof_pos,
        boxes_at(sim) if object_pose is None else object_pose,
    )


def mask_of(sim: Simulator, *envs: int) -> Tensor:
    """A reset mask (N,) that is true for these environments."""
    mask = torch.zeros(sim.num_envs, dtype=torch.bool, device=sim.device)
    mask[list(envs)] = True
    return mask


def steps_in(sim: Simulator, seconds: float) -> int:
    """The number of control steps closest to ``seconds``, at least 1."""
    return max(1, round(seconds / sim.control_dt))


def snapshot(state: SimState) -> Snapshot:
    """Copy a state."""
    return {field.name: getattr(state, field.name).clone() for field in fields(SimState)}


def play(sim: Simulator, targets: Tensor) -> Snapshot:
    """Step through ``targets`` (steps, N, D); returns a copy of the last state."""
    for row in targets:
        sim.step(row)
    return snapshot(sim.state)


def rough_start(sim: Simulator, steps: int = 12) -> None:
    """Bring the simulator into a state with fingers on the ground, falling boxes and everything moving."""
    put(sim, pointing_down(sim, depth=-0.015), boxes_at(sim, height=0.3))
    play(sim, random_targets(sim, steps, seed=1))


def changed(before: Snapshot, after: Snapshot, *envs: int) -> str:
    """Names of the tensors that differ in any bit, in these environments or in all; empty if there are none."""
    rows = list(envs) if envs else slice(None)
    names = []
    for name, tensor in before.items():
        bits, bits_after = (each[rows].contiguous().view(torch.int32) for each in (tensor, after[name]))
        if not torch.equal(bits, bits_after):
            names.append(name)
    return ", ".join(names)


def worst(error: Tensor) -> float:
    """The largest absolute value; infinite if anything is not a number."""
    return float(error.abs().nan_to_num(nan=float("inf")).max())
