"""Comparing checkpoints from the command line."""

import json
from pathlib import Path
from typing import Any

import coin
import pytest
from coin import save_skill

from dexhand.app import build
from dexhand.app.main import main
from dexhand.config.schema import Config
from dexhand.core import comparison
from dexhand.core.comparison import play_round
from dexhand.core.interfaces import Clock, StepInfo, VecEnv
from dexhand.core.play_control import PlayControl
from dexhand.core.stop import StopRequest
from dexhand.view.messages import Comparison
from dexhand.view.watched_env import Viewer
from dexhand.workspace.workspace import Run

CODE = coin.__file__


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def play_test(*words: str, env: str = "CoinEnv") -> tuple[int, Run]:
    """Run a test of ``coin.py``'s environments; returns the exit code and the run."""
    code = main([f"env.factory={CODE}:{env}", f"train.algorithm={CODE}:CoinLearner", "test=true", *words])
    return code, Run(Path("runs/latest_test"))


def read(file: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(file.read_text())


class FakePage(Viewer):
    """What the page is told; after its first step it restarts the episodes."""

    def __init__(self, env: VecEnv, control: PlayControl) -> None:
        self.env = env
        self.control = control
        self.resets = 0
        self.shown: list[Comparison] = []

    def on_env_step(self, info: StepInfo | None) -> None:
        """Count."""
        if info is None:
            self.resets += 1
        elif self.resets == 1:
            self.control.restart()

    def show_run(self, name: str) -> None:
        """Nothing."""

    def show_comparison(self, comparison: Comparison) -> None:
        """Keep it."""
        self.shown.append(comparison)


class TestTwoCheckpoints:
    def test_the_paired_comparison_is_printed_and_written(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Success and return of both with intervals, their difference, and how sure it is."""
        a, b = save_skill(Path("a"), 100, 0.4), save_skill(Path("b"), 200, 0.8)
        code, run = play_test(f"checkpoint={a}", f"against={b}", "testGamesNum=150", "numEnvs=40")
        assert code == 0
        said = capsys.readouterr().out
        assert "success: B is better with p = " in said
        assert "return: B is better with p = 0.0001; B - A = " in said
        result = read(run.comparison_file)
        assert result["pairs"] == len(result["episodes"]) == 150
        for side, skill, path in (("a", 0.4, a), ("b", 0.8, b)):
            assert result[side]["checkpoint"] == str(path.resolve())
            assert result[side]["success"]["low"] < skill < result[side]["success"]["high"]
            assert sum(result[side]["outcomes"].values()) == 150
        assert result["difference"]["success"]["low"] < 0.4 < result["difference"]["success"]["high"]
        assert result["difference"]["return"]["p"] < 0.001
        assert [result["difference"][name]["verdict"] for name in ("return", "success")] == ["B is better"] * 2
        assert result["seed"] == 42

    def test_no_difference_is_called_so(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A policy against itself."""
        a = save_skill(Path("a"), 100, 0.4)
        assert play_test(f"checkpoint={a}", f"against={a}", "testGamesNum=20", "numEnvs=40")[0] == 0
        assert "return: no difference shown, p = 1; B - A = 0.00 [0.00, 0.00]" in capsys.readouterr().out

    def test_the_test_run_stands_for_a(self) -> None:
        """checkpoint=latest_test plays it."""
        a, b = save_skill(Path("a"), 100, 0.4), save_skill(Path("b"), 200, 0.8)
        _, run = play_test(f"checkpoint={a}", f"against={b}", "testGamesNum=2")
        assert run.played_file.read_text().strip() == str(a.resolve())

    def test_ctrl_c_leaves_the_finished_rounds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without end, until a signal arrives in the third round of two pairs."""
        rounds = iter([False, False, True])

        def play(env: Any, act: Any, seed: int, stop: StopRequest, control: Any) -> Any:
            stop.requested = next(rounds)
            return play_round(env, act, seed, stop)

        monkeypatch.setattr("dexhand.app.compare.play_round", play)
        a = save_skill(Path("a"), 100, 0.4)
        code, run = play_test(f"checkpoint={a}", f"against={a}", "testGamesNum=0", "numEnvs=4")
        assert (code, read(run.comparison_file)["pairs"]) == (0, 4)

    def test_one_without_end_ends_when_memory_would_be_scarce(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """It keeps every pair, so there is a last one."""
        monkeypatch.setattr("dexhand.app.comparison_report.MOST_COMPARED", 5)
        a = save_skill(Path("a"), 100, 0.4)
        code, run = play_test(f"checkpoint={a}", f"against={a}", "testGamesNum=0", "numEnvs=4")
        assert (code, read(run.comparison_file)["pairs"]) == (0, 5)
        assert read(run.comparison_file)["difference"]["return"]["verdict"] == "no difference shown"
        assert "Ends after 5 pairs: all are kept for the tests" in capsys.readouterr().out

    def test_it_can_be_watched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The page is opened for both at once and told how they compare; a restart begins a round again."""
        pages: list[FakePage] = []

        def build_screens(config: Config, env: VecEnv, clock: Clock, stop: StopRequest) -> build.Screens:
            pages.append(FakePage(env, PlayControl(stop, 0.1, clock)))
            return build.Screens(page=pages[0], control=pages[0].control)  # type: ignore[arg-type]

        monkeypatch.setattr(build, "build_screens", build_screens)
        monkeypatch.setattr("dexhand.app.comparison_report.SHOW_INTERVAL", 0.0)
        monkeypatch.setattr("dexhand.app.comparison_report.SHARE", 1e9)
        a, b = save_skill(Path("a"), 100, 0.4), save_skill(Path("b"), 200, 0.8)
        words = [f"checkpoint={a}", f"against={b}", "testGamesNum=8", "numEnvs=4"]
        assert play_test(*words, "videoStream=true")[0] == 0
        page = pages[0]
        assert page.env.num_envs == 4
        assert page.resets == 4 + 1
        assert [state.pairs for state in page.shown] == [2, 4, 6, 8]
        assert page.shown[-1].names == ("A: iteration 100", "B: iteration 200")
        assert list(page.shown[-1].curves) == ["return", "success"]

    def test_environments_that_cannot_repeat_their_starts_are_refused(self, capsys: pytest.CaptureFixture[str]) -> None:
        """In one line."""
        a = save_skill(Path("a"), 100, 0.4)
        assert play_test(f"checkpoint={a}", f"against={a}", env="ForgetfulEnv")[0] == 2
        line = capsys.readouterr().err
        assert line.startswith(f"error: train.against={a}: environments 0, 1, 2, 3, 4, ... do not start again")
        assert line.count("\n") == 1

    def test_a_checkpoint_of_something_else_is_refused(self, capsys: pytest.CaptureFixture[str]) -> None:
        """By name, like one that is played alone."""
        a, b = save_skill(Path("a"), 100, 0.4), save_skill(Path("b"), 200, 0.8, trained_in="other.py:Env")
        assert play_test(f"checkpoint={a}", f"against={b}")[0] == 2
        assert f"{b.resolve()} was trained with env.factory=other.py:Env" in capsys.readouterr().err

    def test_environments_that_diverge_end_it(self, capsys: pytest.CaptureFixture[str]) -> None:
        """As they end a test; the exit code is 1."""
        a = save_skill(Path("a"), 100, 0.4)
        assert play_test(f"checkpoint={a}", f"against={a}", env="InfiniteEnv")[0] == 1
        assert play_test("checkpoint=a", "testEvery=true", env="InfiniteEnv")[0] == 1
        assert capsys.readouterr().out.count("error: The test ends: a reward is not finite") == 2

    def test_copies_of_one_episode_cause_a_warning(self, capsys: pytest.CaptureFixture[str]) -> None:
        """They would make any difference certain."""
        a, b = save_skill(Path("a"), 100, 0.4), save_skill(Path("b"), 200, 0.8)
        play_test(f"checkpoint={a}", f"against={b}", "testGamesNum=100", env="SameStartEnv")
        assert "warning: All episodes began with the same observations" in capsys.readouterr().out


class TestAllCheckpointsOfARun:
    @pytest.fixture
    def folder(self) -> Path:
        """Three checkpoints, of which the second is the best, and the newest one again."""
        for iteration, skill in ((100, 0.1), (200, 0.9), (1000, 0.5)):
            save_skill(Path("mine"), iteration, skill)
        Path("mine/latest.pth").write_bytes(Path("mine/checkpoint_1000.pth").read_bytes())
        return Path("mine")

    def test_they_are_ranked_on_the_same_starts(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """With a table, a file and a curve; who plays as well as the best is told from who does not."""
        code, run = play_test(f"checkpoint={folder}", "testEvery=true", "testGamesNum=100", "numEnvs=40")
        assert code == 0
        ranked = read(run.ranking_file)["checkpoints"]
        assert [(entry["rank"], entry["iteration"]) for entry in ranked] == [(1, 200), (2, 1000), (3, 100)]
        assert [entry["success"]["value"] for entry in ranked] == pytest.approx([0.9, 0.5, 0.1], abs=0.1)
        assert all(entry["p_against_best"] < 0.01 for entry in ranked[1:])
        assert run.ranking_chart.read_text().count("<circle") == 2 * 3
        table = capsys.readouterr().out.partition("like the best?")[2]
        assert [line.split()[:2] for line in table.splitlines()[1:4]] == [["1", "200"], ["2", "1000"], ["3", "100"]]

    def test_every_checkpoint_plays_the_same_episodes(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """One after the other, the oldest first, in rounds of the same seeds."""
        seeds: list[int] = []

        def play(env: Any, act: Any, seed: int, stop: StopRequest) -> Any:
            seeds.append(seed)
            return play_round(env, act, seed, stop)

        monkeypatch.setattr("dexhand.app.rank.play_round", play)
        play_test(f"checkpoint={folder}", "testEvery=true", "testGamesNum=100", "numEnvs=40")
        assert seeds == 3 * [seed for _, seed in zip(range(3), comparison.round_seeds(42))]

    def test_ctrl_c_leaves_the_checkpoints_that_have_played(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A signal arrives in the second one's round."""
        rounds = iter([False, True])

        def play(env: Any, act: Any, seed: int, stop: StopRequest) -> Any:
            stop.requested = next(rounds)
            return play_round(env, act, seed, stop)

        monkeypatch.setattr("dexhand.app.rank.play_round", play)
        code, run = play_test(f"checkpoint={folder}", "testEvery=true", "testGamesNum=40", "numEnvs=40")
        assert code == 0
        assert [entry["iteration"] for entry in read(run.ranking_file)["checkpoints"]] == [100]

    def test_an_iteration_is_ranked_once(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The file's content says which it is, not its name; a file out of order is no harm to the curve."""
        (folder / "checkpoint_50.pth").write_bytes((folder / "checkpoint_1000.pth").read_bytes())
        _, run = play_test(f"checkpoint={folder}", "testEvery=true", "testGamesNum=10", "numEnvs=40")
        ranked = read(run.ranking_file)
        assert sorted(entry["iteration"] for entry in ranked["checkpoints"]) == [100, 200, 1000]
        assert ranked["seed"] == 42
        assert "checkpoint_1000.pth is of iteration 1000, as is " in capsys.readouterr().out

    def test_a_damaged_checkpoint_is_left_out(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """With a warning that names it."""
        (folder / "checkpoint_200.pth").write_bytes(b"PK")
        code, run = play_test(f"checkpoint={folder}", "testEvery=true", "testGamesNum=10", "numEnvs=40")
        assert code == 0
        assert "warning: Left out: " in capsys.readouterr().out
        assert [entry["iteration"] for entry in read(run.ranking_file)["checkpoints"]] == [1000, 100]

    def test_environments_that_cannot_repeat_their_starts_are_refused(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """When the second checkpoint starts elsewhere than the first."""
        assert play_test(f"checkpoint={folder}", "testEvery=true", env="ForgetfulEnv")[0] == 2
        assert "error: train.testEvery=true: environments 0, 1, 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["against=a"], "train.against=a needs train.test=true"),
        (["testEvery=true"], "train.testEvery=true needs train.test=true"),
        (["test=true", "checkpoint=a", "against=a", "testEvery=true"], "exclude each other"),
        (["test=true", "checkpoint=a", "against=nowhere"], "train.against='nowhere': no file, folder or run"),
        (["test=true", "checkpoint=a", "against=a", "numEnvs=5"], "env.numEnvs=5: each of the two checkpoints plays"),
        (["test=true", "checkpoint=a", "against=a", "reloadOn=event"], "Leave out reloadOn=event"),
        (["test=true", "checkpoint=a", "against=a", "videoRecord=true"], "set env.videoRecord=false"),
        (["test=true", "checkpoint=a", "testEvery=true", "testGamesNum=0"], "needs a number of episodes"),
        (["test=true", "checkpoint=a", "testEvery=true", "testGamesNum=100001"], "so 100000 are the most"),
        (["test=true", "checkpoint=b", "testEvery=true"], "there are no numbered checkpoints in "),
    ],
)
def test_nonsense_is_refused_in_one_line(words: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is built."""
    save_skill(Path("a"), 100, 0.4)
    save_skill(Path("b"), 100, 0.4).rename("b/latest.pth")
    assert main(words) == 2
    line = capsys.readouterr().err
    assert problem in line
    assert line.count("\n") == 1
    assert not Path("runs").exists()


def test_a_dry_run_names_the_checkpoints(capsys: pytest.CaptureFixture[str]) -> None:
    """And 64 environments, unless another number is given."""
    a, b = save_skill(Path("a"), 100, 0.4), save_skill(Path("b"), 100, 0.4)
    assert main(["test=true", f"checkpoint={a}", f"against={b}", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "# Compare BaseTask in 64 environments for 100 episodes" in said
    assert f"# from {a.resolve()} against {b.resolve()}" in said


def test_a_dry_run_refuses_what_the_comparison_would(capsys: pytest.CaptureFixture[str]) -> None:
    """A checkpoint of something else, and one that is damaged, which a ranking leaves out."""
    words = [f"env.factory={CODE}:CoinEnv", f"train.algorithm={CODE}:CoinLearner", "test=true", "--dry-run"]
    a, b = save_skill(Path("a"), 100, 0.4), save_skill(Path("a"), 200, 0.8)
    other = save_skill(Path("other"), 100, 0.8, trained_in="other.py:Env")
    for word in (f"against={other}", "testEvery=true"):
        source = a if word.startswith("against") else other.parent
        assert main([*words, f"checkpoint={source}", word]) == 2
        assert f"{other.resolve()} was trained with env.factory=other.py:Env" in capsys.readouterr().err
    b.write_bytes(b"PK")
    assert main([*words, f"checkpoint={a}", f"against={b}"]) == 2
    assert "error: train.against: " in capsys.readouterr().err
    assert main([*words, f"checkpoint={a.parent}", "testEvery=true"]) == 0
    said = capsys.readouterr().out
    assert f"warning: Left out: {b.resolve()}" in said
    assert "# from 1 checkpoints in " in said
