"""``dexhand compare``: tests that were played before are compared."""

import json
from pathlib import Path

import pytest

from dexhand.compare_tests import main
from dexhand.config.compose import compose, to_yaml
from dexhand.workspace.workspace import Run


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)


def played(day: int, returns: list[float], *words: str, success: "list[bool] | None" = None, envs: int = 4) -> str:
    """The name of a test with these returns, of environments in turn."""
    run = Run(Path("runs_all", f"BaseTask_test_202601{day:02}_120000"))
    run.path.mkdir(parents=True)
    task = [] if any(word.startswith("task=") for word in words) else ["task=BaseTask"]
    run.config_file.write_text(to_yaml(compose([*task, f"numEnvs={envs}", "seed=1", *words])))
    ends = ["success:lifted" if won else "timeout" for won in success or [False] * len(returns)]
    games = [
        {"number": number, "env_id": number % envs, "episode_return": value, "length": 9, "outcome": end}
        for number, (value, end) in enumerate(zip(returns, ends))
    ]
    summary = {"games": len(games), "success_rate": None if success is None else 0.5}
    policy = {"checkpoint": "nn/latest.pth", "checkpoints": [{"iteration": 7}]}
    run.results_file.write_text(json.dumps({**policy, "summary": summary, "games": games}))
    return run.name


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> list[str]:
    assert main(argv) == 0
    return capsys.readouterr().out.splitlines()


def test_tests_that_began_alike_are_compared_in_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    """Which shows a difference that is small beside the differences between starts."""
    starts = [float(10 * number) for number in range(12)]
    a = played(1, starts, envs=12)
    b = played(2, [value + 1.0 + 0.01 * value for value in starts], envs=12)
    lines = said(capsys, a, b)
    assert lines[0] == f"A: {a}, latest.pth of iteration 7, 12 episodes, return 55.00 [32.09, 77.91]"
    assert lines[2] == "12 pairs of episodes that began alike"
    assert lines[3].startswith("return: B is better with p = 0.00049; B - A = 1.55 [")
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("words", "episodes"), [(["seed=2"], 4), (["task.episodeLength=90"], 4), ([], 8)], ids=["seed", "task", "second"]
)
def test_others_are_compared_without_pairs(words: list[str], episodes: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Another seed or task, or episodes after the first of an environment."""
    a = played(1, [float(number) for number in range(episodes)])
    b = played(2, [100.0 + number for number in range(episodes)], *words)
    lines = said(capsys, a, b)
    assert lines[2] == "Not in pairs: not all began alike"
    assert "B - A = 100.00" in lines[3]


def test_success_rates_are_compared_where_there_is_success(capsys: pytest.CaptureFixture[str]) -> None:
    a = played(1, [0.0] * 20, success=[True] * 2 + [False] * 18, envs=20)
    b = played(2, [0.0] * 20, success=[True] * 15 + [False] * 5, envs=20)
    lines = said(capsys, a, b)
    assert "success 10.0% [" in lines[0]
    assert lines[-1].startswith("success: B is better with p = ")


def test_tests_of_different_tasks_are_not_compared(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([played(1, [1.0, 2.0]), played(2, [1.0, 2.0], "task=BoxGrasping")]) == 2
    assert "is a test of task=BaseTask, " in capsys.readouterr().err


def test_copies_of_one_episode_are_no_samples(capsys: pytest.CaptureFixture[str]) -> None:
    assert "copies of one episode" in said(capsys, played(1, [1.0] * 4), played(2, [1.0, 2.0, 3.0, 4.0]))[-1]


def test_a_part_of_a_name_means_a_test(capsys: pytest.CaptureFixture[str]) -> None:
    """Not the training of the same name."""
    a, b = played(1, [1.0, 2.0]), played(2, [1.0, 2.0])
    Path("runs_all", a.replace("test", "train")).mkdir()
    assert said(capsys, "20260101", b)[0].startswith(f"A: {a}, ")


def test_a_folder_is_found_anywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = played(1, [1.0, 2.0]), played(2, [1.0, 2.0])
    (tmp_path / "mine").mkdir()
    copied = (tmp_path / "runs_all" / a).rename(tmp_path / "mine" / "copied")
    assert said(capsys, str(copied), b)[0].startswith("A: copied, latest.pth of iteration 7, 2 episodes")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"games": [{}], "summary": {}}', "cannot be read"),
        ('{"checkpoint": "x", "checkpoints": [{"iteration": 1}], "games": [], "summary": {}}', "holds no episodes"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_results_that_are_none_are_one_line(content: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = played(1, [1.0]), played(2, [1.0])
    Run(Path("runs_all", a)).results_file.write_text(content)
    assert main([a, b]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
