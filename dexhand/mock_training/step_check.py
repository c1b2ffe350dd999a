"""One optimizer step, computed from a checkpoint by formula and compared with the training's."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dexhand.checkpoints.store import CheckpointError, load_checkpoint
from dexhand.mock.algorithm import HIDDEN_FRACTION, LARGEST_GRAD_NORM, WEIGHT_DECAY, learning_rate
from dexhand.mock.dataset import PROMPT_LENGTH, MockDataset
from dexhand.mock.model import MockModel, load_weights
from dexhand.mock_training.problems import Problems

_TOLERANCE = 1e-4
_BETAS = (0.9, 0.999)
_EPSILON = 1e-8


def check_step(
    checkpoint: Path,
    rows: Mapping[int, Mapping[str, float]],
    dataset: MockDataset,
    batch_size: int,
    problems: Problems,
) -> None:
    """Compute the step after ``checkpoint`` and compare its norms with ``rows``, which has steps done as keys.

    AdamW as in Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2.
    """
    try:
        state = load_checkpoint(checkpoint)
        row = rows[state["epoch"] + 1]
        gradients = _gradients(state, dataset, batch_size)
        after = _after_step(state, gradients)
    except (CheckpointError, LookupError, ValueError) as error:
        problems.add("optimizer step", f"the step after {checkpoint} cannot be computed: {error!r}")
        return
    for name, found, known in (
        ("grad_norm", row["info/grad_norm"], _norm(gradients)),
        ("param_norm", row["info/param_norm"], _norm(after)),
    ):
        problems.expect(
            math.isclose(found, known, rel_tol=_TOLERANCE),
            "optimizer step",
            f"the step after {checkpoint.name} has {name}={found:.6f}; by the formula it is {known:.6f}",
        )


def _gradients(state: Mapping[str, Any], dataset: MockDataset, batch_size: int) -> dict[str, Tensor]:
    """Gradients of the mean loss of the next batch."""
    model = MockModel(torch.Generator())
    load_weights(model, state["model"])
    generator = torch.Generator()
    generator.set_state(state["random"])
    keep = (torch.rand(batch_size, PROMPT_LENGTH, generator=generator) >= HIDDEN_FRACTION).float()
    losses, _ = model.compute_loss(dataset.batch(state["position"], batch_size), keep)
    names, parameters = zip(*model.named_parameters())
    return dict(zip(names, torch.autograd.grad(losses.mean(), parameters)))


def _after_step(state: Mapping[str, Any], gradients: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parameters after one step along the clipped gradients."""
    done = state["epoch"]
    rate, (beta1, beta2) = learning_rate(done), _BETAS
    clip = min(1.0, LARGEST_GRAD_NORM / (_norm(gradients) + 1e-6))
    after = {}
    for number, (name, gradient) in enumerate(gradients.items()):
        moments, clipped = state["optimizer"]["state"][number], gradient * clip
        mean = beta1 * moments["exp_avg"] + (1 - beta1) * clipped
        square = beta2 * moments["exp_avg_sq"] + (1 - beta2) * clipped**2
        step = mean / (1 - beta1 ** (done + 1)) / ((square / (1 - beta2 ** (done + 1))).sqrt() + _EPSILON)
        after[name] = state["model"][name] * (1 - rate * WEIGHT_DECAY) - rate * step
    return after


def _norm(tensors: Mapping[str, Tensor]) -> float:
    return math.sqrt(sum(float((tensor.double() ** 2).sum()) for tensor in tensors.values()))
