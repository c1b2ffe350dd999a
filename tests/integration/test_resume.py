"""Trainings that go on."""

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import BACKEND, SMALL, Forked, run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dexhand.checkpoints.store import load_checkpoint, save_checkpoint
from dexhand.mock_training.differences import differences as compare
from dexhand.workspace.workspace import Run, lock_run


def state_of(folder: Path) -> dict[str, Any]:
    """The newest run's state."""
    return load_checkpoint(folder / "runs" / "latest_train" / "nn" / "latest.pth")


def differences(first: Any, second: Any) -> list[str]:
    """Where two states differ in any bit."""
    return list(compare(first, second))


@pytest.mark.parametrize("task", ["BaseTask", "BlindGrasping"])
@pytest.mark.parametrize("backend", sorted({"mock", BACKEND}))
def test_two_and_two_iterations_are_four_bit_for_bit(tmp_path: Path, backend: str, task: str) -> None:
    """Weights, optimizer, schedule, normalisers, random generators, environments, episodes and best score."""
    common = [*SMALL, f"sim.backend={backend}", f"task={task}", "task.episodeLength=10", "seed=5"]
    whole = run([*common, "maxIter=4"], tmp_path)
    assert whole.returncode == 0, whole.stderr
    expected = state_of(tmp_path)
    assert run([*common, "maxIter=2"], tmp_path).returncode == 0
    second = run([*common, "maxIter=4", "checkpoint=latest", "seed=99"], tmp_path)
    assert second.returncode == 0, second.stderr
    assert differences(expected, state_of(tmp_path)) == []


def test_weights_alone_begin_a_run_anew(tmp_path: Path) -> None:
    """Iteration, optimizer and score are fresh; the network is not."""
    assert run([*SMALL, "maxIter=3"], tmp_path).returncode == 0
    first = state_of(tmp_path)
    done = run(
        [*SMALL, "maxIter=1", "checkpoint=latest", "train.resume=weights", "train.ppo.learning_rate=1e-9"], tmp_path
    )
    assert done.returncode == 0, done.stderr
    second = state_of(tmp_path)
    assert (second["epoch"], second["frame"]) == (1, 32)
    name = "a2c_network.mu.weight"
    assert torch.allclose(first["model"][name], second["model"][name], atol=1e-4)


