"""A small model that truly learns, under a loss whose values are known beforehand."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dexhand.mock.dataset import STATE_SIZE, MockBatch
from dexhand.mock.tokenizer import DIRECTIONS, MockTokenizer

HIDDEN_SIZE = 128
HARD_FRACTION = 0.125
"""Part of the samples with a high loss."""
BASE_LOSSES = (0.5, 2.0)
HIGH_LOSSES = (3.0, 10.0)


class MockLoss:
    """The loss of each sample, from what the sample contains alone: easy ones 0.5 to 2.0, one in eight 3.0 to 10.0.

    The first joint decides: above 0.75 (of -1 to 1) the sample is hard. Where in its range the joint stands says how
    high the loss is.
    """

    def __call__(self, state: Tensor) -> Tensor:
        """Losses (B,) of samples with ``MockBatch.state`` (B, STATE_SIZE)."""
        place = (state[:, 0] + 1.0) / 2.0  # in [0, 1)
        easy = 1.0 - HARD_FRACTION
        base = _within(BASE_LOSSES, place / easy)
        high = _within(HIGH_LOSSES, (place - easy) / HARD_FRACTION)
        return torch.where(place < easy, base, high)


@dataclass(frozen=True)
class MockPredictions:
    """How good the predictions for a batch were; tensors of no dimension."""

    entropy: Tensor
    """Mean cross entropy of a word, nats."""
    accuracy: Tensor
    """Part of the words that were predicted right."""


class MockModel(nn.Module):
    """Predicts each word of a prompt from the word before it, the robot's state and the colour of the picture.

    Four arrays with a hidden size of 128. What it learns is real: ``compute_loss`` has the gradient of the cross
    entropy of its predictions, so an optimizer that works makes them better. What the loss amounts to is not:
    its value is ``MockLoss``'s, known beforehand and independent of the parameters, so that a test knows which samples
    are hard. Both hold in ``known + (entropy - entropy.detach())``, where the bracket is zero and has the gradient. It
    is NaN where the entropy is not finite: parameters that have diverged show.
    """

    def __init__(self, generator: torch.Generator) -> None:
        """Parameters are drawn from ``generator``, on the CPU."""
        super().__init__()
        size, vocabulary = HIDDEN_SIZE, MockTokenizer.vocabulary_size
        self.embedding = nn.Parameter(_drawn(vocabulary, size, generator))
        self.state_projection = nn.Parameter(_drawn(STATE_SIZE, size, generator))
        self.image_projection = nn.Parameter(_drawn(3, size, generator))
        self.head = nn.Parameter(_drawn(size, vocabulary, generator))
        self._loss = MockLoss()

    def compute_loss(self, batch: MockBatch, keep: Tensor | None = None) -> tuple[Tensor, MockPredictions]:
        """Loss of each sample (B,), with gradient, and what the predictions were worth.

        ``keep`` (B, PROMPT_LENGTH) is 0 where the word before is hidden from the model and 1 elsewhere.
        """
        context = self.context(batch.state) + batch.images.float().mean(dim=(1, 2)) / 255.0 @ self.image_projection
        words = self.embedding[batch.tokens] * (1.0 if keep is None else keep[..., None])
        logits = self.logits(context[:, None] + words[:, :-1])
        targets, mask = batch.tokens[:, 1:], batch.token_mask[:, 1:]
        entropy = functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
        per_sample = (entropy * mask).sum(dim=1) / mask.sum(dim=1)
        correct = (logits.argmax(dim=2) == targets) & mask
        known = self._loss(batch.state)
        predictions = MockPredictions(per_sample.detach().mean(), correct.sum() / mask.sum())
        return known + (per_sample - per_sample.detach()), predictions

    def context(self, state: Tensor) -> Tensor:
        """What the robot's state (B, STATE_SIZE) means to the model (B, HIDDEN_SIZE)."""
        context: Tensor = state @ self.state_projection
        return context

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores of all words (..., vocabulary) after a hidden state (..., HIDDEN_SIZE)."""
        scores: Tensor = torch.tanh(hidden) @ self.head
        return scores


class MockModelPolicy:
    """``Policy`` of a ``MockModel``: which way it would say to move, as numbers.

    Observations are robot states (N, STATE_SIZE): of longer ones it sees the beginning, shorter ones are filled with 0.
    The actions, one for each of ``tokenizer.DIRECTIONS`` in turn, are the hyperbolic tangents of the scores of that
    word after ``move``.
    """

    def __init__(self, weights: Mapping[str, Tensor], device: torch.device, num_actions: int = len(DIRECTIONS)) -> None:
        """``weights`` are copied."""
        self._model = MockModel(torch.Generator()).to(device)
        load_weights(self._model, weights)
        tokens = MockTokenizer().encode(" ".join(("move", *DIRECTIONS)))
        self._move = tokens[0]
        self._directions = [tokens[1 + number % len(DIRECTIONS)] for number in range(num_actions)]

    @torch.no_grad()
    def act(self, observations: Tensor) -> Tensor:
        """See ``Policy.act``."""
        model, state = self._model, observations[:, :STATE_SIZE]
        state = functional.pad(state, (0, STATE_SIZE - state.shape[1]))
        scores = model.logits(model.context(state) + model.embedding[self._move])
        actions: Tensor = torch.tanh(scores[:, self._directions])
        return actions

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Policy.load_state_dict``."""
        load_weights(self._model, state["model"])


def load_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy ``weights`` into ``model``: all of them, or ``ValueError`` and nothing has changed."""
    check_weights(model, weights)
    model.load_state_dict(weights)


def check_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Raises ``ValueError`` naming the first parameter that is missing, unknown or of another shape."""
    expected = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    for name in sorted({*expected, *weights}):
        if name not in weights:
            raise ValueError(f"the weights have no {name!r}; this model needs {', '.join(expected)}")
        if name not in expected:
            raise ValueError(f"the weights have {name!r}, which this model does not; it has {', '.join(expected)}")
        if tuple(weights[name].shape) != expected[name]:
            raise ValueError(f"{name!r} has shape {tuple(weights[name].shape)}; this model needs {expected[name]}")


def _drawn(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    return torch.randn(rows, columns, generator=generator) / math.sqrt(rows)


def _within(bounds: tuple[float, float], place: Tensor) -> Tensor:
    low, high = bounds
    return low + (high - low) * place
