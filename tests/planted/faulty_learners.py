"""Learners with one fault each, and the checks of the conformance suite that must find it."""

from collections.abc import Mapping
from typing import Any

import torch
from planted import Faults
from torch import Tensor

from dexhand.config.schema import NetworkConfig, PpoConfig
from dexhand.core.interfaces import Iteration
from dexhand.mock.env import MockEnv
from dexhand.rl.policy import RlGamesPolicy
from dexhand.rl.rl_games import RlGamesPpo

FAULTS = Faults()
found_by = FAULTS.found_by


class Learner(RlGamesPpo):
    """Sound: PPO on MockEnv."""

    learning_rate = 3e-3

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        ppo = PpoConfig(
            horizon_length=8, minibatch_size=64, mini_epochs=2, learning_rate=self.learning_rate, gamma=0.95
        )
        super().__init__(MockEnv(16, seed=seed), ppo, NetworkConfig(units=[16]), max_iterations=100, env_kind="mock")


# --- iterations -------------------------------------------------------------------------------------------------------


@found_by("a_new_learner_has_nothing_behind_it")
class CountsFromOne(Learner):
    @property
    def iterations_done(self) -> int:
        return super().iterations_done + 1


@found_by("iterations_and_frames_are_counted")
class CountsStepsForFrames(Learner):
    """Forgets how many environments there are, but in the property."""

    def iterate(self) -> Iteration:
        done = super().iterate()
        return Iteration(done.iterations_done, done.frames_done // self.env.num_envs, done.mean_return, done.metrics)


@found_by("iterations_and_frames_are_counted")
class FramesOfTheLastIteration(Learner):
    def iterate(self) -> Iteration:
        before = self._agent.frame
        super().iterate()
        self._agent.frame -= before
        return Iteration(self.iterations_done, self.frames_done, None)


@found_by("metrics_are_finite_numbers_with_names")
class TensorsForMetrics(Learner):
    def iterate(self) -> Iteration:
        done = super().iterate()
        metrics = {**done.metrics, "losses/actor": torch.tensor(0.5)}
        return Iteration(done.iterations_done, done.frames_done, done.mean_return, metrics)  # type: ignore[arg-type]


@found_by("metrics_are_finite_numbers_with_names")
class NotANumberForNoReturn(Learner):
    """Instead of None, before the first episode has finished."""

    def iterate(self) -> Iteration:
        done = super().iterate()
        mean_return = float("nan") if self.iterations_done == 1 else done.mean_return
        return Iteration(done.iterations_done, done.frames_done, mean_return, done.metrics)


@found_by("the_state_is_finite")
class InfiniteBound(Learner):
    """In its state, from the start."""

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "bounds": [torch.tensor([0.0, float("inf")])]}


@found_by("an_iteration_changes_the_policy")
class NeverUpdates(Learner):
    """Plays, and puts its weights back."""

    def iterate(self) -> Iteration:
        weights = {name: tensor.clone() for name, tensor in self._agent.model.state_dict().items()}
        done = super().iterate()
        self._agent.model.load_state_dict(weights)
        return done


@found_by("an_iteration_changes_the_policy")
class FirstPolicyForEver(Learner):
    """Weights move, what acts does not."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.first = super().policy()

    def policy(self) -> RlGamesPolicy:
        return self.first


@found_by("it_learns")
class LearnsTheOpposite(Learner):
    """The sign of the reward is wrong; what it reports is right."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        step = self._rollout_env.step

        def opposite(actions: Tensor) -> Any:
            observations, rewards, *rest = step(actions)
            return (observations, -rewards, *rest)

        self._rollout_env.step = opposite  # type: ignore[assignment, method-assign]

    def iterate(self) -> Iteration:
        done = super().iterate()
        mean_return = None if done.mean_return is None else -done.mean_return
        return Iteration(done.iterations_done, done.frames_done, mean_return, done.metrics)


@found_by("a_seed_determines_everything")
class DrawsItsOwnSeed(Learner):
    def __init__(self, seed: int) -> None:
        super().__init__(int(torch.Generator().seed()) % 2**31)


@found_by("a_seed_determines_everything")
class IgnoresItsSeed(Learner):
    def __init__(self, seed: int) -> None:
        super().__init__(0)


# --- policies ---------------------------------------------------------------------------------------------------------


@found_by("a_policy_stays_as_it_was")
class OnePolicyForAll(Learner):
    """A policy that later iterations and other weights change."""

    def policy(self) -> RlGamesPolicy:
        policy = super().policy()
        policy._network = self._agent.model
        return policy


@found_by("looking_changes_nothing")
class PolicyDraws(Learner):
    """From the random state that training draws from."""

    def policy(self) -> RlGamesPolicy:
        torch.randn(1)
        return super().policy()


# --- saving -----------------------------------------------------------------------------------------------------------


