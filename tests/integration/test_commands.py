"""The training program from its command line to what it leaves in its folder."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import BACKEND, SMALL, Forked, Running, run, run_process
from test_resume import differences, state_of

from dexhand.app import __main__ as program
from dexhand.checkpoints.store import load_checkpoint
from dexhand.core.program import run_program


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which one short training has run, which has made its imports itself."""
    folder = tmp_path_factory.mktemp("trained")
    done = run_process([*SMALL, "task=BaseTask", "maxIter=3", "training.seed=7", "task.episodeLength=20"], folder)
    assert done.returncode == 0, done.stderr
    (folder / "output.txt").write_text(done.stdout)
    return folder


class TestTraining:
    def test_the_run_folder_is_complete(self, trained: Path) -> None:
        """Configuration, command, log, event file and checkpoints, reachable through the workspace."""
        run_folder = trained / "runs" / "latest_train"
        for name in ("config.yaml", "command.txt", "train.log", "nn/latest.pth", "nn/checkpoint_best.pth"):
            assert (run_folder / name).is_file(), name
        assert list((run_folder / "summaries").glob("events.*"))
        assert os.readlink(run_folder).startswith("..")

    def test_progress_is_printed(self, trained: Path) -> None:
        """Where it stands, how fast it is, what it earns, when it is done."""
        output = (trained / "output.txt").read_text()
        assert "iteration 3/3" in output
        for part in ("frames/s", "return", "length", "actor", "critic", "lr", "ETA"):
            assert part in output

    def test_an_old_spelling_is_remarked_upon(self, trained: Path) -> None:
        """In one line with the new one."""
        assert "training.seed is an old spelling of train.seed" in (trained / "output.txt").read_text()

    def test_every_reward_term_is_in_the_event_file(self, trained: Path) -> None:
        """From the first iteration on."""
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(trained / "runs" / "latest_train" / "summaries"))
        events.Reload()
        for term in ("alive", "height_safety", "joint_limit", "contact_stability", "termination_failure_penalty"):
            assert len(events.Scalars(f"rewards/{term}")) == 3

    def test_a_saved_configuration_runs_again(self, trained: Path, tmp_path: Path) -> None:
        """The same first losses come out."""
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        saved = trained / "runs" / "latest_train" / "config.yaml"
        done = run([f"config={saved}", "maxIter=1"], tmp_path)
        assert done.returncode == 0, done.stderr
        losses = []
        for folder in (trained, tmp_path):
            events = EventAccumulator(str(folder / "runs" / "latest_train" / "summaries"))
            events.Reload()
            losses.append(events.Scalars("losses/actor")[0].value)
        assert losses[0] == losses[1]

    def test_training_continues_from_the_latest_run(self, trained: Path, tmp_path: Path) -> None:
        """In another process and a folder of its own; the state is that of a training without a break, in every bit."""
        words = [*SMALL, "maxIter=5", "task.episodeLength=20"]
        done = run([*words, "checkpoint=latest", "train.runsDir=runs"], trained)
        assert done.returncode == 0, done.stderr
        assert "at iteration 3" in done.stdout
        state = state_of(trained)
        assert (state["epoch"], state["frame"]) == (5, 5 * 4 * 8)
        assert run([*words, "seed=7"], tmp_path).returncode == 0
        assert differences(state_of(tmp_path), state) == []

    def test_nothing_left_to_do_is_an_error(self, trained: Path) -> None:
        """MaxIterations counts from the very beginning."""
        done = run([*SMALL, "checkpoint=latest", "maxIter=1"], trained)
        assert done.returncode == 2
        assert done.stderr.startswith("error: train.maxIterations=1")


def test_nobody_reads_what_it_prints(tmp_path: Path) -> None:
    """A training whose standard output is a closed pipe and whose standard error is a full disk goes on to its end."""
    reader, writer = os.pipe()
    os.close(reader)

    def train_unread() -> None:
        os.dup2(writer, 1)
        os.dup2(os.open("/dev/full", os.O_WRONLY), 2)
        run_program(program.main)

    done = Forked([*SMALL, "sim.backend=mock", "maxIter=2"], tmp_path, train_unread).end()
    os.close(writer)
    assert done.returncode == 0
    run_folder = tmp_path / "runs" / "latest_train"
    assert load_checkpoint(run_folder / "nn" / "latest.pth")["epoch"] == 2
    assert "Stopped after 2 iterations" in (run_folder / "train.log").read_text()


class TestStopping:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_ends_training_in_good_order(self, tmp_path: Path, number: signal.Signals) -> None:
        """The iteration is finished and saved, its place is said, the exit code is 0."""
        nn = tmp_path / "runs" / "latest_train" / "nn"

        def meanwhile(training: Running) -> None:
            training.wait_for_file(nn / "checkpoint_2.pth")
            training.signal(number)

        done = run([*SMALL, "train.saveFrequency=1"], tmp_path, meanwhile)
        assert done.returncode == 0, done.stderr
        assert "stop requested" in done.stdout
        assert f"Saved {nn.resolve()}" in done.stdout
        load_checkpoint(nn / "latest.pth")


