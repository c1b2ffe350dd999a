"""Learners, environments, simulators and sinks of a user's own, as ``docs/plugins.md`` shows them."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import PPO, Running, run

from dexhand.checkpoints.store import load_checkpoint, save_checkpoint
from dexhand.config.compose import compose
from dexhand.testing.algorithm import AlgorithmConformance
from dexhand.testing.vec_env import VecEnvConformance

DOCUMENT = Path(__file__).parents[2] / "docs" / "plugins.md"
FILES = dict(re.findall(r"`(\w+\.py)`:\n\n```python\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL))
SMALL = ["numEnvs=4", "train.network.units=[8]", *PPO]
LINE, CLIMBER = "env.factory=my_env.py:Line", "train.algorithm=my_learner.py:HillClimber"


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the document's files."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("my_"):
            del sys.modules[name]


def latest(folder: Path) -> Path:
    """The newest training's run folder."""
    return folder / "runs" / "latest_train"


@pytest.mark.parametrize("algorithm", [[], [CLIMBER], ["train.algorithm=mock"]])
def test_an_environment_is_trained_continued_and_played(algorithm: list[str], mine: Path) -> None:
    """By rl_games, by a learner of the user's own and by the mock; later commands name neither."""
    trained = run([LINE, *algorithm, *SMALL, "maxIter=2"], mine)
    assert trained.returncode == 0, trained.stderr
    assert load_checkpoint(latest(mine) / "nn" / "latest.pth")["epoch"] == 2
    continued = run(["resume=latest", "maxIter=3"], mine)
    assert "at iteration 2" in continued.stdout, continued.stderr
    (play,) = re.findall(r"Play it: dexhand test (.*)", trained.stdout)
    for words in (play.split(), ["checkpoint=latest"]):
        played = run(["test=true", *words, "testGamesNum=2", "numEnvs=2"], mine)
        assert played.returncode == 0, played.stderr
        assert "2 episodes" in played.stdout


def test_an_environment_without_a_state_is_trained_and_not_resumed(mine: Path) -> None:
    """It says so when it begins, not when it is too late; the weights can be taken over."""
    text = re.sub(r"    def (?:load_)?state_dict.*?\n\n", "", FILES["my_env.py"], flags=re.DOTALL)
    (mine / "my_stateless.py").write_text(text)
    words = ["env.factory=my_stateless.py:Line", *SMALL]
    trained = run([*words, "maxIter=2"], mine)
    assert "have no state_dict: resume= will be refused" in trained.stdout, trained.stderr
    refused = run(["resume=latest", "maxIter=3"], mine)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    goes_on = run([*words, "maxIter=1", "checkpoint=latest_train", "train.resume=weights"], mine)
    assert goes_on.returncode == 0, goes_on.stderr


def test_a_task_is_trained_continued_and_played_on_a_simulator_of_ones_own(mine: Path) -> None:
    """A continued run remembers it; a test names the simulator it plays on."""
    simulator = "sim.backend=my_sim.py:Recorder"
    trained = run([simulator, *SMALL, "maxIter=1"], mine)
    assert trained.returncode == 0, trained.stderr
    assert "at iteration 1" in run(["resume=latest", "maxIter=2"], mine).stdout
    played = run([simulator, "test=true", "checkpoint=latest", "testGamesNum=1", "numEnvs=1"], mine)
    assert "1 episode:" in played.stdout, played.stderr
    mistaken = run(["sim.backend=my_sim.py:Recoder"], mine)
    assert mistaken.returncode == 2
    assert "Did you mean 'Recorder'?" in mistaken.stderr


def test_a_newer_policy_of_a_learner_of_ones_own_is_reloaded(mine: Path) -> None:
    """Through the class that the run names."""
    assert run([LINE, CLIMBER, *SMALL, "maxIter=2"], mine).returncode == 0

    def meanwhile(player: Running) -> None:
        player.wait_for("^Playing .*iteration 2")
        file = latest(mine) / "nn" / "latest.pth"
        state = load_checkpoint(file)
        save_checkpoint(file, {**state, "epoch": 7})
        player.wait_for("^Reloaded .*iteration 7")
        player.signal()

    words = ["test=true", "checkpoint=latest", "testGamesNum=0", "train.reloadOn=event"]
    assert run(words, mine, meanwhile).returncode == 0