class Forgets(Learner):
    """Keeps what it has instead of loading something."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(self.without(state, super().state_dict()))

    def without(self, state: Mapping[str, Any], own: dict[str, Any]) -> dict[str, Any]:
        """What is loaded."""
        raise NotImplementedError


@found_by("a_saved_training_goes_on_bit_for_bit")
class ForgetsItsOptimizer(Forgets):
    def without(self, state: Mapping[str, Any], own: dict[str, Any]) -> dict[str, Any]:
        return {**state, "optimizer": own["optimizer"]}


@found_by("a_saved_training_goes_on_bit_for_bit")
class ForgetsItsLuck(Forgets):
    def without(self, state: Mapping[str, Any], own: dict[str, Any]) -> dict[str, Any]:
        return {**state, "dexhand": {**state["dexhand"], "random": own["dexhand"]["random"]}}


@found_by("a_saved_training_goes_on_bit_for_bit")
class ForgetsItsEpisodes(Forgets):
    def without(self, state: Mapping[str, Any], own: dict[str, Any]) -> dict[str, Any]:
        return {**state, "dexhand": {**state["dexhand"], "env": own["dexhand"]["env"]}}


@found_by("a_loaded_learner_counts_on")
class CountsAnew(Learner):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._agent.frame = 0


@found_by("a_given_state_stays_as_it_was")
class TakesTheOptimizersTensors(Learner):
    """As torch's optimizers do."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._agent.optimizer.load_state_dict(state["optimizer"])


@found_by("a_state_that_does_not_fit_changes_nothing")
class CountsBeforeItChecks(Learner):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._agent.frame = state["frame"] + 1
        super().load_state_dict(state)


@found_by("a_state_that_does_not_fit_changes_nothing")
class LoadsWhatFits(Learner):
    """Without a word."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        own = self._agent.model.state_dict()
        given = state["model"]
        fitting = {
            name: given[name] if name in given and given[name].shape == tensor.shape else tensor
            for name, tensor in own.items()
        }
        super().load_state_dict({**state, "model": fitting})


@found_by("a_state_that_does_not_fit_changes_nothing")
class SaysNoName(Learner):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        try:
            super().load_state_dict(state)
        except ValueError:
            raise ValueError("checkpoint mismatch") from None


class Renames(Learner):
    """Something in its state has another name or value."""

    def state_dict(self) -> dict[str, Any]:
        return self.renamed(super().state_dict())

    def renamed(self, state: dict[str, Any]) -> dict[str, Any]:
        """What is saved."""
        raise NotImplementedError


@found_by("the_state_has_the_keys_that_others_read")
class SavesOneIterationLess(Renames):
    def renamed(self, state: dict[str, Any]) -> dict[str, Any]:
        return {**state, "epoch": state["epoch"] - 1}


@found_by("the_state_has_the_keys_that_others_read")
class NamesItsWeightsPolicy(Renames):
    def renamed(self, state: dict[str, Any]) -> dict[str, Any]:
        state["policy"] = state.pop("model")
        return state


@found_by("the_state_has_the_keys_that_others_read")
class TakesTheLoopsPlace(Renames):
    def renamed(self, state: dict[str, Any]) -> dict[str, Any]:
        return {**state, "train_loop": {}}


@found_by("a_saved_state_makes_the_same_policy")
class NoPolicyOfItsStates(Learner):
    policy_from_state = None  # type: ignore[assignment]


@found_by("a_saved_state_makes_the_same_policy")
class PolicyWithoutItsWeights(Learner):
    """Of the right sizes, with weights of 0."""

    @staticmethod
    def policy_from_state(state: Mapping[str, Any], **sizes: Any) -> RlGamesPolicy:
        fresh = {name: torch.zeros_like(tensor) for name, tensor in state["model"].items()}
        return Learner.policy_from_state({**state, "model": fresh}, **sizes)


@found_by("a_saved_state_makes_the_same_policy")
class PolicyOfAStateDraws(Learner):
    @staticmethod
    def policy_from_state(state: Mapping[str, Any], **sizes: Any) -> RlGamesPolicy:
        torch.randn(1)
        return Learner.policy_from_state(state, **sizes)


@found_by("weights_begin_a_new_training")
class TakesTheBeginningOnly(Learner):
    """All tensors but the last."""

    def load_weights(self, state: Mapping[str, Any]) -> None:
        *_, last = state["model"]
        own = self._agent.model.state_dict()[last]
        super().load_weights({**state, "model": {**state["model"], last: own}})


@found_by("weights_begin_a_new_training")
class WeightsCountAsAnIteration(Learner):
    def load_weights(self, state: Mapping[str, Any]) -> None:
        super().load_weights(state)
        self._agent.epoch_num += 1


@found_by("weights_that_do_not_fit_change_nothing")
class LoadsAndThenChecks(Learner):
    def load_weights(self, state: Mapping[str, Any]) -> None:
        own = self._agent.model.state_dict()
        for name, tensor in state["model"].items():
            if name in own and own[name].shape == tensor.shape:
                own[name].copy_(tensor)
        super().load_weights(state)
