"""Drawable environments with one fault each, and the checks of the conformance suite that must find it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from planted import Faults
from torch import Tensor

from dexhand.core.interfaces import Frame, Shape
from dexhand.mock.env import MockEnv

FAULTS = Faults()
found_by = FAULTS.found_by

POINT = MockEnv.shapes[-1]
VERTICES = np.eye(3, dtype=np.float32)
FACES = np.array([[0, 1, 2]], np.int32)


class WithMesh(MockEnv):
    """Sound: a triangle beside the point."""

    shapes = (*MockEnv.shapes, replace(POINT, kind="mesh", vertices=VERTICES, faces=FACES))


# --- shapes -----------------------------------------------------------------------------------------------------------


@found_by("every_shape_can_be_drawn")
class NothingToDraw(MockEnv):
    shapes = ()


@found_by("every_shape_can_be_drawn")
class UnknownKind(MockEnv):
    shapes = (replace(POINT, kind="sphere"),)  # type: ignore[arg-type]


@found_by("every_shape_can_be_drawn")
class NoSuchBody(MockEnv):
    shapes = (replace(POINT, body=2),)


@found_by("every_shape_can_be_drawn")
class FlatShape(MockEnv):
    shapes = (replace(POINT, size=(1.0, 1.0, 0.0)),)


@found_by("every_shape_can_be_drawn")
class ZeroQuaternion(MockEnv):
    shapes = (replace(POINT, quat=(0.0, 0.0, 0.0, 0.0)),)


@found_by("every_shape_can_be_drawn")
class ColoursTo255(MockEnv):
    shapes = (replace(POINT, rgba=(255.0, 0.0, 0.0, 255.0)),)


@found_by("every_shape_can_be_drawn")
class MeshWithoutFaces(MockEnv):
    shapes = (replace(POINT, kind="mesh", vertices=VERTICES),)


@found_by("every_shape_can_be_drawn")
class FlatFaces(MockEnv):
    shapes = (replace(POINT, kind="mesh", vertices=VERTICES, faces=FACES.ravel()),)


@found_by("every_shape_can_be_drawn")
class InfiniteVertex(MockEnv):
    shapes = (replace(POINT, kind="mesh", vertices=np.full_like(VERTICES, np.inf), faces=FACES),)


@found_by("every_shape_can_be_drawn")
class FacesCountedFromOne(MockEnv):
    shapes = (replace(POINT, kind="mesh", vertices=VERTICES, faces=FACES + 1),)


@found_by("shapes_never_change")
class GrowingPoint(MockEnv):
    grown = 1.0

    @property
    def shapes(self) -> Sequence[Shape]:  # type: ignore[override]
        return (replace(POINT, size=(self.grown, self.grown, self.grown)),)

    def step(self, actions: Tensor) -> Any:
        self.grown += 0.1
        return super().step(actions)


# --- frames -----------------------------------------------------------------------------------------------------------


@found_by("frames_have_the_declared_form")
class DoublePrecision(MockEnv):
    def frame(self, env_ids: Sequence[int]) -> Frame:
        frame = super().frame(env_ids)
        return replace(frame, body_pose=frame.body_pose.astype(np.float64))


@found_by("frames_have_the_declared_form")
class NoneIsAll(MockEnv):
    """Takes an empty choice for all environments."""

    def frame(self, env_ids: Sequence[int]) -> Frame:
        return super().frame(env_ids or range(self.num_envs))


@found_by("frames_have_the_declared_form")
class OneCaption(MockEnv):
    """For all environments together."""

    def frame(self, env_ids: Sequence[int]) -> Frame:
        return replace(super().frame(env_ids), caption=("playing",))


@found_by("frames_have_the_declared_form")
class NoTime(MockEnv):
    control_dt = 0.0


@found_by("poses_are_poses")
class QuaternionOfZeros(MockEnv):
    def frame(self, env_ids: Sequence[int]) -> Frame:
        frame = super().frame(env_ids)
        frame.body_pose[:, 0, 3:] = 0.0
        return frame


@found_by("poses_are_poses")
class DividesByZero(MockEnv):
    """Shows a direction that an episode's first state does not have."""

    def frame(self, env_ids: Sequence[int]) -> Frame:
        frame = super().frame(env_ids)
        with np.errstate(divide="ignore", invalid="ignore"):
            frame.body_pose[:, 1, 2] *= np.float32(self._steps[0]) / np.float32(self._steps[0])
        return frame


@found_by("rows_belong_to_the_chosen_environments")
class SortsTheChoice(MockEnv):
    def frame(self, env_ids: Sequence[int]) -> Frame:
        return super().frame(sorted(env_ids))


@found_by("rows_belong_to_the_chosen_environments")
class SortsCaptions(MockEnv):
    def frame(self, env_ids: Sequence[int]) -> Frame:
        return replace(super().frame(env_ids), caption=tuple(f"environment {env_id}" for env_id in sorted(env_ids)))


@found_by("a_frame_shows_the_current_state")
class OneStepLate(MockEnv):
    """Keeps the frame that was current before the last change."""

    shown: Tensor | None = None

    def frame(self, env_ids: Sequence[int]) -> Frame:
        frame, rows = super().frame(env_ids), list(env_ids)
        if self.shown is not None:
            frame.body_pose[:, 1, :2] = self.shown[rows].numpy()
        return frame

    def reset(self, seed: int | None = None) -> Any:
        self.shown = self._position.clone()
        return super().reset(seed)

    def step(self, actions: Tensor) -> Any:
        self.shown = self._position.clone()
        return super().step(actions)


@found_by("a_frame_shows_the_current_state")
class StandingStill(MockEnv):
    def frame(self, env_ids: Sequence[int]) -> Frame:
        frame = super().frame(env_ids)
        frame.body_pose[:, 1, :2] = 0.0
        return frame


@found_by("the_caller_owns_a_frame")
class SameArray(MockEnv):
    """Writes every frame into one array."""

    arrays: Mapping[int, Frame] = {}

    def frame(self, env_ids: Sequence[int]) -> Frame:
        new = super().frame(env_ids)
        kept = self.arrays.get(len(new.caption), new)
        kept.body_pose[:] = new.body_pose
        self.arrays = {**self.arrays, len(new.caption): kept}
        return replace(new, body_pose=kept.body_pose)

    def step(self, actions: Tensor) -> Any:
        result = super().step(actions)
        for number in self.arrays:
            self.frame(range(number))
        return result


@found_by("the_caller_owns_a_frame")
class KeepsForces(MockEnv):
    """Returns the same array of forces in every frame."""

    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs)
        self.force = np.zeros((num_envs, 1, 6), np.float32)

    def frame(self, env_ids: Sequence[int]) -> Frame:
        rows = list(env_ids)
        force = self.force[: len(rows)] if rows == list(range(len(rows))) else self.force[rows]
        return replace(super().frame(env_ids), force=force)


@found_by("drawing_changes_nothing")
class DrawsAJitter(MockEnv):
    """From the generator that also draws the starts of episodes."""

    def frame(self, env_ids: Sequence[int]) -> Frame:
        self._position = self._position + 1e-6 * torch.rand(2, generator=self._generator)
        return super().frame(env_ids)


@found_by("drawing_changes_nothing")
class GlobalRandomness(MockEnv):
    def frame(self, env_ids: Sequence[int]) -> Frame:
        torch.rand(1)
        return super().frame(env_ids)
