"""Conformance suite for ``Drawable``: subclass it and define how to make an environment and what draws it.

class TestMyDrawing(DrawableConformance):
    def make_drawable(self, num_envs):
        env = MyEnv(num_envs)
        return env, env
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from dexhand.core.interfaces import Drawable, Frame, Shape, VecEnv
from dexhand.testing.random_states import random_states
from dexhand.testing.tree import copied, places_that_differ
from dexhand.testing.vec_env_harness import actions_for

STEPS = 5


class DrawableConformance:
    """Every clause of ``Drawable``."""

    num_envs = 3

    def make_drawable(self, num_envs: int) -> tuple[VecEnv, Drawable]:
        """Make an environment and its drawable, which may be the same object. The suite resets and closes it."""
        raise NotImplementedError("A conformance suite needs make_drawable(num_envs)")

    @contextmanager
    def parts(self) -> Iterator[tuple[VecEnv, Drawable]]:
        """An environment, reset with a fixed seed, and its drawable."""
        env, drawable = self.make_drawable(self.num_envs)
        env.reset(seed=1)
        try:
            yield env, drawable
        finally:
            env.close()

    def frames(self, env: VecEnv, drawable: Drawable) -> list[Frame]:
        """Frames of all environments after a reset with a fixed seed and after each of some steps."""
        env.reset(seed=1)
        frames = [drawable.frame(range(self.num_envs))]
        for actions in actions_for(env, STEPS):
            env.step(actions)
            frames.append(drawable.frame(range(self.num_envs)))
        return frames

    # --- shapes

    def test_every_shape_can_be_drawn(self) -> None:
        """Kinds are known, numbers are finite, sizes and opacities positive, quaternions of length 1, bodies exist."""
        with self.parts() as (_, drawable):
            bodies = drawable.frame([0]).body_pose.shape[1]
            assert drawable.shapes, "There are no shapes, so nothing can be drawn."
            for number, shape in enumerate(drawable.shapes):
                problem = _problem_of(shape, bodies)
                assert problem is None, f"Shape {number}, {shape.kind} of body {shape.body}: {problem}."

    def test_shapes_never_change(self) -> None:
        """Views draw the shapes once; they are the same after steps and resets."""
        with self.parts() as (env, drawable):
            before = [copied(vars(shape)) for shape in drawable.shapes]
            self.frames(env, drawable)
            different = places_that_differ(before, [vars(shape) for shape in drawable.shapes])
            assert not different, f"These parts of the shapes changed during steps: {', '.join(different[:3])}."

    # --- frames

    def test_frames_have_the_declared_form(self) -> None:
        """Arrays are float32, with a row per chosen environment, also if none is chosen; ``control_dt`` is positive."""
        with self.parts() as (_, drawable):
            dt = drawable.control_dt
            assert 0.0 < dt < math.inf, f"control_dt is {dt}; it must be a positive number of seconds."
            for env_ids in ([], [1], list(range(self.num_envs))):
                frame, rows = drawable.frame(env_ids), len(env_ids)
                for name, array, width in (("body_pose", frame.body_pose, 7), ("force", frame.force, 6)):
                    assert (array.dtype, array.shape[:1], array.shape[2:]) == (
                        np.dtype("float32"),
                        (rows,),
                        (width,),
                    ), (
                        f"frame({env_ids}).{name} is {array.dtype} of shape {array.shape}; it must be float32 of shape "
                        f"({rows}, any, {width})."
                    )
                assert [type(text) for text in frame.caption] == [str] * rows, (
                    f"frame({env_ids}).caption is {frame.caption!r}; it must be a string for each environment."
                )

    def test_poses_are_poses(self) -> None:
        """All numbers are finite, and quaternions have length 1."""
        with self.parts() as (env, drawable):
            for number, frame in enumerate(self.frames(env, drawable)):
                finite = np.isfinite(frame.body_pose).all() and np.isfinite(frame.force).all()
                assert finite, f"Numbers in the frame after step {number} are not finite."
                lengths = np.linalg.norm(frame.body_pose[..., 3:], axis=-1)
                assert abs(lengths - 1.0).max() < 1e-3, (
                    f"A quaternion in the frame after step {number} has length "
                    f"{lengths.flat[abs(lengths - 1.0).argmax()]:.3f}, which must be 1."
                )

    def test_rows_belong_to_the_chosen_environments(self) -> None:
        """Row i shows environment ``env_ids[i]``, in any order."""
        with self.parts() as (env, drawable):
            everything, order = self.frames(env, drawable)[-1], [2, 0]
            chosen = drawable.frame(order)
            captions = tuple(everything.caption[env_id] for env_id in order)
            expected = vars(Frame(everything.body_pose[order], everything.force[order], captions))
            different = places_that_differ(expected, vars(chosen))
            assert not different, (
                f"frame({order}) differs from rows {order} of frame([0, 1, 2]): row i must show environment env_ids[i]."
            )

    def test_a_frame_shows_the_current_state(self) -> None:
        """Something moves in every environment, and after a reset with the same seed the first frame comes again."""
        with self.parts() as (env, drawable):
            first, *_, last = self.frames(env, drawable)
            again = self.frames(env, drawable)[0]
            still = [row for row in range(self.num_envs) if np.array_equal(first.body_pose[row], last.body_pose[row])]
            assert not still, f"No body of environments {still} moved in {STEPS} steps with random actions."
            assert np.array_equal(first.body_pose, again.body_pose), (
                "The frame right after reset(seed=1) is not the one after another reset(seed=1): frames lag behind."
            )

    def test_the_caller_owns_a_frame(self) -> None:
        """Later steps do not change it, and writing to it changes no later frame."""
        with self.parts() as (env, drawable):
            frame = drawable.frame([0, 1])
            before = copied(vars(frame))
            for actions in actions_for(env, STEPS):
                env.step(actions)
            changed = places_that_differ(before, vars(frame))
            assert not changed, "Later steps changed a frame, or something in it: return copies."
            expected, scratched = copied(vars(drawable.frame([0, 1]))), drawable.frame([0, 1])
            scratched.body_pose[:] = 1.0
            scratched.force[:] = 1.0
            changed = places_that_differ(expected, vars(drawable.frame([0, 1])))
            assert not changed, "Writing to a frame changed the next one: return copies."

    def test_drawing_changes_nothing(self) -> None:
        """Steps give the same bits with and without frames in between, and global random states stay."""
        with self.parts() as (watched, drawable), self.parts() as (alone, _):
            for number, actions in enumerate(actions_for(alone, STEPS)):
                states = random_states()
                drawable.frame(range(self.num_envs))
                assert not places_that_differ(states, random_states()), "frame() changed a global random state."
                different = places_that_differ(watched.step(actions), alone.step(actions))
                assert not different, f"Step {number + 1} returned something else because a frame was drawn before it."


def _problem_of(shape: Shape, bodies: int) -> str | None:
    """Say what is wrong with a shape; ``None`` = nothing."""
    numbers = (*shape.size, *shape.position, *shape.quat, *shape.rgba)
    if shape.kind not in ("box", "ellipsoid", "cylinder", "capsule", "mesh"):
        return "this kind is unknown"
    if not 0 <= shape.body < bodies:
        return f"there are only {bodies} bodies"
    if not all(math.isfinite(number) for number in numbers) or min(shape.size) <= 0:
        return f"size {shape.size}, position, quat and rgba must be finite, and the size positive"
    if abs(math.hypot(*shape.quat) - 1.0) > 1e-3:
        return f"quat {shape.quat} must have length 1"
    if not all(0.0 <= part <= 1.0 for part in shape.rgba) or shape.rgba[3] == 0.0:
        return f"rgba {shape.rgba} must be from 0 to 1, and not invisible"
    if shape.kind != "mesh":
        return None
    if shape.vertices is None or shape.faces is None:
        return "a mesh needs vertices and faces"
    if shape.vertices.ndim != 2 or shape.faces.ndim != 2 or (shape.vertices.shape[1], shape.faces.shape[1]) != (3, 3):
        return "vertices and faces must have three columns"
    if not np.isfinite(shape.vertices).all():
        return "vertices must be finite"
    if shape.faces.min(initial=0) < 0 or shape.faces.max(initial=0) >= len(shape.vertices):
        return f"faces name vertices that do not exist; there are {len(shape.vertices)}"
    return None
