"""Clauses about physics that differ between environments."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import SkipTest

import torch
from torch import Tensor

from dexhand.hand_env.interfaces import PHYSICS, Simulator
from dexhand.testing.scenes import (
    GRAVITY,
    NUM_ENVS,
    SMALL_BOX,
    boxes_at,
    dof_rows,
    pointing_down,
    random_targets,
)
from dexhand.testing.simulator_harness import (
    SimulatorHarness,
    changed,
    mask_of,
    play,
    put,
    rough_start,
    snapshot,
    steps_in,
    worst,
)

VARIED = 2
"""The environment in which tests vary the physics."""


class PhysicsClauses(SimulatorHarness):
    """``physics`` and ``randomize``, of the parameters that the simulator has."""

    def test_physics_has_documented_parameters(self) -> None:
        """Physics holds parameters of PHYSICS: finite, float32, of the shapes that are stated there."""
        with self.simulator() as sim:
            unknown = [name for name in sim.physics if name not in PHYSICS]
            assert not unknown, f"physics has {unknown}, which are not in PHYSICS of dexhand/hand_env/interfaces.py."
            for name, value in sim.physics.items():
                found, expected = tuple(value.shape), _stated_shape(sim, name)
                assert found == expected, f"physics[{name!r}] has shape {found} instead of {expected}."
                assert value.dtype == torch.float32, f"physics[{name!r}] is {value.dtype} instead of float32."
                assert torch.isfinite(value).all(), f"physics[{name!r}] contains NaN or infinity."

    def test_physics_begins_as_the_scenes(self) -> None:
        """Before randomize is called, physics is what the scene says, and factors are 1."""
        objects = self.scene.objects
        scenes = {
            "object_mass": [box.mass for box in objects],
            "object_friction": [box.friction for box in objects],
            "ground_friction": self.scene.ground_friction,
            "hand_mass": 1.0,
            "hand_friction": 1.0,
            "gravity": [0.0, 0.0, -GRAVITY],
        }
        with self.simulator() as sim:
            for name in scenes.keys() & sim.physics.keys():
                error = worst(sim.physics[name] - torch.tensor(scenes[name], device=sim.device))
                assert error < 1e-6, f"physics[{name!r}] is {sim.physics[name][0].tolist()}, not {scenes[name]}."
            gains = self.scene.hand.finger_gains
            for name, gain in (("stiffness", gains.stiffness), ("damping", gains.damping)):
                if name in sim.physics:
                    found = float(sim.physics[name][0, -1])
                    assert found == gain, (
                        f"physics[{name!r}] of a finger joint is {found:g}, the hand's gain is {gain}."
                    )

    def test_randomize_shows_in_physics(self) -> None:
        """After randomize, physics has the new values in the environments of the mask and the old ones in others."""
        with self.simulator() as sim:
            before, values = dict(sim.physics), self._other_physics(sim)
            sim.randomize(mask_of(sim, VARIED), values)
            for name, value in values.items():
                expected = before[name].clone()
                expected[VARIED] = value[VARIED]
                assert torch.equal(sim.physics[name], expected), (
                    f"physics[{name!r}] is {sim.physics[name].tolist()} after randomize, not {expected.tolist()}."
                )

    def test_the_same_physics_changes_nothing(self) -> None:
        """Setting the current values of physics again changes no bit of later steps."""
        with self.simulator() as sim:
            targets = random_targets(sim, steps=10)
            rough_start(sim)
            expected = play(sim, targets)
            rough_start(sim)
            sim.randomize(_everywhere(sim), dict(sim.physics))
            names = changed(expected, play(sim, targets))
            assert not names, f"Setting the current physics again changed {names} in later steps."

    def test_randomize_changes_no_other_environment(self) -> None:
        """Different physics in one environment changes no bit of the others."""
        with self.simulator() as sim:
            values = self._other_physics(sim)
            targets = random_targets(sim, steps=10)
            rough_start(sim)
            expected = play(sim, targets)
            rough_start(sim)
            sim.randomize(mask_of(sim, VARIED), values)
            after = play(sim, targets)
            assert changed(expected, after, VARIED), "Different physics made no difference in its own environment."
            others = [env for env in range(NUM_ENVS) if env != VARIED]
            names = changed(expected, after, *others)
            assert not names, f"Different physics in environment {VARIED} changed {names} of other environments."

    def test_randomize_changes_no_state(self) -> None:
        """Setting different physics changes no bit of the current state."""
        with self.simulator() as sim:
            values = self._other_physics(sim)
            rough_start(sim)
            before = snapshot(sim.state)
            sim.randomize(mask_of(sim, VARIED), values)
            names = changed(before, snapshot(sim.state))
            assert not names, f"randomize changed {names} of the state; only later steps may differ."

    def test_randomize_ignores_rows_outside_the_mask(self) -> None:
        """Rows of environments outside the mask may hold anything, NaN included."""
        with self.simulator() as sim:
            before, values = dict(sim.physics), self._other_physics(sim)
            outside = ~mask_of(sim, VARIED)
            for value in values.values():
                value[outside] = float("nan")
            sim.randomize(mask_of(sim, VARIED), values)
            names = [name for name in values if not torch.equal(sim.physics[name][outside], before[name][outside])]
            assert not names, f"randomize used rows outside the mask for physics {names}."

    def test_reset_keeps_the_physics(self) -> None:
        """A reset keeps the physics that randomize has set."""
        with self.simulator() as sim, self.simulator() as other:
            values = self._other_physics(sim)
            targets = random_targets(sim, steps=10)
            sim.randomize(mask_of(sim, VARIED), values)
            put(sim)
            put(other)
            other.randomize(mask_of(other, VARIED), values)
            names = changed(play(sim, targets), play(other, targets))
            assert not names, (
                f"Physics set before a reset and the same set after it give different {names}: keep it in reset."
            )

    def test_physics_is_saved(self) -> None:
        """A new simulator that loads the state has its randomized physics and continues bit for bit."""
        with self.simulator() as sim, self.simulator() as fresh:
            values = self._other_physics(sim)
            sim.randomize(mask_of(sim, VARIED), values)
            rough_start(sim)
            fresh.load_state_dict(sim.state_dict())
            wrong = [name for name in values if not torch.equal(fresh.physics[name], sim.physics[name])]
            assert not wrong, (
                f"A new simulator that loaded the state has different physics {wrong}: save it in state_dict."
            )
            targets = random_targets(sim, steps=10)
            names = changed(play(sim, targets), play(fresh, targets))
            assert not names, f"A new simulator that loaded the state continued with different {names}."

    def test_an_earlier_state_has_the_earlier_physics(self) -> None:
        """Loading a state that was saved before randomize restores the physics of that time."""
        with self.simulator() as sim:
            values, before = self._other_physics(sim), dict(sim.physics)
            rough_start(sim)
            saved = sim.state_dict()
            targets = random_targets(sim, steps=10)
            expected = play(sim, targets)
            sim.randomize(mask_of(sim, VARIED), values)
            play(sim, targets)
            sim.load_state_dict(saved)
            wrong = [name for name in values if not torch.equal(sim.physics[name], before[name])]
            assert not wrong, f"Loading a state that was saved before randomize did not restore physics {wrong}."
            names = changed(expected, play(sim, targets))
            assert not names, (
                f"After loading a state that was saved before randomize, {names} differ from the original run."
            )

    def test_unknown_parameters_are_refused(self) -> None:
        """A name that physics does not have is a ValueError which lists those that it has; nothing has changed."""
        with self.simulator() as sim:
            values = {**{name: value * 2 for name, value in sim.physics.items()}, "colour": torch.ones(NUM_ENVS)}
            refusal = self._refusal(sim, values)
            assert refusal, "randomize accepted 'colour', which no simulator can vary."
            missing = [name for name in ("colour", *sim.physics) if name not in refusal]
            assert not missing, f"The error for the unknown parameter 'colour' does not name {missing}: {refusal}"

    def test_values_out_of_shape_are_refused(self) -> None:
        """Values of another shape are a ValueError that names the parameter; nothing has changed."""
        with self.simulator() as sim:
            for name, value in self._other_physics(sim).items():
                refusal = self._refusal(sim, {**sim.physics, name: value[:1]})
                assert name in refusal, f"randomize accepted {name!r} of shape {tuple(value[:1].shape)}: {refusal!r}."

    def test_masks_out_of_shape_are_refused(self) -> None:
        """A mask of shape (N, 1) is a ValueError; nothing has changed."""
        with self.simulator() as sim:
            refusal = self._refusal(sim, self._other_physics(sim), _everywhere(sim)[:, None])
            assert refusal, f"randomize accepted a mask of shape {(NUM_ENVS, 1)}."

    def test_values_out_of_range_are_refused(self) -> None:
        """On a CPU, NaN and physically impossible values are a ValueError that names the parameter."""
        with self.simulator() as sim:
            if sim.device.type != "cpu":
                raise SkipTest("Checking the range of values would make a GPU wait.")
            for name, value in self._other_physics(sim).items():
                for wrong in (float("nan"), *(() if name == "gravity" else (-1.0,))):
                    refusal = self._refusal(sim, {**sim.physics, name: torch.full_like(value, wrong)})
                    assert name in refusal, f"randomize accepted {wrong:g} for {name!r}."

    def _refusal(self, sim: Simulator, values: dict[str, Tensor], mask: Tensor | None = None) -> str:
        """The message of randomize's ValueError, empty if there is none; checks that nothing has changed."""
        before = dict(sim.physics)
        try:
            sim.randomize(_everywhere(sim) if mask is None else mask, values)
        except ValueError as error:
            names = [name for name in before if not torch.equal(before[name], sim.physics[name])]
            assert not names, f"randomize refused the values, but had already changed {names}. Check everything first."
            return str(error)
        return ""

    def _other_physics(self, sim: Simulator) -> dict[str, Tensor]:
        """All parameters increased by half; skips the check if nothing can be varied."""
        if not sim.physics:
            raise SkipTest("This simulator has the same physics in every environment.")
        return {name: value * 1.5 + (0.01 if name == "armature" else 0.0) for name, value in sim.physics.items()}