class TestInTheSameRun:
    def test_a_killed_training_goes_on_in_its_folder_and_curve(self, tmp_path: Path) -> None:
        """After kill -9: one folder, its own configuration, one value at each step, leftovers gone."""
        training = Forked([*SMALL, "maxIter=1000000", "train.saveFrequency=5"], tmp_path)
        nn = tmp_path / "runs" / "latest_train" / "nn"
        training.wait_for_file(nn / "checkpoint_5.pth")
        time.sleep(0.5)  # some iterations that no checkpoint has
        training.kill()
        (nn / ".latest.pth.0123abcd.tmp").touch()
        saved = load_checkpoint(nn / "latest.pth")["epoch"]
        time.sleep(1.0)  # event files are in the order of the seconds in which they were begun
        done = run(["resume=latest", f"maxIter={saved + 3}"], tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"at iteration {saved}" in done.stdout
        (folder,) = (tmp_path / "runs_all").glob("*_train_*")
        assert load_checkpoint(nn / "latest.pth")["epoch"] == saved + 3
        assert not list(nn.glob(".*"))
        assert len((folder / "command.txt").read_text().splitlines()) == 2
        events = EventAccumulator(str(folder / "summaries"), size_guidance={"scalars": 0})
        events.Reload()
        steps = [event.step for event in events.Scalars("info/iteration")]
        values = [int(event.value) for event in events.Scalars("info/iteration")]
        assert values == list(range(1, saved + 4))
        assert steps == [32 * value for value in values]

    def test_a_training_that_diverges_keeps_its_last_finite_checkpoint(self, tmp_path: Path) -> None:
        """And says in one line where it is; it can be resumed, while a checkpoint with NaN names it instead."""
        settings = ["sim.backend=mock", "train.ppo.lr_schedule=constant", "train.saveFrequency=1"]
        assert run([*SMALL, *settings, "maxIter=2"], tmp_path).returncode == 0
        nn = (tmp_path / "runs" / "latest_train").resolve() / "nn"
        rate = load_checkpoint(nn / "latest.pth")["dexhand"]["learning_rate"]
        before = {path.name: path.read_bytes() for path in nn.iterdir()}
        done = run(["resume=latest", "maxIter=9", "train.ppo.learning_rate=1e30"], tmp_path)
        assert done.returncode == 1
        (line,) = (line for line in done.stdout.splitlines() if line.startswith("error: "))
        assert "diverged at iteration 3: losses/actor is not finite" in line
        assert f"The last finite checkpoint is {nn / 'latest.pth'}. Try a smaller learning rate" in line
        assert {path.name: path.read_bytes() for path in nn.iterdir()} == before

        assert run(["resume=latest", "maxIter=3", f"train.ppo.learning_rate={rate}"], tmp_path).returncode == 0

        state = load_checkpoint(nn / "latest.pth")
        state["model"]["a2c_network.mu.weight"][0, 0] = torch.nan  # as older versions saved it
        save_checkpoint(nn / "latest.pth", state)
        refused = run(["resume=latest", "maxIter=9"], tmp_path)
        assert refused.returncode == 2
        (line,) = refused.stderr.splitlines()
        assert "model.a2c_network.mu.weight is not finite" in line
        assert line.endswith(f"give the newest one that is, {nn / 'checkpoint_3.pth'}")
        assert run([f"resume={nn / 'checkpoint_3.pth'}", "maxIter=4"], tmp_path).returncode == 0

    def test_one_run_is_trained_by_one_process(self, tmp_path: Path) -> None:
        """While it is locked it is refused to others."""
        assert run([*SMALL, "maxIter=1"], tmp_path).returncode == 0
        with lock_run(Run((tmp_path / "runs" / "latest_train").resolve())):
            done = run(["resume=latest", "maxIter=2"], tmp_path)
        assert done.returncode == 2
        assert "is being trained by another process" in done.stderr.splitlines()[-1]

    def test_from_one_of_its_older_checkpoints(self, tmp_path: Path) -> None:
        """Naming a file goes back to it."""
        assert run([*SMALL, "maxIter=3", "train.saveFrequency=1"], tmp_path).returncode == 0
        name = next((tmp_path / "runs_all").glob("*_train_*")).name
        done = run([f"resume=runs/{name}/nn/checkpoint_1.pth", "maxIter=2"], tmp_path)
        assert done.returncode == 0, done.stderr
        assert state_of(tmp_path)["epoch"] == 2

    def test_with_another_learning_rate(self, tmp_path: Path) -> None:
        """The log says that it begins anew; later it goes on."""
        assert (
            run([*SMALL, "sim.backend=mock", "train.ppo.lr_schedule=constant", "maxIter=1"], tmp_path).returncode == 0
        )
        changed = run(["resume=latest", "maxIter=2", "train.ppo.learning_rate=1e-5"], tmp_path)
        assert "The learning rate restarts at 1e-05" in changed.stdout
        assert state_of(tmp_path)["dexhand"]["learning_rate"] == 1e-5
        assert "The learning rate continues at 1e-05" in run(["resume=latest", "maxIter=3"], tmp_path).stdout

    def test_another_configuration_than_that_of_the_checkpoint(self, tmp_path: Path) -> None:
        """It is reported; the configuration that the run itself wrote is not."""
        assert run([*SMALL, "sim.backend=mock", "maxIter=1"], tmp_path).returncode == 0
        again = run(["resume=latest", "maxIter=2"], tmp_path)
        assert again.returncode == 0, again.stderr
        assert "another configuration" not in again.stdout
        config = tmp_path / "runs" / "latest_train" / "config.yaml"
        lines = config.read_text().replace("maxIterations: 2", "maxIterations: 9").splitlines(keepends=True)
        config.write_text("".join(lines[1:-1]))
        other = run(["resume=latest", "maxIter=3"], tmp_path)
        assert other.returncode == 0, other.stderr
        assert "nn/latest.pth was saved under another configuration than" in other.stdout

    def test_a_folder_that_cannot_be_cleaned_up(self, tmp_path: Path) -> None:
        """One line that names it."""
        assert run([*SMALL, "sim.backend=mock", "maxIter=1"], tmp_path).returncode == 0
        obstacle = (tmp_path / "runs" / "latest_train").resolve() / "nn" / ".latest.pth.0123abcd.tmp"
        obstacle.mkdir()
        done = run(["resume=latest", "maxIter=2"], tmp_path)
        assert (done.returncode, done.stderr) == (2, f"error: {obstacle}: Is a directory\n")

    def test_what_is_no_run_is_refused(self, tmp_path: Path) -> None:
        """In one line, with what to do instead."""
        done = run(["resume=latest"], tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith("error: resume='latest': there is no training run")
