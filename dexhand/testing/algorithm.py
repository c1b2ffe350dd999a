"""Conformance suite for ``Algorithm``: subclass it and define how to make a small learner.

    class TestMyLearner(AlgorithmConformance):
        def make_algorithm(self, seed):
            return MyLearner(MockEnv(16, seed=seed), seed=seed)

Every check makes its own learners and runs a few iterations, so an iteration should take milliseconds.
"""

import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dexhand.checkpoints.store import load_checkpoint, save_checkpoint
from dexhand.core.finite import non_finite_place
from dexhand.core.interfaces import Algorithm
from dexhand.testing.mismatched_weights import demand_refusal, mismatched_weights
from dexhand.testing.random_states import random_states, random_states_put_back, reseed
from dexhand.testing.tree import copied, places_that_differ


class AlgorithmHarness:
    """The factory that a subclass defines, and settings that it may change."""

    num_observations: int
    """Number F of policy observations."""
    networks: tuple[str, ...] = ("model",)
    """Keys of the state that ``load_weights`` loads: the weights of the policy and of other networks."""
    iterations_to_learn = 40
    """Number of iterations within which the mean return rises."""

    def make_algorithm(self, seed: int) -> Algorithm:
        """Make a small, untrained learner; all its random numbers follow from ``seed``.

        It may use torch's global random state, which the suite has seeded. The suite closes it.
        """
        raise NotImplementedError("A conformance suite needs make_algorithm(seed)")

    @contextmanager
    def algorithm(self, seed: int = 0, iterations: int = 0) -> Iterator[Algorithm]:
        """A learner after some iterations; global random states are restored at the end."""
        with random_states_put_back():
            reseed(seed)
            algorithm = self.make_algorithm(seed)
            try:
                for _ in range(iterations):
                    algorithm.iterate()
                yield algorithm
            finally:
                algorithm.close()

    def trained(self, seed: int = 0, iterations: int = 2) -> dict[str, Any]:
        """A copy of the state of a learner after some iterations."""
        with self.algorithm(seed, iterations) as algorithm:
            state: dict[str, Any] = copied(algorithm.state_dict())
            return state

    def observations(self) -> Tensor:
        """Random observations, the same every time. Shape (16, F)."""
        return torch.randn(16, self.num_observations, generator=torch.Generator().manual_seed(0))


class IterationClauses(AlgorithmHarness):
    """``iterate`` and the counters."""

    def test_a_new_learner_has_nothing_behind_it(self) -> None:
        """Both counters are 0."""
        with self.algorithm() as algorithm:
            counts = (algorithm.iterations_done, algorithm.frames_done)
            assert counts == (0, 0), f"A new learner has (iterations_done, frames_done) = {counts}, not (0, 0)."

    def test_iterations_and_frames_are_counted(self) -> None:
        """Each iteration adds one, and the same number of frames; ``Iteration`` agrees with the properties."""
        with self.algorithm() as algorithm:
            done = [algorithm.iterate() for _ in range(3)]
            counts = [each.iterations_done for each in done]
            assert counts == [1, 2, 3], (
                f"After one, two and three iterations iterations_done is {counts}, not [1, 2, 3]."
            )
            frames = [each.frames_done for each in done]
            assert frames[0] > 0, f"After an iteration frames_done is {frames[0]}; it must be positive."
            assert frames == [frames[0], 2 * frames[0], 3 * frames[0]], (
                f"frames_done is {frames} after one, two and three iterations: each must add the same number of frames."
            )
            told = (algorithm.iterations_done, algorithm.frames_done)
            assert told == (3, frames[2]), (
                f"The properties (iterations_done, frames_done) are {told}, the last Iteration has {(3, frames[2])}."
            )

    def test_metrics_are_finite_numbers_with_names(self) -> None:
        """The mean return is finite too, unless it is ``None``."""
        with self.algorithm() as algorithm:
            for iteration in (algorithm.iterate(), algorithm.iterate()):
                values = {**iteration.metrics, "mean_return": iteration.mean_return}
                for name, value in values.items():
                    assert isinstance(name, str), f"The name of the metric {name!r} must be a str."
                    if name != "mean_return" or value is not None:
                        assert isinstance(value, (int, float)), f"{name} must be a float, not {value!r}."
                        assert math.isfinite(value), (
                            f"{name} is {value} in iteration {iteration.iterations_done}; it must be finite."
                        )

    def test_an_iteration_changes_the_policy(self) -> None:
        """Its weights change, and so do its actions."""
        with self.algorithm() as algorithm:
            before, weights = algorithm.policy().act(self.observations()), copied(algorithm.state_dict()["model"])
            algorithm.iterate()
            assert places_that_differ(weights, algorithm.state_dict()["model"]), (
                "An iteration changed no weight in state_dict()['model']."
            )
            after = algorithm.policy().act(self.observations())
            assert not torch.equal(before, after), (
                "An iteration changed the weights, but policy() acts as before: does it use the current weights?"
            )

    def test_it_learns(self) -> None:
        """Within ``iterations_to_learn`` the mean return is higher in the last third than in the first."""
        with self.algorithm() as algorithm:
            iterations = [algorithm.iterate() for _ in range(self.iterations_to_learn)]
        returns = [each.mean_return for each in iterations if each.mean_return is not None]
        third = len(returns) // 3
        assert third, (
            f"Only {len(returns)} of {self.iterations_to_learn} iterations have a mean_return, but 3 are needed. "
            "Use shorter episodes or raise iterations_to_learn of the suite."
        )
        first, last = sum(returns[:third]) / third, sum(returns[-third:]) / third
        assert last > first, (
            f"Over {len(returns)} iterations the mean return was {first:g} in the first third and {last:g} in the "
            "last: the learner did not improve. If it only learns slowly, raise iterations_to_learn of the suite."
        )

    def test_a_seed_determines_everything(self) -> None:
        """The same seed gives the same learner bit for bit, and another seed a different one."""
        first, again, other = self.trained(seed=1), self.trained(seed=1), self.trained(seed=2)
        different = places_that_differ(first["model"], again["model"])
        assert not different, f"Two learners made with one seed differ after two iterations, at {different[:3]}."
        assert places_that_differ(first["model"], other["model"]), "Two seeds gave the same network."