@pytest.fixture(scope="module")
def tested(trained: Path) -> "subprocess.CompletedProcess[str]":
    """Seven episodes of the trained policy."""
    arguments = [f"sim.backend={BACKEND}", "test=true", "checkpoint=latest", "testGamesNum=7", "numEnvs=3"]
    return run([*arguments, "task.episodeLength=12"], trained)


class TestTesting:
    def test_exactly_the_games_asked_for_are_played(
        self, tested: "subprocess.CompletedProcess[str]", trained: Path
    ) -> None:
        """Shared out evenly, each with return, length and how it ended."""
        assert tested.returncode == 0, tested.stderr
        results = json.loads((trained / "runs" / "latest_test" / "results.json").read_text())
        assert [game["number"] for game in results["games"]] == list(range(1, 8))
        assert sorted(game["env_id"] for game in results["games"]) == [0, 0, 0, 1, 1, 2, 2]
        assert {game["length"] for game in results["games"]} == {11}
        assert {game["outcome"] for game in results["games"]} == {"timeout"}
        assert results["summary"]["games"] == 7
        assert "episode 7/7" in tested.stdout
        assert "7 episodes: return" in tested.stdout

    def test_a_test_run_has_a_folder_of_its_own(
        self, tested: "subprocess.CompletedProcess[str]", trained: Path
    ) -> None:
        """latest_test leads to it, latest_train stays where it was."""
        assert "_test_" in (trained / "runs" / "latest_test").resolve().name
        assert "_train_" in (trained / "runs" / "latest_train").resolve().name

    def test_another_network_than_the_default_is_played_as_it_was_trained(
        self, tested: "subprocess.CompletedProcess[str]"
    ) -> None:
        """The checkpoint knows its sizes; they need not be given again."""
        assert tested.returncode == 0

    def test_other_observations_than_trained_for_are_refused(self, trained: Path) -> None:
        """One line with what was trained."""
        arguments = ["test=true", "checkpoint=latest", "task.policy_observation_keys=[hand_pose]"]
        done = run([f"sim.backend={BACKEND}", *arguments], trained)
        assert done.returncode == 2
        assert "was trained with task.policy_observation_keys=[" in done.stderr.splitlines()[-1]


class TestMistakes:
    MISTAKES = (
        (["env.numEnv=3"], "Did you mean 'env.numEnvs'?"),
        (["env.numEnvs=three"], "whole number"),
        (["task=Juggling"], "Known: Ant, BaseTask"),
        (["checkpoint=nowhere.pth"], "nowhere.pth"),
        (["test=true"], "needs train.checkpoint"),
    )

    def test_a_mistake_is_one_line_and_needs_no_torch(self, tmp_path: Path) -> None:
        """Exit code 2, nothing written, torch not imported."""
        code = (
            "import sys\n"
            "from dexhand.app.main import main\n"
            f"print([main(arguments) for arguments, _ in {self.MISTAKES!r}], 'torch' in sys.modules)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout == "[2, 2, 2, 2, 2] False\n"
        for line, (_, words) in zip(done.stderr.splitlines(), self.MISTAKES, strict=True):
            assert words in line
        assert list(tmp_path.iterdir()) == []

    def test_the_script_ends_with_the_exit_code(self, tmp_path: Path) -> None:
        """A shell sees that it failed."""
        done = run_process(["env.numEnv=3"], tmp_path)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)

    def test_a_gpu_that_is_not_there_is_said_before_anything_is_built(self, tmp_path: Path) -> None:
        """With what to use instead."""
        done = run(["env.device=cuda:99", "sim.backend=mock"], tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith("error: env.device=cuda:99")
        assert done.stderr.count("\n") == 1
        assert list(tmp_path.iterdir()) == []

    def test_a_dry_run_starts_nothing(self, tmp_path: Path) -> None:
        """It prints the plan and leaves no file."""
        done = run(["--dry-run", "numEnvs=3"], tmp_path)
        assert done.returncode == 0
        assert "numEnvs: 3" in done.stdout
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("words", "part"),
        [
            (["sim.backend=isaacgym"], "sim.backend=isaacgym: Isaac Gym needs Python 3.8"),
            (["train.wandb.enabled=true"], "Weights & Biases is not installed"),
            (["env.factory=nothing.py:make"], "env.factory=nothing.py:make: there is no such file"),
        ],
    )
    def test_a_dry_run_refuses_what_is_not_there(
        self, words: list[str], part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Like the run itself."""
        monkeypatch.setattr("dexhand.app.installed.is_installed", lambda _: False)
        done = run([*words, "--dry-run"], tmp_path)
        assert done.returncode == 2
        assert part in done.stderr

    def test_a_file_that_is_no_checkpoint_is_refused(self, tmp_path: Path) -> None:
        """In one line; no run is begun."""
        (tmp_path / "broken.pth").write_bytes(b"PK\x03\x04 nothing")
        done = run([*SMALL, "checkpoint=broken.pth"], tmp_path)
        assert done.returncode == 2
        assert "broken.pth" in done.stderr
        assert done.stderr.count("\n") == 1
        assert not (tmp_path / "runs").exists()
