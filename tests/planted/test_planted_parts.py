"""The suites of tasks, learners, policies, drawables and sinks reject everything that breaks a clause."""

import inspect
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import faulty_drawables
import faulty_learners
import faulty_policies
import faulty_sinks
import faulty_tasks
import pytest
import torch
from planted import Faults, checks_of, reject

from dexhand.core.interfaces import Algorithm, Drawable, MetricSink, Policy, VecEnv
from dexhand.hand_env.interfaces import Box, Scene, Simulator, Task
from dexhand.mock.env import MockEnv
from dexhand.mock.policy import MockPolicy
from dexhand.mock.simulator import MockSimulator
from dexhand.mock.task import MockTask
from dexhand.sinks.memory import MemorySink
from dexhand.testing.algorithm import AlgorithmConformance
from dexhand.testing.drawable import DrawableConformance
from dexhand.testing.metric_sink import MetricSinkConformance, Series
from dexhand.testing.policy import PolicyConformance
from dexhand.testing.scenes import RIGHT_HAND
from dexhand.testing.task import TaskConformance


def task_suite(made: type[MockTask]) -> Any:
    class Suite(TaskConformance):
        def make_task(self, num_envs: int) -> tuple[Task, Simulator]:
            scene = Scene(RIGHT_HAND, objects=(Box("box", (0.05, 0.05, 0.05), 0.1),))
            simulator = MockSimulator(scene, num_envs, control_dt=0.01)
            return made(simulator), simulator

    return Suite()


def learner_suite(made: type[faulty_learners.Learner]) -> Any:
    class Suite(AlgorithmConformance):
        num_observations = 3

        def make_algorithm(self, seed: int) -> Algorithm:
            return made(seed)

    return Suite()


def policy_suite(made: type[MockPolicy]) -> Any:
    class Suite(PolicyConformance):
        num_observations = 3
        num_actions = 2

        def make_state(self, seed: int) -> dict[str, Any]:
            return {"model": {"weight": torch.randn(2, 3), "bias": torch.randn(2)}}

        def make_policy(self, state: Mapping[str, Any]) -> Policy:
            return made.from_state(state)

    return Suite()


def sink_suite(made: type[MemorySink]) -> Any:
    class Suite(MetricSinkConformance):
        def make_sink(self, folder: Path) -> MetricSink:
            return made()

        def recorded(self, sink: Any, folder: Path) -> Series:
            series: dict[str, list[tuple[int, float]]] = defaultdict(list)
            for step, values in sink.rows:
                for name, value in values.items():
                    series[name].append((step, value))
            return series

    return Suite()


def drawable_suite(made: type[MockEnv]) -> Any:
    class Suite(DrawableConformance):
        def make_drawable(self, num_envs: int) -> tuple[VecEnv, Drawable]:
            env = made(num_envs)
            return env, env

    return Suite()


SUITES: dict[Any, tuple[Faults, type[Any], tuple[type[Any], ...]]] = {
    task_suite: (faulty_tasks.FAULTS, TaskConformance, faulty_tasks.SOUND),
    learner_suite: (faulty_learners.FAULTS, AlgorithmConformance, (faulty_learners.Learner,)),
    policy_suite: (faulty_policies.FAULTS, PolicyConformance, (MockPolicy,)),
    drawable_suite: (faulty_drawables.FAULTS, DrawableConformance, (MockEnv, faulty_drawables.WithMesh)),
    sink_suite: (faulty_sinks.FAULTS, MetricSinkConformance, (MemorySink,)),
}
"""For each suite its faults, its class, and what is sound."""


def fixtures_for(check: Any, tmp_path: Path) -> list[Path]:
    """The checks of sinks ask for a folder."""
    return [tmp_path] if "tmp_path" in inspect.signature(check).parameters else []


@pytest.mark.parametrize(
    ("suite", "fault", "check"),
    [
        pytest.param(suite, *case.values, id=case.id)
        for suite, (faults, *_) in SUITES.items()
        for case in faults.cases()
    ],
)
def test_a_faulty_part_is_rejected(suite: Any, fault: type[Any], check: str, tmp_path: Path) -> None:
    """By the check that is there for it, with a whole sentence."""
    made = suite(fault)
    reject(made, check, *fixtures_for(getattr(made, check), tmp_path))


@pytest.mark.parametrize(
    ("suite", "sound", "check"),
    [
        (suite, sound, check)
        for suite, (_, kind, sounds) in SUITES.items()
        for sound in sounds
        for check in checks_of(kind)
    ],
)
def test_the_check_passes_a_sound_part(suite: Any, sound: type[Any], check: str, tmp_path: Path) -> None:
    """So that it was the fault that made it fail."""
    made = getattr(suite(sound), check)
    made(*fixtures_for(made, tmp_path))


@pytest.mark.parametrize(("faults", "kind", "sounds"), SUITES.values(), ids=[suite.__name__ for suite in SUITES])
def test_every_check_is_proven_by_a_fault(faults: Faults, kind: type[Any], sounds: Any) -> None:
    """No check of a suite can pass because it looks at nothing: each has a fault that it finds."""
    assert faults.checks() == set(checks_of(kind))
