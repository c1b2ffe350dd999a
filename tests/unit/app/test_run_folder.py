"""A run as it begins: held, recorded, shown; and begun again from what it recorded."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from dexhand.app.build import build_algorithm, build_env, set_up_process
from dexhand.app.run_folder import new_run, resume_run
from dexhand.config.cli import Invocation
from dexhand.config.compose import compose
from dexhand.config.errors import ConfigError
from dexhand.config.schema import Config
from dexhand.core.process_state import process_state_restored
from dexhand.mock.clock import FakeClock
from dexhand.workspace.links import is_running
from dexhand.workspace.workspace import Run, Workspace

SMALL = [
    "sim.backend=mock",
    "numEnvs=4",
    "train.network.units=[16]",
    "train.ppo.horizon_length=8",
    "task.episodeLength=5",
]


@pytest.fixture(autouse=True)
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A working directory of its own; what is set for the whole process is put back."""
    monkeypatch.chdir(tmp_path)
    handlers = list(logging.getLogger().handlers)
    with process_state_restored():
        yield
    logging.getLogger().handlers = handlers


def invocation(*overrides: str, config: str = "config") -> Invocation:
    return Invocation(compose(overrides, config), dry_run=False, argv=overrides, warnings=())


def nothing(run: Run) -> None:
    """What a run needs in its folder that is of no concern."""


def losses(config: Config) -> dict[str, float]:
    """Of the first iteration."""
    set_up_process(config)
    metrics = build_algorithm(config, build_env(config)).iterate().metrics
    return {name: value for name, value in metrics.items() if not name.startswith("performance/")}


class TestBegun:
    def test_a_run_is_held_recorded_and_shown(self) -> None:
        """For as long as it lasts other processes see that somebody works in it."""
        with new_run("train", invocation(*SMALL), FakeClock(), nothing) as (run, _):
            assert is_running(run.path)
            assert Path("runs/latest_train").resolve() == run.path
            files = {"config.yaml", "command.txt", "git.txt", "packages.txt", "train.log"}
            assert files <= {path.name for path in run.path.iterdir()}
        assert not is_running(run.path)

    def test_limits_and_layout_come_from_the_configuration(self) -> None:
        """train.maxTrainRuns, train.maxTestRuns, train.maxRecentRuns and train.useCleanWorkspace."""
        shown: list[Any] = []
        for keys in (["maxTrainRuns=2"], ["maxTrainRuns=3", "maxRecentRuns=1"], ["useCleanWorkspace=false"]):
            asked = invocation(*(f"train.{key}" for key in keys))
            for _ in range(4):
                with new_run("train", asked, FakeClock(), nothing):
                    pass
            runs = [path for path in Path("runs").iterdir() if "_train_" in path.name]
            shown.append((sum(path.is_symlink() for path in runs), sum(not path.is_symlink() for path in runs)))
        assert shown == [(2, 0), (1, 0), (1, 4)]

    @pytest.mark.parametrize("kind", ["train", "test"])
    def test_where_links_cannot_be_made_it_goes_on(
        self, kind: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """One warning says where the run is; latest finds it."""

        def refuse(*_: Any, **__: Any) -> None:
            raise OSError(30, "Read-only file system", "runs/x")

        monkeypatch.setattr(os, "symlink", refuse)
        asked = invocation(*SMALL)
        with new_run(kind, asked, FakeClock(), nothing) as (run, _):
            (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert "Read-only file system" in warning.getMessage()
        assert str(run.path) in warning.getMessage()
        assert Workspace(Path("runs")).latest(kind) == run.path
        if kind == "train":
            resume_run(run, asked)
            assert Workspace(Path("runs")).latest(kind) == run.path


class TestAFailedStart:
    @pytest.mark.parametrize("error", [ConfigError("no"), KeyboardInterrupt()])
    def test_leaves_no_run(self, error: BaseException) -> None:
        """The folder is removed, and latest is still the run before."""
        with new_run("train", invocation(*SMALL), FakeClock(), nothing) as (run, _):
            pass

        def prepare(run: Run) -> None:
            (run.path / "summaries").mkdir()
            raise error

        with pytest.raises(type(error)), new_run("train", invocation(*SMALL), FakeClock(), prepare):
            pytest.fail("the run began")
        assert list(Path("runs_all").glob("*_train_*")) == [run.path.relative_to(Path.cwd())]
        assert Workspace(Path("runs")).latest("train") == run.path


class TestAgain:
    """config=<run>/config.yaml does again what the run did."""

    def test_the_same_losses(self) -> None:
        """Bit for bit, in the first iteration; with a seed that was drawn, too."""
        asked = invocation(*SMALL, "seed=-1")
        with new_run("train", asked, FakeClock(), nothing) as (run, _):
            first = losses(asked.config)
        again = invocation(config=str(run.config_file))
        assert again.config == asked.config
        assert again.config.train.seed >= 0
        assert {"losses/actor", "losses/critic"} <= first.keys()
        assert losses(again.config) == first
        assert losses(invocation("seed=1", config=str(run.config_file)).config) != first

    def test_a_seed_is_drawn_each_time(self) -> None:
        """seed=-1 never means the same twice."""
        assert len({invocation("seed=-1").config.train.seed for _ in range(3)}) == 3

    @pytest.mark.parametrize("wanted", [True, False])
    def test_deterministic_algorithms(self, wanted: bool) -> None:
        """train.torchDeterministic reaches torch, which then refuses what it cannot repeat."""
        set_up_process(invocation(f"train.torchDeterministic={str(wanted).lower()}").config)
        assert torch.are_deterministic_algorithms_enabled() == wanted
        assert losses(invocation(*SMALL, f"train.torchDeterministic={str(wanted).lower()}").config)
