"""The task that ``docs/new-task.md`` builds: made, checked, trained and continued without a change to the package."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from commands import SMALL, run
from test_resume import differences, state_of

from dexhand.app.build import build_task_env
from dexhand.config.compose import compose
from dexhand.hand_env.interfaces import Simulator, Task
from dexhand.hand_env.task_env import TaskEnv
from dexhand.testing.task import TaskConformance

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "cube_reorientation"
CUBE = ["--config-dir", str(EXAMPLE / "conf"), "task=CubeReorientation", f"task.module={EXAMPLE}/cube_reorientation.py"]


def cube_env(*words: str) -> TaskEnv:
    """Environments of the example on the mock."""
    return build_task_env(compose([*CUBE[2:], "sim.backend=mock", *words], config_dir=CUBE[1]))


class TestContract(TaskConformance):
    def make_task(self, num_envs: int) -> tuple[Task, Simulator]:
        env = cube_env(f"numEnvs={num_envs}", "task.episodeLength=16", "task.goal_tolerance=2")
        return env.task, env.simulator


@pytest.fixture
def reaching() -> Iterator[TaskEnv]:
    """Eight environments in which half of all goals are reached at once."""
    env = cube_env("numEnvs=8", "task.goal_tolerance=2.3")
    env.reset(seed=0)
    yield env
    env.close()


def test_a_goal_that_is_reached_gives_way_to_another(reaching: TaskEnv) -> None:
    """Where it is reached, 50 are paid and the next goal is drawn; the others keep theirs."""
    task = reaching.task
    before = task.state_dict()["goal"]
    terms = reaching.step(torch.zeros(8, 12))[4]["reward_terms"]
    paid = terms[:, task.reward_names.index("goal_reached")] == 50.0
    changed = (task.state_dict()["goal"] != before).any(dim=1)
    assert torch.equal(paid, changed)
    assert 0 < int(paid.sum()) < 8


@pytest.mark.parametrize("backend", ["mock", "mujoco"])
def test_it_is_trained_and_continues_bit_for_bit(tmp_path: Path, backend: str) -> None:
    """Goals are drawn within episodes; two and two iterations are four all the same."""
    words = [*CUBE, *SMALL[1:], f"sim.backend={backend}", "task.episodeLength=10", "task.goal_tolerance=2", "seed=5"]
    whole = run([*words, "maxIter=4"], tmp_path)
    assert whole.returncode == 0, whole.stderr
    expected = state_of(tmp_path)
    assert run([*words, "maxIter=2"], tmp_path).returncode == 0
    assert run(["resume=latest", "maxIter=4", "train.trustCheckpoint=true"], tmp_path).returncode == 0
    assert differences(expected, state_of(tmp_path)) == []


def test_the_document_shows_the_files_as_they_are() -> None:
    """Every block of code is in the example, word for word, and the number of lines is right."""
    page = (ROOT / "docs" / "new-task.md").read_text()
    files = [EXAMPLE / "cube_reorientation.py", EXAMPLE / "conf" / "task" / "CubeReorientation.yaml"]
    texts = [file.read_text() for file in files]
    for block in re.findall(r"^```(?:python|yaml)\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        assert any(block in text for text in texts), block
    lines = [line for text in texts for line in text.splitlines() if line.strip()]
    assert f"{len(lines)} lines" in " ".join(page.split())
