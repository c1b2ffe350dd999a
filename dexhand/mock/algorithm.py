"""``Algorithm`` on fake data, with a real optimizer, gradients and hard examples, in milliseconds per iteration."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dexhand.core.interfaces import Iteration, Metrics
from dexhand.core.weights import check_weights
from dexhand.distributed.process_group import ProcessGroup
from dexhand.distributed.sharding import shard, shard_like, whole
from dexhand.hard_examples.reports import HardExampleReport, Plain, merge_reports
from dexhand.hard_examples.tracker import HardExampleTracker
from dexhand.mock.dataset import PROMPT_LENGTH, MockBatch, MockDataset
from dexhand.mock.model import MockModel, MockModelPolicy

LEARNING_RATE = 0.01
WARM_UP_STEPS = 10
WEIGHT_DECAY = 0.01
LARGEST_GRAD_NORM = 1.0
HIDDEN_FRACTION = 0.1
"""Fraction of words randomly hidden from the model, so that training depends on random numbers."""


def learning_rate(step: int) -> float:
    """Return the learning rate of ``step``, counted from 0: linear for ``WARM_UP_STEPS``, then constant."""
    return LEARNING_RATE * min(1.0, (step + 1) / WARM_UP_STEPS)


class MockAlgorithm:
    """One iteration is one step of AdamW on one batch of a ``MockDataset``.

    Several processes divide each batch among themselves and take the same step, either with complete models, averaging
    gradients, or with ``sharded`` ones. The mean return is minus the loss; each sample counts as an environment step.
    """

    def __init__(
        self,
        dataset: MockDataset | None = None,
        *,
        batch_size: int = 16,
        seed: int = 0,
        tracker: HardExampleTracker | None = None,
        report_interval: int = 50,
        on_report: Callable[[HardExampleReport], None] = lambda report: None,
        group: ProcessGroup | None = None,
        sharded: bool = False,
    ) -> None:
        """``batch_size`` is the total over all processes; ``on_report`` is called in process 0.

        Reports are made after every step whose number, counted from 0, is a multiple of ``report_interval``, except
        step 0, and at the end. Raises ``ValueError`` for invalid arguments.
        """
        self.group = group or ProcessGroup(torch.device("cpu"))
        if batch_size < 1 or batch_size % self.group.size:
            raise ValueError(f"batch_size={batch_size} must be a positive multiple of {self.group.size} processes")
        if report_interval < 1:
            raise ValueError(f"report_interval={report_interval} must be at least 1")
        self.dataset = dataset or MockDataset()
        self.batch_size = batch_size
        self.seed = seed
        self.tracker = tracker
        self.report_interval = report_interval
        self.on_report = on_report
        self.sharded = sharded
        self._generator = torch.Generator().manual_seed(seed)
        self.model = MockModel(self._generator).to(self.group.device)
        if sharded:
            shard(self.model, "compute_loss", self.group.device, self.group.size)
        self._parameters = list(self.model.parameters())
        self.optimizer = torch.optim.AdamW(self._parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: learning_rate(step) / LEARNING_RATE
        )
        self._iterations_done = 0
        self._position = 0

    @property
    def iterations_done(self) -> int:
        """See ``Algorithm``."""
        return self._iterations_done

    @property
    def frames_done(self) -> int:
        """See ``Algorithm``; counts samples."""
        return self._position

    def iterate(self) -> Iteration:
        """See ``Algorithm.iterate``."""
        step = self._iterations_done
        batch, keep = self._next_batch()
        self.optimizer.zero_grad()
        losses, predictions = self.model.compute_loss(batch, keep)
        torch.autograd.backward(losses.mean())
        if not self.sharded:
            self.group.average(self._gradients())
        grad_norm = torch.nn.utils.clip_grad_norm_(self._parameters, LARGEST_GRAD_NORM)
        clipped = _norm(self._gradients())
        rate = self.optimizer.param_groups[0]["lr"]
        self.optimizer.step()
        self.schedule.step()
        self._iterations_done += 1
        means = torch.stack((losses.detach().mean(), predictions.entropy, predictions.accuracy))
        self.group.average([means])
        loss, entropy, accuracy = means.tolist()
        metrics = {
            "losses/loss": loss,
            "losses/max_per_sample": float(self.group.largest(losses.detach().max())),
            "losses/token_entropy": entropy,
            "info/token_accuracy": accuracy,
            "info/grad_norm": float(whole(grad_norm)),
            "info/clipped_grad_norm": clipped,
            "info/param_norm": _norm(self._parameters),
            "info/learning_rate": float(rate),
            **self._track(step, batch, losses.detach()),
        }
        return Iteration(self._iterations_done, self._position, -loss, metrics)

    def _gradients(self) -> list[Tensor]:
        return [parameter.grad for parameter in self._parameters if parameter.grad is not None]

    def _next_batch(self) -> tuple[MockBatch, Tensor]:
        """Return this process's part of the next batch, and ``keep`` of ``MockModel.compute_loss``."""
        share = self.batch_size // self.group.size
        first = share * self.group.rank
        # every process draws for all, so that the numbers do not depend on the number of processes
        keep = (torch.rand(self.batch_size, PROMPT_LENGTH, generator=self._generator) >= HIDDEN_FRACTION).float()
        batch = self.dataset.batch(self._position + first, share)
        self._position += self.batch_size
        device = self.group.device
        moved = {name: getattr(batch, name).to(device) for name in ("images", "tokens", "token_mask", "state")}
        return MockBatch(keys=batch.keys, **moved), keep[first : first + share].to(device)

    def _track(self, step: int, batch: MockBatch, losses: Tensor) -> Metrics:
        """Pass the losses to the tracker; returns the scalars of a report if one is due."""
        if self.tracker is None:
            return {}

        def details(place: int) -> Mapping[str, Plain]:
            return {"lang_action": self.dataset.tokenizer.decode(batch.tokens[place].tolist())}

        self.tracker.update(step, batch.keys, losses, batch.images.__getitem__, details)
        return {} if step == 0 or step % self.report_interval else self._report(self.tracker, step)

    def _report(self, tracker: HardExampleTracker, step: int) -> Metrics:
        """Gather the reports of all processes; process 0 merges them and calls ``on_report``."""
        reports = self.group.gather(tracker.report(step))
        if not self.group.is_leader:
            return {}
        report = merge_reports(reports, tracker.report_size)
        self.on_report(report)
        return report.scalars()

    def state_dict(self) -> dict[str, Any]:
        """See ``Algorithm.state_dict``; independent of the number of processes and of sharding."""
        return {
            "mock_training": self._identity(),
            "epoch": self._iterations_done,
            "position": self._position,
            "model": self._weights(),
            "optimizer": whole(self.optimizer.state_dict()),
            "schedule": self.schedule.state_dict(),
            "random": self._generator.get_state(),
            "hard_examples": [] if self.tracker is None else self.group.gather(self.tracker.state_dict()),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Algorithm.load_state_dict``; the number of processes may differ from before."""
        self._check(state)
        self._load_weights(state["model"])
        self._load_optimizer(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self._generator.set_state(state["random"].cpu())
        self._iterations_done = state["epoch"]
        self._position = state["position"]
        if self.tracker is not None:
            self.tracker.load_state_dict(*state["hard_examples"][self.group.rank :: self.group.size])

    def load_weights(self, state: Mapping[str, Any]) -> None:
        """See ``Algorithm.load_weights``."""
        check_weights(dict(self.model.named_parameters()), state["model"])
        self._load_weights(state["model"])

    def policy(self) -> MockModelPolicy:
        """See ``Algorithm.policy``."""
        return MockModelPolicy(self._weights(), self.group.device)

    @staticmethod
    def policy_from_state(
        state: Mapping[str, Any], *, num_observations: int, num_actions: int, device: torch.device
    ) -> MockModelPolicy:
        """See ``AlgorithmClass.policy_from_state``; it fits any environment."""
        return MockModelPolicy(state["model"], device, num_actions)

    def close(self) -> None:
        """See ``Algorithm.close``; reports the hard examples that have not been reported yet."""
        if self.tracker is not None and self.tracker.unreported_samples:
            self._report(self.tracker, self._iterations_done - 1)

    def _identity(self) -> dict[str, int]:
        """Return the settings that must be equal in a resumed training."""
        return {"seed": self.seed, "batch_size": self.batch_size, "dataset_size": self.dataset.size}

    def _weights(self) -> dict[str, Tensor]:
        weights: dict[str, Tensor] = whole({name: value.detach() for name, value in self.model.named_parameters()})
        return weights

    def _check(self, state: Mapping[str, Any]) -> None:
        """Raise ``ValueError`` if ``state`` is incomplete or from another training."""
        for name in ("mock_training", "epoch", "position", "model", "optimizer", "schedule", "random"):
            if name not in state:
                raise ValueError(f"there is no {name!r}: this is not the complete state of a mock training")
        for name, value in self._identity().items():
            if state["mock_training"].get(name) != value:
                raise ValueError(f"{name}={value}, but the training had {state['mock_training'].get(name)}")
        check_weights(dict(self.model.named_parameters()), state["model"])
        moments = state["optimizer"]["state"]
        if state["epoch"] and set(moments) != set(range(len(self._parameters))):
            raise ValueError(f"the optimizer knows {len(moments)} arrays; the model has {len(self._parameters)}")

    @torch.no_grad()
    def _load_weights(self, weights: Mapping[str, Tensor]) -> None:
        for name, parameter in self.model.named_parameters():
            parameter.copy_(shard_like(weights[name], parameter))

    def _load_optimizer(self, state: Mapping[str, Any]) -> None:
        """Load a copy, since the optimizer modifies the given tensors. Moments are sharded like their parameters; the
        step count is a zero-dimensional tensor.
        """
        moments = {
            number: {
                name: shard_like(value, self._parameters[number]).clone() if value.dim() else value.clone()
                for name, value in moments.items()
            }
            for number, moments in state["state"].items()
        }
        self.optimizer.load_state_dict({"state": moments, "param_groups": state["param_groups"]})


def _norm(tensors: Sequence[Tensor]) -> float:
    """Return the Euclidean norm over all tensors, computed in float64."""
    return math.sqrt(sum(float(whole((tensor.detach().double() ** 2).sum())) for tensor in tensors))
