"""A small model that really learns, with a loss whose values are known in advance."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dexhand.core.weights import check_weights
from dexhand.mock.dataset import STATE_SIZE, MockBatch
from dexhand.mock.tokenizer import DIRECTIONS, MockTokenizer

HIDDEN_SIZE = 128
HARD_FRACTION = 0.125
"""Fraction of samples with a high loss."""
BASE_LOSSES = (0.5, 2.0)
HIGH_LOSSES = (3.0, 10.0)


class MockLoss:
    """The loss of a sample as a function of its content: 0.5 to 2.0, for one sample in eight 3.0 to 10.0.

    The sample is hard if its first joint, in [-1, 1), is above 0.75. Within either range the loss grows linearly with
    the joint position.
    """

    def __call__(self, state: Tensor) -> Tensor:
        """Compute losses (B,) for ``MockBatch.state`` (B, STATE_SIZE)."""
        place = (state[:, 0] + 1.0) / 2.0  # in [0, 1)
        easy = 1.0 - HARD_FRACTION
        base = _within(BASE_LOSSES, place / easy)
        high = _within(HIGH_LOSSES, (place - easy) / HARD_FRACTION)
        return torch.where(place < easy, base, high)


@dataclass(frozen=True)
class MockPredictions:
    """Quality of the predictions for a batch, as zero-dimensional tensors."""

    entropy: Tensor
    """Mean cross entropy per word, nats."""
    accuracy: Tensor
    """Fraction of words predicted correctly."""


class MockModel(nn.Module):
    """Predicts each word of a prompt from the word before it, the robot's state and the colour of the picture.

    It has four parameter tensors with a hidden size of 128. Learning is real: ``compute_loss`` has the gradient of the
    predictions' cross entropy, so a working optimizer improves them. The loss value is not: it comes from ``MockLoss``,
    known in advance and independent of the parameters, so that tests know which samples are hard. The expression
    ``known + (entropy - entropy.detach())`` combines both: its bracket is zero but has the gradient. The bracket is NaN
    if the entropy is not finite, which reveals diverged parameters.
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
        """Compute the loss of each sample (B,), with gradient, and the quality of the predictions.

        ``keep`` (B, PROMPT_LENGTH) is 0 for words hidden from the model and 1 for all others.
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
        """Embed robot states (B, STATE_SIZE) as (B, HIDDEN_SIZE)."""
        context: Tensor = state @ self.state_projection
        return context

    def logits(self, hidden: Tensor) -> Tensor:
        """Compute scores of all words (..., vocabulary) from a hidden state (..., HIDDEN_SIZE)."""
        scores: Tensor = torch.tanh(hidden) @ self.head
        return scores


class MockModelPolicy:
    """``Policy`` of a ``MockModel``.

    Observations are robot states, truncated or zero-padded to (N, STATE_SIZE). Actions are the hyperbolic tangents of
    the scores of the words ``tokenizer.DIRECTIONS``, repeated cyclically, after the word ``move``.
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
    """Copy ``weights`` into ``model``. Raises ``ValueError``, changing nothing, if they do not fit."""
    check_weights(dict(model.named_parameters()), weights)
    model.load_state_dict(weights)


def _drawn(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    return torch.randn(rows, columns, generator=generator) / math.sqrt(rows)


def _within(bounds: tuple[float, float], place: Tensor) -> Tensor:
    low, high = bounds
    return low + (high - low) * place
