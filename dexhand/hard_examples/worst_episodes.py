"""The worst episodes of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from dexhand.core.interfaces import Algorithm, Iteration, Policy
from dexhand.hard_examples.episode_recorder import EpisodeRecorder, FinishedEpisodes
from dexhand.hard_examples.reports import HardExample, HardExampleReport, HardExampleSink, Key, Plain
from dexhand.hard_examples.tracker import HardExampleTracker

if TYPE_CHECKING:
    import numpy as np

Pose = Mapping[str, Tensor]
"""Tensors that describe the pose of one environment; which, only the environment and its pictures know."""
RANKINGS = ("return", "sample_loss")
"""Rankings of episodes: by the lowest return, and by the highest mean loss of their samples."""


class AlgorithmWithSampleLosses(Algorithm, Protocol):
    """``Algorithm`` that offers the loss of each sample it has learned from."""

    @property
    def sample_losses(self) -> Tensor:
        """Losses of the last iteration's rollout: H steps of N environments. Shape (H, N)."""


class Pictures(Protocol):
    """Draws poses."""

    def draw(self, pose: Pose) -> np.ndarray | None:
        """Return a picture, uint8 (height, width, 3), or ``None`` if this machine cannot draw."""

    def close(self) -> None:
        """Release all resources. Calling it again does nothing."""


@dataclass(frozen=True)
class WorstEpisodeSettings:
    """How many episodes to keep, and how often to report them."""

    keep: int
    """Episodes in each ranking."""
    report_interval: int
    """Iterations between two reports."""
    forget: bool
    """Keep the worst episodes since the last report instead of the worst of the training."""