class PhysicsEffectClauses(SimulatorHarness):
    """What each parameter does. Environment ``VARIED`` has another value, the others have the scene's."""

    def test_object_mass_is_weight(self) -> None:
        """The contact force on a box at rest follows its mass."""
        with self._varied("object_mass", factor=2.0) as sim:
            self.settle(sim, dof_rows(sim))
            weights = torch.tensor([box.mass * GRAVITY for box in self.scene.objects], device=sim.device)
            expected = weights.repeat(NUM_ENVS, 1)
            expected[VARIED] *= 2
            error = worst(sim.state.object_contact_force[..., 2] / expected - 1)
            assert error < self.weight_tolerance, (
                f"The contact force on boxes of a different mass differs from their weight by {error:.0%}."
            )

    def test_gravity_makes_boxes_fall(self) -> None:
        """A released box falls along gravity by g t^2 / 2, whatever the environment's g."""
        with self._having("gravity") as sim:
            gravity = sim.physics["gravity"].clone()
            gravity[VARIED] = torch.tensor((1.0, -2.0, -3.0), device=sim.device)
            gravity[0] = 0.0
            sim.randomize(mask_of(sim, 0, VARIED), {"gravity": gravity})
            put(sim, pointing_down(sim, depth=-0.3), boxes_at(sim, height=0.5))
            start, steps = sim.state.object_pos.clone(), steps_in(sim, 0.2)
            for _ in range(steps):
                sim.step(pointing_down(sim, depth=-0.3))
            exact = gravity[:, None] * (steps * sim.control_dt) ** 2 / 2
            error = worst(sim.state.object_pos - start - exact) / worst(exact)
            assert error < self.fall_tolerance, (
                f"Under a different gravity, falling boxes are off their expected path by {error:.0%}."
            )

    def test_object_friction_holds_boxes(self) -> None:
        """On a slope, boxes of lower friction slide further."""
        self._check_slide("object_friction", low=0.05, high=0.6)

    def test_ground_friction_holds_boxes(self) -> None:
        """On a slope, boxes slide further over ground of lower friction."""
        self._check_slide("ground_friction", low=0.05, high=0.6)

    def _check_slide(self, name: str, low: float, high: float) -> None:
        """Let boxes slide for 0.2 s under a gravity that leans; the other surface has a friction of 0.3."""
        with self._having("object_friction", "ground_friction", "gravity") as sim:
            values = {each: torch.full_like(sim.physics[each], 0.3) for each in ("object_friction", "ground_friction")}
            values[name][:] = high
            values[name][VARIED] = low
            values["gravity"] = sim.physics["gravity"] + torch.tensor((8.0, 0.0, 0.0), device=sim.device)
            sim.randomize(_everywhere(sim), values)
            start = sim.state.object_pos.clone()
            for _ in range(steps_in(sim, 0.2)):
                sim.step(dof_rows(sim))
            slid = (sim.state.object_pos - start)[..., 0].amin(dim=1)
            assert slid[VARIED] > slid[0] + 0.01, (
                f"Boxes slid {float(slid[VARIED]):.3f} m with {name} {low} and {float(slid[0]):.3f} m with {high}."
            )

    def test_hand_friction_holds_boxes(self) -> None:
        """Slippery fingers cannot lift a slippery box that others lift."""
        with self._having("hand_friction", "object_friction") as sim:
            values = {name: sim.physics[name].clone() for name in ("hand_friction", "object_friction")}
            values["object_friction"][:] = 0.02
            values["hand_friction"][VARIED] = 0.01
            sim.randomize(_everywhere(sim), values)
            self.pick_up(sim)
            heights = sim.state.object_pos[:, self.scene.objects.index(SMALL_BOX), 2].tolist()
            assert heights[0] > 0.06, f"A box was pinched and lifted by 5 cm, but its centre is at {heights[0]:.3f} m."
            assert heights[VARIED] < 0.05, f"Slippery fingers lifted a slippery box to {heights[VARIED]:.3f} m."

    def test_hand_mass_loads_the_servos(self) -> None:
        """A heavier hand hangs lower under its targets."""
        with self._varied("hand_mass", factor=3.0) as sim:
            sag = self._sag(sim)
            assert sag[VARIED] > 2 * sag[0] > 0, (
                f"A hand three times as heavy hangs {sag[VARIED]:.2g} m under its target, the scene's {sag[0]:.2g} m."
            )

    def test_stiffness_carries_the_hand(self) -> None:
        """A hand on softer servos hangs lower under its targets."""
        with self._varied("stiffness", factor=1 / 3) as sim:
            sag = self._sag(sim)
            assert sag[VARIED] > 2 * sag[0] > 0, (
                f"On servos a third as stiff the hand hangs {sag[VARIED]:.2g} m under its target, else {sag[0]:.2g} m."
            )

    def _sag(self, sim: Simulator) -> list[float]:
        self.settle(sim, dof_rows(sim))
        return (-sim.state.dof_pos[:, 2]).tolist()

    def test_damping_slows_joints(self) -> None:
        """Joints with more damping of the servo start more slowly."""
        self._check_slower("damping", factor=3.0)

    def test_joint_damping_slows_joints(self) -> None:
        """Joints with more damping of their own start more slowly."""
        self._check_slower("joint_damping", factor=10.0)

    def test_armature_slows_joints(self) -> None:
        """Joints with heavier drives start more slowly."""
        self._check_slower("armature", factor=100.0)

    def _check_slower(self, name: str, factor: float) -> None:
        """Compare how far a slide and a hinge of the base have come after one step."""
        with self._varied(name, factor) as sim:
            joints = sim.dof_names[0], sim.dof_names[5]
            sim.step(dof_rows(sim, **dict.fromkeys(joints, 0.02)))
            for joint in joints:
                moved = sim.state.dof_pos[:, sim.dof_names.index(joint)].tolist()
                assert 0 < moved[VARIED] < 0.95 * moved[0], (
                    f"With {factor:g} times the {name}, {joint} moved by {moved[VARIED]:.2g}, else by {moved[0]:.2g}."
                )

    @contextmanager
    def _varied(self, name: str, factor: float) -> Iterator[Simulator]:
        """A simulator whose environment ``VARIED`` has ``factor`` times the parameter of the others."""
        with self._having(name) as sim:
            sim.randomize(mask_of(sim, VARIED), {name: sim.physics[name] * factor})
            yield sim

    @contextmanager
    def _having(self, *names: str) -> Iterator[Simulator]:
        """A simulator that can vary these parameters; skips the check where it cannot."""
        with self.simulator() as sim:
            if lacking := [name for name in names if name not in sim.physics]:
                raise SkipTest(f"This simulator does not vary {' and '.join(lacking)}.")
            yield sim


def _everywhere(sim: Simulator) -> Tensor:
    return mask_of(sim, *range(NUM_ENVS))


def _stated_shape(sim: Simulator, name: str) -> tuple[int, ...]:
    """The shape that ``PHYSICS`` states."""
    sizes = {"N": sim.num_envs, "D": len(sim.dof_names), "O": len(sim.scene.objects), "3": 3}
    axes = PHYSICS[name].split("Shape (")[1].rstrip(".)").split(",")
    return tuple(sizes[axis.strip()] for axis in axes if axis)