def test_a_sink_gets_the_metrics_of_trainings_and_tests(mine: Path) -> None:
    """In the folder of the run; nothing else is written where nothing else is listed."""
    done = run([LINE, *SMALL, "maxIter=3", "train.sinks=[my_sink.py:JsonLines]"], mine)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (latest(mine) / "metrics.jsonl").read_text().splitlines()]
    assert [(row["step"], row["info/iteration"]) for row in rows] == [(32, 1.0), (64, 2.0), (96, 3.0)]
    assert not (latest(mine) / "summaries").exists()
    assert "frames/s" not in done.stdout
    words = ["test=true", "checkpoint=latest", "testGamesNum=1", "train.sinks=[my_sink.py:JsonLines]"]
    assert run(words, mine).returncode == 0
    assert (mine / "runs" / "latest_test" / "metrics.jsonl").read_text()


def test_what_has_no_effect_is_said_where_it_was_given(mine: Path) -> None:
    """Keys of the task and the simulator; not those of files."""
    done = run([LINE, *SMALL, "maxIter=1", "task.episodeLength=5", "sim.dt=0.01", "physics=fast"], mine)
    assert len(re.findall(r"has no effect: env\.factory=", done.stdout)) == 3, done.stdout
    assert "no effect" not in run([LINE, *SMALL, "maxIter=1"], mine).stdout


FAULTY = """
from my_env import Line


class NoSeed(Line):
    def __init__(self, num_envs, device):
        super().__init__(num_envs, device)


class NoStep(Line):
    step = property()


class Fewer(Line):
    def __init__(self, num_envs, device, seed):
        super().__init__(1, device, seed)


class Columns(Line):
    def step(self, actions):
        observations, rewards, *rest = super().step(actions)
        return observations, rewards[:, None], *rest


class Doubles(Line):
    def reset(self, seed=None):
        observations, info = super().reset(seed)
        return observations.double(), info


class Lists(Line):
    def step(self, actions):
        *rest, info = super().step(actions)
        return *rest, {**info, "outcome": info["outcome"].tolist()}


class NoPolicy:
    def __init__(self, env, config):
        pass


class NoIterate(NoPolicy):
    policy_from_state = staticmethod(print)


number = 3
"""


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["env.factory=my_env.py:Lin"], ["my_env has no Lin. It has: Line", "Did you mean 'Line'?"]),
        (["env.factory=nowhere.py:Line"], ["there is no file", "nowhere.py"]),
        (["env.factory=faulty.py:number"], ["number is 3, which cannot be called"]),
        (
            ["env.factory=faulty.py:NoSeed"],
            ["(num_envs=..., device=..., seed=...)", "unexpected keyword"],
        ),
        (["env.factory=faulty.py:NoStep"], ["NoStep it returns lacks step", "VecEnv in dexhand/core/interfaces.py"]),
        (["env.factory=faulty.py:Fewer"], ["made 1 environments where env.numEnvs=4"]),
        (["env.factory=faulty.py:Columns"], ["rewards must have shape (4,) and type torch.float32, but has (4, 1)"]),
        (["env.factory=faulty.py:Doubles"], ["the first value of reset must", "but has (4, 1) and torch.float64"]),
        (["env.factory=faulty.py:Lists"], ["info['outcome'] must be a torch.Tensor, but is list"]),
        (["env.factory=Line"], ["env.factory=Line is unknown. Expected package.module:Name or path/to/file.py:Name"]),
        ([LINE, "train.algorithm=rl_game"], ["Expected one of rl_games, mock", "Did you mean 'rl_games'?"]),
        ([LINE, "train.algorithm=faulty.py:NoPolicy"], ["lacks policy_from_state"]),
        ([LINE, "train.algorithm=faulty.py:NoIterate"], ["the NoIterate it returns lacks", "iterate", "load_weights"]),
        ([LINE, CLIMBER, "train.hardExamples.enabled=true"], ["has no sample_losses to rank"]),
        ([LINE, "train.sinks=[tensorbord]"], ["train.sinks=tensorbord", "Did you mean 'tensorboard'?"]),
        ([LINE, "train.sinks=[my_sink.py:Nothing]"], ["my_sink has no Nothing"]),
    ],
)
def test_mistakes_are_explained_in_one_line(words: list[str], parts: list[str], mine: Path) -> None:
    """Key, value and what to do; exit code 2, and no run has begun."""
    (mine / "faulty.py").write_text(FAULTY)
    sys.modules.pop("faulty", None)
    done = run([*words, *SMALL, "maxIter=1"], mine)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert [part for part in parts if part not in line] == [], line
    assert not (mine / "runs_all").exists()