class PolicyClauses(AlgorithmHarness):
    """``policy``."""

    def test_a_policy_stays_as_it_was(self) -> None:
        """Later iterations, and other weights that the learner takes, do not change it."""
        other = self.trained(iterations=4)
        with self.algorithm(iterations=1) as algorithm:
            policy = algorithm.policy()
            before = policy.act(self.observations())
            algorithm.iterate()
            assert torch.equal(policy.act(self.observations()), before), (
                "A later iteration changed a policy made before."
            )
            algorithm.load_state_dict(other)
            assert torch.equal(policy.act(self.observations()), before), "load_state_dict changed a policy made before."

    def test_looking_changes_nothing(self) -> None:
        """Reading the policy, the state and the counters between iterations does not change the training."""
        expected = self.trained(iterations=3)
        with self.algorithm() as algorithm:
            for _ in range(3):
                algorithm.policy().act(self.observations())
                copied(algorithm.state_dict())
                algorithm.iterate()
            different = places_that_differ(expected["model"], algorithm.state_dict()["model"])
        assert not different, f"policy() or state_dict() between iterations changed the training, at {different[:3]}."


class SavingClauses(AlgorithmHarness):
    """``state_dict``, ``load_state_dict`` and ``load_weights``."""

    def test_a_saved_training_goes_on_bit_for_bit(self) -> None:
        """A checkpoint file continues it in a new learner, and in one that has since trained further."""
        expected = self.trained(iterations=4)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "half.pth"
            with self.algorithm(iterations=2) as algorithm:
                save_checkpoint(path, algorithm.state_dict())
            for behind_it in (0, 3):
                with self.algorithm(iterations=behind_it) as algorithm:
                    algorithm.load_state_dict(load_checkpoint(path))
                    algorithm.iterate()
                    algorithm.iterate()
                    different = places_that_differ(expected["model"], algorithm.state_dict()["model"])
                assert not different, (
                    f"Two iterations, a checkpoint and two more must equal four iterations, but {different[:3]} "
                    "differ. Does state_dict hold the optimizer, the learning rate, statistics, random states and "
                    "the unfinished episodes?"
                )

    def test_a_loaded_learner_counts_on(self) -> None:
        """Its iterations and frames are those of the saved training."""
        with self.algorithm(iterations=2) as algorithm:
            counts = (algorithm.iterations_done, algorithm.frames_done)
            state = copied(algorithm.state_dict())
        with self.algorithm() as algorithm:
            algorithm.load_state_dict(state)
            loaded = (algorithm.iterations_done, algorithm.frames_done)
            assert loaded == counts, (
                f"(iterations_done, frames_done) was {counts} when saved and is {loaded} when loaded."
            )
            assert algorithm.iterate().iterations_done == counts[0] + 1, (
                "The iteration after load_state_dict must add one to the loaded iterations_done."
            )

    def test_a_given_state_stays_as_it_was(self) -> None:
        """Iterations after load_state_dict do not change the state that was given."""
        state = self.trained()
        kept = copied(state)
        with self.algorithm() as algorithm:
            algorithm.load_state_dict(state)
            algorithm.iterate()
        different = places_that_differ(kept, state)
        assert not different, (
            f"Training after load_state_dict changed {different[:3]} of the state that was given: copy its tensors."
        )

    def test_a_state_that_does_not_fit_changes_nothing(self) -> None:
        """A tensor missing, one too many or of another shape or kind is a ValueError that names it; nothing changes."""
        state = self.trained(iterations=3)
        for what, model, name in mismatched_weights(state["model"]):
            with self.algorithm(iterations=1) as algorithm:
                self._refuses(algorithm, "load_state_dict", {**state, "model": model}, what, name)

    def test_the_state_has_the_keys_that_others_read(self) -> None:
        """``model`` holds the weights by name, ``epoch`` the iterations done; ``train_loop`` is the loop's."""
        state = self.trained(iterations=2)
        weights = state.get("model")
        assert isinstance(weights, dict), f"state_dict()['model'] must hold the weights by name, not {weights!r}."
        odd = [name for name, value in weights.items() if not isinstance(value, Tensor)]
        assert not odd, f"state_dict()['model'] must hold only tensors; {odd[:3]} are not."
        assert state.get("epoch") == 2, f"After two iterations state_dict()['epoch'] is {state.get('epoch')!r}, not 2."
        assert "train_loop" not in state, (
            "state_dict() has the key 'train_loop', which is reserved for the state of TrainLoop. Rename it."
        )

    def test_the_state_is_finite(self) -> None:
        """But for what lies under ``env``."""
        place = non_finite_place(self.trained())
        assert place is None, (
            f"{place} of the state is not finite, which ends a training as diverged. Keep what may be infinite under "
            "the key 'env', or as plain floats."
        )

    def test_a_saved_state_makes_the_same_policy(self) -> None:
        """policy_from_state gives the policy of policy(), and does not change global random states."""
        with self.algorithm(iterations=2) as algorithm:
            policy, state, kind = algorithm.policy(), copied(algorithm.state_dict()), type(algorithm)
        maker = getattr(kind, "policy_from_state", None)
        assert maker is not None, f"{kind.__name__} lacks policy_from_state, which plays its checkpoints."
        expected = policy.act(self.observations())
        sizes = {"num_observations": self.num_observations, "num_actions": expected.shape[1]}
        with random_states_put_back():
            before = random_states()
            actions = maker(state, device=torch.device("cpu"), **sizes).act(self.observations())
            changed = places_that_differ(before, random_states())
        assert torch.equal(actions, expected), (
            "policy_from_state(state_dict()) gives a policy that acts differently from policy()."
        )
        assert not changed, f"policy_from_state changed the global random state at {changed[0]}."

    def test_weights_begin_a_new_training(self) -> None:
        """load_weights loads only the networks; counters and everything else stay those of a new learner."""
        state = self.trained()
        with self.algorithm(seed=9) as algorithm:
            fresh = copied(algorithm.state_dict())
            algorithm.load_weights(state)
            loaded = copied(algorithm.state_dict())
        for key in self.networks:
            different = places_that_differ(state[key], loaded.pop(key))
            assert not different, f"load_weights did not load {different[:3]} of {key!r}."
            fresh.pop(key)
        different = places_that_differ(fresh, loaded)
        assert not different, f"load_weights must change only {self.networks}, but changed {different[:3]}."

    def test_weights_that_do_not_fit_change_nothing(self) -> None:
        """load_weights refuses them like load_state_dict does: a ValueError that names the tensor."""
        state = self.trained(iterations=3)
        for what, model, name in mismatched_weights(state["model"]):
            with self.algorithm(iterations=1) as algorithm:
                self._refuses(algorithm, "load_weights", {**state, "model": model}, what, name)

    def _refuses(self, algorithm: Algorithm, method: str, given: Mapping[str, Any], what: str, name: str) -> None:
        before = copied(algorithm.state_dict())
        demand_refusal(lambda: getattr(algorithm, method)(given), f"{method} with {what}", name)
        different = places_that_differ(before, algorithm.state_dict())
        assert not different, (
            f"{method} refused {what}, but had already changed {different[:3]}. Check everything before loading."
        )


class AlgorithmConformance(SavingClauses, PolicyClauses, IterationClauses):
    """Every clause of ``Algorithm``. pytest runs those of the last class first."""