class WorstEpisodesTracker:
    """``Algorithm`` that wraps another one, and keeps and reports its worst episodes by each of ``RANKINGS``.

    An episode's key, ``<iteration>-<environment>-<step>``, says when and where it ended. Its loss is minus its return,
    or the mean loss of its samples, each measured at the end of the iteration in which it was collected. Reports are
    made every ``report_interval`` iterations and at the end; their step counts environment frames. Pictures show the
    last pose of an episode and are drawn with the report.
    """

    def __init__(
        self,
        algorithm: AlgorithmWithSampleLosses,
        recorder: EpisodeRecorder,
        settings: WorstEpisodeSettings,
        sinks: Sequence[HardExampleSink],
        pictures: Pictures | None = None,
    ) -> None:
        """``algorithm`` must train on ``recorder``. ``sinks`` may be filled until the first iteration."""
        self._algorithm = algorithm
        self._recorder = recorder
        self._settings = settings
        self._sinks = sinks
        self._pictures = pictures
        self._trackers = [
            HardExampleTracker(settings.keep, report_size=settings.keep, ranking=ranking) for ranking in RANKINGS
        ]
        self._poses: dict[Key, Pose] = {}  # each of one environment, without axis N
        self._images: dict[Key, Tensor] = {}

    @property
    def iterations_done(self) -> int:
        """See ``Algorithm``."""
        return self._algorithm.iterations_done

    @property
    def frames_done(self) -> int:
        """See ``Algorithm``."""
        return self._algorithm.frames_done

    def iterate(self) -> Iteration:
        """See ``Algorithm.iterate``."""
        iteration = self._algorithm.iterate()
        episodes = self._recorder.take(self._algorithm.sample_losses)
        if len(episodes.env):
            self._note(episodes, iteration)
        if iteration.iterations_done % self._settings.report_interval == 0:
            self._report()
        return iteration

    def _note(self, episodes: FinishedEpisodes, iteration: Iteration) -> None:
        number = iteration.iterations_done
        keys = [f"{number}-{env}-{step}" for env, step in zip(episodes.env.tolist(), episodes.step.tolist())]
        losses = (-episodes.reward_terms.sum(dim=1), episodes.sample_loss)

        def details(place: int) -> dict[str, Plain]:
            return {"iteration": number, **self._details(episodes, place)}

        for tracker, loss in zip(self._trackers, losses):
            tracker.update(iteration.frames_done, keys, loss, details=details)
        self._keep_poses(keys, episodes.final_pose)

    def _details(self, episodes: FinishedEpisodes, place: int) -> dict[str, Plain]:
        terms = dict(zip(self._recorder.reward_names, episodes.reward_terms[place].tolist()))
        return {
            "env": int(episodes.env[place]),
            "outcome": self._recorder.outcome_names[int(episodes.outcome[place])],
            "length": int(episodes.length[place]),
            "return": sum(terms.values()),
            "sample_loss": float(episodes.sample_loss[place]),
            **{f"rewards/{name}": value for name, value in terms.items()},
        }

    def _keep_poses(self, keys: list[str], poses: Pose) -> None:
        """Add final poses; drop poses and pictures of episodes that left the buffers."""
        kept = frozenset().union(*(tracker.keys for tracker in self._trackers))
        self._poses = {key: pose for key, pose in self._poses.items() if key in kept}
        self._images = {key: image for key, image in self._images.items() if key in kept}
        if poses:
            for place, key in enumerate(keys):
                if key in kept:
                    self._poses[key] = _row(poses, place)

    def _report(self) -> None:
        """Report every ranking with new episodes to the sinks."""
        for tracker in self._trackers:
            if tracker.unreported_samples:
                report = self._illustrated(tracker.report(self.frames_done))
                for sink in self._sinks:
                    sink.hard_examples(report)
                if self._settings.forget:
                    tracker.forget()

    def _illustrated(self, report: HardExampleReport) -> HardExampleReport:
        return replace(report, entries=tuple(replace(entry, image=self._image(entry)) for entry in report.entries))

    def _image(self, entry: HardExample) -> Tensor | None:
        """Return the picture of an episode, which is drawn once."""
        pose = self._poses.get(entry.key)
        if entry.key not in self._images and pose is not None and self._pictures is not None:
            picture = self._pictures.draw(pose)
            if picture is not None:
                self._images[entry.key] = torch.from_numpy(picture)
        return self._images.get(entry.key)

    def state_dict(self) -> dict[str, Any]:
        """See ``Algorithm.state_dict``. Pictures are omitted; they are redrawn from the poses."""
        trackers = {tracker.ranking: tracker.state_dict() for tracker in self._trackers}
        return {
            **self._algorithm.state_dict(),
            "hard_episodes": {"trackers": trackers, "poses": _poses_to_state(self._poses)},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Algorithm.load_state_dict``; also loads a state of the wrapped algorithm alone."""
        self._algorithm.load_state_dict(state)
        kept = state.get("hard_episodes")
        if kept is not None:
            for tracker in self._trackers:
                tracker.load_state_dict(kept["trackers"][tracker.ranking])
            self._poses = _poses_from(kept["poses"])

    def load_weights(self, state: Mapping[str, Any]) -> None:
        """See ``Algorithm.load_weights``."""
        self._algorithm.load_weights(state)

    def policy(self) -> Policy:
        """See ``Algorithm.policy``."""
        return self._algorithm.policy()

    def close(self) -> None:
        """See ``Algorithm.close``; makes a last report."""
        self._report()
        if self._pictures is not None:
            self._pictures.close()
        self._algorithm.close()


def _poses_to_state(poses: Mapping[Key, Pose]) -> dict[str, Any]:
    if not poses:
        return {}
    names = next(iter(poses.values()))
    return {"keys": list(poses), **{name: torch.stack([pose[name] for pose in poses.values()]) for name in names}}


def _poses_from(state: Mapping[Any, Any]) -> dict[Key, Pose]:
    """Poses of ``_poses_to_state``; checkpoints of earlier versions have them one by one."""
    if "keys" not in state:
        return dict(state)
    rows = {name: values for name, values in state.items() if name != "keys"}
    if any(len(values) != len(state["keys"]) for values in rows.values()):
        raise ValueError("the worst episodes have not one pose each")
    return {key: _row(rows, place) for place, key in enumerate(state["keys"])}


def _row(poses: Pose, place: int) -> Pose:
    """Copy one row, which as a view would keep the whole tensor in memory."""
    return {name: values[place].clone() for name, values in poses.items()}