@pytest.mark.parametrize("algorithm", [[], [CLIMBER]])
def test_an_observation_that_is_not_finite_ends_a_training(algorithm: list[str], mine: Path) -> None:
    """With the learner of the project and one of the user's: the environment is blamed, the last checkpoint is kept."""
    (mine / "my_broken.py").write_text(
        "from my_env import Line\n\n\n"
        "class Broken(Line):\n"
        "    count = 0\n\n"
        "    def step(self, actions):\n"
        "        self.count += 1\n"
        "        observations, *rest = super().step(actions)\n"
        "        return observations / (self.count < 20), *rest\n"
    )
    done = run(["env.factory=my_broken.py:Broken", *algorithm, *SMALL, "maxIter=20"], mine)
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert "an observation is not finite. " in line
    assert "Correct the environment that returned it" in line
    assert (latest(mine) / "nn" / "latest.pth").exists()


@pytest.mark.parametrize("what", ["observation", "reward"])
def test_an_environment_that_is_not_finite_ends_a_test(what: str, mine: Path) -> None:
    """Which keeps the results of the episodes before."""
    assert run([LINE, *SMALL, "maxIter=1"], mine).returncode == 0
    place = 0 if what == "observation" else 1
    (mine / "my_env.py").write_text(
        FILES["my_env.py"] + "\n\n"
        "class Line(Line):\n"
        "    count = 0\n\n"
        "    def step(self, actions):\n"
        "        self.count += 1\n"
        "        result = list(super().step(actions))\n"
        f"        result[{place}] = result[{place}] / (self.count < 80)\n"
        "        return tuple(result)\n"
    )
    sys.modules.pop("my_env")
    done = run(["test=true", "checkpoint=latest", "numEnvs=2", "testGamesNum=100", "train.seed=1"], mine)
    assert done.returncode == 1
    assert f"error: The test ends: an {what}".replace("an r", "a r") in done.stdout
    assert "Traceback" not in done.stderr
    results = json.loads((mine / "runs" / "latest_test" / "results.json").read_text())
    assert results["summary"]["games"] > 0


def test_a_policy_is_not_played_in_another_environment(mine: Path) -> None:
    """Nor a task's policy in an environment of the user's own."""
    assert run([LINE, *SMALL, "maxIter=1"], mine).returncode == 0
    done = run(["task=BaseTask", "sim.backend=mock", "test=true", "checkpoint=latest"], mine)
    assert done.returncode == 2
    assert "env.factory=null" in done.stderr
    assert "was trained with env.factory=my_env.py:Line" in done.stderr


def test_the_documents_parts_keep_the_contracts(mine: Path) -> None:
    """Every check of the suites that is not about learning."""
    space: dict[str, type] = {}
    for name in ("my_env", "my_learner"):
        exec(compile(FILES[f"{name}.py"], name, "exec"), space)

    class Environment(VecEnvConformance):
        optional = ("render",)

        def make_env(self, num_envs: int):
            return space["Line"](num_envs)

    class Learner(AlgorithmConformance):
        num_observations = 1

        def make_algorithm(self, seed: int):
            config = compose([f"seed={seed}", "train.ppo.horizon_length=8"])
            return space["HillClimber"](space["Line"](4, seed=seed), config)

    unproven = ("test_an_iteration_changes_the_policy", "test_it_learns")  # it keeps what is best
    for suite in (Environment(), Learner()):
        for check in (name for name in dir(suite) if name.startswith("test_") and name not in unproven):
            try:
                getattr(suite, check)()
            except pytest.skip.Exception:
                continue
