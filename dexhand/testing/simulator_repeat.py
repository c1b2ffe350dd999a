"""Clauses about determinism, independence and saving."""

import torch

from dexhand.testing.scenes import random_targets
from dexhand.testing.simulator_harness import SimulatorHarness, changed, play, put, rough_start, snapshot


class RepeatClauses(SimulatorHarness):
    """Determinism and independence."""

    def test_same_targets_give_equal_bits(self) -> None:
        """Two simulators of the same scene agree in every bit after the same steps."""
        with self.simulator() as first, self.simulator() as second:
            targets = random_targets(first, steps=20)
            rough_start(first)
            expected = play(first, targets)
            rough_start(second)
            names = changed(expected, play(second, targets))
            assert not names, f"Two simulators took the same steps, but {names} differ."

    def test_environments_do_not_influence_each_other(self) -> None:
        """Different targets in one environment change no bit of the others."""
        with self.simulator() as sim:
            targets = random_targets(sim, steps=15)
            rough_start(sim)
            expected = play(sim, targets)
            targets[:, 2] = random_targets(sim, steps=15, seed=7)[:, 2]
            rough_start(sim)
            after = play(sim, targets)
            assert "dof_pos" in changed(expected, after, 2), (
                "Different targets in environment 2 made no difference there."
            )
            names = changed(expected, after, 0, 1, 3)
            assert not names, f"Different targets in environment 2 changed {names} of other environments."

    def test_simulators_do_not_influence_each_other(self) -> None:
        """A second simulator that steps in turn with the first changes no bit of it."""
        with self.simulator() as sim, self.simulator() as other:
            targets, others = random_targets(sim, steps=10), random_targets(sim, steps=10, seed=3)
            rough_start(sim)
            expected = play(sim, targets)
            rough_start(sim)
            for mine, theirs in zip(targets, others):
                sim.step(mine)
                other.step(theirs)
            names = changed(expected, snapshot(sim.state))
            assert not names, f"A second simulator changed {names} of the first."


class SavingClauses(SimulatorHarness):
    """``state_dict`` and ``load_state_dict``."""

    def test_state_dict_holds_tensors(self) -> None:
        """state_dict is a dictionary of tensors by name."""
        with self.simulator() as sim:
            saved = sim.state_dict()
            assert saved, "state_dict is empty."
            strange = [name for name, value in saved.items() if not isinstance(value, torch.Tensor)]
            assert not strange, f"state_dict must hold only tensors; {strange} are not."

    def test_resumed_steps_give_equal_bits(self) -> None:
        """After load_state_dict the same steps give the same bits, whatever the simulator did in between."""
        with self.simulator() as sim:
            rough_start(sim)
            saved = sim.state_dict()
            expected = play(sim, random_targets(sim, steps=15))
            sim.load_state_dict(saved)
            names = changed(expected, play(sim, random_targets(sim, steps=15)))
            assert not names, (
                f"After load_state_dict the same steps gave different {names}: does state_dict hold the whole state?"
            )

    def test_another_simulator_can_resume(self) -> None:
        """A new simulator of the same scene continues from state_dict with the same bits."""
        with self.simulator() as sim, self.simulator() as fresh:
            rough_start(sim)
            fresh.load_state_dict(sim.state_dict())
            targets = random_targets(sim, steps=15)
            names = changed(play(sim, targets), play(fresh, targets))
            assert not names, (
                f"A new simulator that loaded the state continued with different {names}: does state_dict hold the "
                "whole state?"
            )

    def test_load_state_dict_shows_the_saved_state(self) -> None:
        """Right after load_state_dict the state is the one that was saved."""
        with self.simulator() as sim:
            rough_start(sim)
            saved, expected = sim.state_dict(), snapshot(sim.state)
            put(sim)
            sim.load_state_dict(saved)
            names = changed(expected, snapshot(sim.state))
            assert not names, f"After load_state_dict {names} differ from the saved state."

    def test_state_dict_is_a_copy(self) -> None:
        """Later steps and resets do not change a saved state, before or after it is loaded."""
        with self.simulator() as sim:
            rough_start(sim)
            saved = sim.state_dict()
            copy = {name: tensor.clone() for name, tensor in saved.items()}
            for action in ("saving", "loading"):
                play(sim, random_targets(sim, steps=3))
                put(sim)
                touched = [name for name, tensor in saved.items() if not torch.equal(tensor, copy[name])]
                assert not touched, (
                    f"After {action}, later steps changed {', '.join(touched)} of the saved state: copy it."
                )
                sim.load_state_dict(saved)

    def test_saving_changes_nothing(self) -> None:
        """Taking a state_dict, and writing into it, changes no bit of the simulator."""
        with self.simulator() as sim, self.simulator() as unsaved:
            rough_start(sim)
            rough_start(unsaved)
            for tensor in sim.state_dict().values():
                tensor.zero_()
            targets = random_targets(sim, steps=5)
            names = changed(play(unsaved, targets), play(sim, targets))
            assert not names, f"Calling state_dict, or writing into it, changed {names} in later steps."
