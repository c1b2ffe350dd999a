"""Conformance suite for ``Simulator``: subclass ``SimulatorConformance`` and define a factory.

    class TestMySimulator(SimulatorConformance):
        def make_simulator(self, scene, num_envs):
            return MySimulator(scene, num_envs)

pytest collects the checks; each can also be called as an ordinary method. If a physics engine is less accurate
than the tolerances of ``SimulatorHarness``, the subclass sets its own.
"""

from collections.abc import Callable
from unittest import SkipTest

import numpy as np
from torch import Tensor

from dexhand.core.interfaces import RenderingUnavailable
from dexhand.hand_env.interfaces import Simulator
from dexhand.testing.scenes import boxes_at, dof_rows, random_targets
from dexhand.testing.simulator_harness import (
    SimulatorHarness,
    changed,
    mask_of,
    play,
    put,
    rough_start,
    snapshot,
)
from dexhand.testing.simulator_motion import ContactClauses, MotionClauses
from dexhand.testing.simulator_physics import PhysicsClauses, PhysicsEffectClauses
from dexhand.testing.simulator_repeat import RepeatClauses, SavingClauses
from dexhand.testing.simulator_state import ResetClauses, StateClauses


class DrawingClauses(SimulatorHarness):
    """``render``; skipped, with the simulator's reason, if it cannot draw."""

    def test_render_gives_an_rgb_picture(self) -> None:
        """A picture is uint8, has the requested size, and is not blank."""
        with self.simulator() as sim:
            picture = _draw(sim, 0, width=120, height=80)
            assert picture.dtype == np.uint8, f"The picture is {picture.dtype} instead of uint8."
            assert picture.shape == (80, 120, 3), f"The picture has shape {picture.shape} instead of (80, 120, 3)."
            assert picture.min() != picture.max(), "The picture has only one colour."

    def test_render_draws_the_environment_asked_for(self) -> None:
        """Each environment is drawn in its current pose."""
        with self.simulator() as sim:
            pose = dof_rows(sim)
            self._bring_to_the_picture(sim, pose)
            before = _draw(sim, 0), _draw(sim, 1)
            pose[1] = dof_rows(sim, **{self.hand.base_joints[2]: 0.2, self.hand.base_joints[5]: 0.5})[1]
            sim.reset(mask_of(sim, 1), pose, boxes_at(sim))
            self._bring_to_the_picture(sim, pose)
            assert (_draw(sim, 1) != before[1]).any(), "Environment 1 moved, but its picture stayed the same."
            same = np.abs(_draw(sim, 0).astype(int) - before[0]).max()
            assert same <= 2, "Environment 1 moved, and the picture of environment 0 changed."

    def _bring_to_the_picture(self, sim: Simulator, pose: Tensor) -> None:
        if self.draws_resets_after_a_step:
            self.settle(sim, pose)

    def test_render_draws_through_the_camera_asked_for(self) -> None:
        """Different cameras of the scene give different pictures."""
        with self.simulator() as sim:
            assert (_draw(sim, 0, "default") != _draw(sim, 0, "above")).any(), "Two cameras give the same picture."

    def test_render_refuses_an_unknown_camera(self) -> None:
        """An unknown camera is a ValueError that names it and lists the known cameras."""
        with self.simulator() as sim:
            _draw(sim, 0)
            refusal = _error_of(ValueError, lambda: sim.render(0, camera="nowhere"))
            assert refusal, "render accepted a camera that the scene does not have."
            missing = [name for name in ("nowhere", "default", "above") if name not in refusal]
            assert not missing, f"The error for the unknown camera 'nowhere' does not name {missing}: {refusal}"

    def test_render_changes_nothing(self) -> None:
        """Drawing, or failing to draw, changes no bit of the state or of later steps."""
        with self.simulator() as sim, self.simulator() as unseen:
            rough_start(sim)
            rough_start(unseen)
            before = snapshot(sim.state)
            _error_of(RenderingUnavailable, lambda: sim.render(0, width=64, height=48))
            names = changed(before, snapshot(sim.state))
            assert not names, f"Drawing changed {names}."
            targets = random_targets(sim, steps=5)
            names = changed(play(unseen, targets), play(sim, targets))
            assert not names, f"After drawing, {names} develop differently."


class ClosingClauses(SimulatorHarness):
    """``close``."""

    def test_close_can_be_called_again(self) -> None:
        """Closing a closed simulator does nothing."""
        sim = self.make_simulator(self.scene, 2)
        put(sim)
        sim.close()
        sim.close()


class SimulatorConformance(
    StateClauses,
    ResetClauses,
    MotionClauses,
    ContactClauses,
    RepeatClauses,
    SavingClauses,
    PhysicsClauses,
    PhysicsEffectClauses,
    DrawingClauses,
    ClosingClauses,
):
    """Every clause of ``Simulator`` and ``SimState``."""


def _error_of(kind: type[Exception], call: Callable[[], object]) -> str:
    """The message of the ``kind`` of error that ``call`` raises; empty if it raises none."""
    try:
        call()
    except kind as error:
        return str(error)
    return ""


def _draw(sim: Simulator, env_id: int, camera: str = "default", width: int = 160, height: int = 120) -> np.ndarray:
    try:
        return sim.render(env_id, camera, width, height)
    except RenderingUnavailable as error:
        raise SkipTest(f"This simulator cannot draw here: {error}") from None
