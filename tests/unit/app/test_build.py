"""Which simulator and device a configuration means on this machine, and which policies fit it."""

import importlib.util
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dexhand.app.build import backend_of, build_env, check_contract, check_machine, contract_of, device_of
from dexhand.app.build.env import BUILDERS
from dexhand.app.build.plugins import check_call
from dexhand.config.compose import compose
from dexhand.config.errors import ConfigError
from dexhand.config.schema import Config
from dexhand.hands.spec import HANDS

OWN = "dexhand.mock.simulator:MockSimulator"
FOUR_FINGER = Path(__file__).parents[2] / "hands" / "four_finger"
Machine = Callable[[int, set[str]], None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """``machine(gpus, packages)``: pretend that torch finds these GPUs and that only these simulators are installed."""

    def pretend(gpus: int, packages: set[str]) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name in packages else None)

    return pretend


class TestChoice:
    @pytest.mark.parametrize(
        ("gpus", "packages", "device", "expected"),
        [
            (0, {"mujoco", "mujoco_warp"}, "auto", ("mujoco", "cpu")),
            (1, {"mujoco", "mujoco_warp"}, "auto", ("mujoco_warp", "cuda:0")),
            (1, {"mujoco", "mujoco_warp"}, "cuda:0", ("mujoco_warp", "cuda:0")),
            (1, {"mujoco", "mujoco_warp"}, "cpu", ("mujoco", "cpu")),
            (1, {"mujoco"}, "auto", ("mujoco", "cpu")),
        ],
    )
    def test_auto_takes_the_best(
        self, machine: Machine, gpus: int, packages: set[str], device: str, expected: tuple[str, str]
    ) -> None:
        """MuJoCo Warp where there are a GPU and the package, unless the CPU is asked for; else MuJoCo."""
        config = compose([f"env.device={device}"])
        machine(gpus, packages)
        assert (backend_of(config), str(device_of(config))) == expected

    @pytest.mark.parametrize(("gpus", "expected"), [(0, "cpu"), (1, "cuda:0")])
    def test_mujoco_warp_works_where_the_machine_can(self, machine: Machine, gpus: int, expected: str) -> None:
        """On the GPU if there is one, else on Warp's CPU device."""
        config = compose(["sim.backend=mujoco_warp"])
        machine(gpus, {"mujoco", "mujoco_warp"})
        assert device_of(config) == torch.device(expected)

    @pytest.mark.parametrize(
        ("word", "device"),
        [("env.device=auto", "cpu"), ("sim_device=cuda:0", "cuda:0"), ("rl_device=cuda:0", "cuda:0")],
    )
    def test_a_gpu_is_for_the_learner_where_physics_are_gymnasiums(
        self, machine: Machine, word: str, device: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is used if it is asked for; the log says where what computes."""
        machine(1, set())
        config = compose(["task=Ant", word])
        with caplog.at_level(logging.INFO):
            check_machine(config)
        assert str(device_of(config)) == device
        assert caplog.messages == [f"task=Ant: physics on the CPU, network on {device}"]

    @pytest.mark.parametrize(
        ("backend", "line"),
        [
            ("mock", "sim.backend=mock on cpu"),
            (OWN, f"sim.backend={OWN} on cpu; for code of your own, env.device=auto is the CPU"),
        ],
    )
    def test_the_log_names_both(self, backend: str, line: str, caplog: pytest.LogCaptureFixture) -> None:
        """With the reason, where a GPU might have been expected."""
        with caplog.at_level(logging.INFO):
            check_machine(compose([f"sim.backend={backend}"]))
        assert caplog.messages == [line]


class TestRefusal:
    @pytest.mark.parametrize(
        ("overrides", "gpus", "packages", "parts"),
        [
            (
                ["sim.backend=isaacgym"],
                1,
                {"mujoco"},
                ["sim.backend=isaacgym", "Use sim.backend=mujoco_warp or mujoco"],
            ),
            (["sim.backend=mujoco_warp"], 1, {"mujoco"}, ["sim.backend=mujoco_warp", "pip install 'dexhand[warp]'"]),
            (["sim.backend=mujoco_warp", "env.device=cuda:1"], 1, {"mujoco_warp"}, ["env.device=cuda:1", "finds 1"]),
            (["env.device=cuda"], 0, {"mujoco"}, ["env.device=cuda", "finds 0", "env.device=cpu"]),
            (["env.device=cuda"], 1, {"mujoco"}, ["sim.backend=mujoco works on the CPU", "mujoco_warp"]),
        ],
    )
    def test_what_is_missing_is_said(
        self, machine: Machine, overrides: list[str], gpus: int, packages: set[str], parts: list[str]
    ) -> None:
        """With what to do about it."""
        config = compose(overrides)
        machine(gpus, packages)
        with pytest.raises(ConfigError) as error:
            device_of(config)
        assert [part for part in parts if part not in str(error.value)] == []


class TestHandOfAPolicy:
    def test_the_same_hand_passes_under_another_name(self, tmp_path: Path) -> None:
        """Only what a policy takes for granted counts, not the folder."""
        renamed = shutil.copytree(FOUR_FINGER, tmp_path / "renamed")
        check(renamed, contract_of(with_hand(FOUR_FINGER)))

    def test_another_hand_of_the_same_name_is_refused(self, tmp_path: Path) -> None:
        """Here two controls have changed places."""
        other = shutil.copytree(FOUR_FINGER, tmp_path / "four_finger")
        text = (other / "spec.yaml").read_text().replace("index_mcp", "X").replace("middle_mcp", "index_mcp")
        (other / "spec.yaml").write_text(text.replace("X", "middle_mcp"))
        with pytest.raises(ConfigError, match=r"layout of env\.hand=\w+ \(four_finger\): .* trained with"):
            check(other, contract_of(with_hand(FOUR_FINGER)))

    @pytest.mark.parametrize(
        ("trained", "hand"),
        [({}, "dexhand021_right"), ({"env.hand": "dexhand021_left"}, "dexhand021_left")],
        ids=["no hand", "a name"],
    )
    def test_older_policies_record_at_most_a_name(self, trained: dict[str, Any], hand: str, tmp_path: Path) -> None:
        """It means the built-in hand, also as a copy of its folder; other hands are refused."""
        contract = {"task.name": contract_of(with_hand(hand))["task.name"], **trained}
        check(hand, contract)
        check(shutil.copytree(HANDS / hand, tmp_path / "copy"), contract)
        with pytest.raises(ConfigError, match=f"env.hand=four_finger: .* trained with env.hand={hand}"):
            check(FOUR_FINGER, contract)


def with_hand(hand: Path | str) -> Config:
    return compose([f"env.hand={hand}"])


def check(hand: Path | str, contract: dict[str, Any]) -> None:
    check_contract(with_hand(hand), Path("a.pth"), {"train_loop": {"contract": contract}})


@pytest.mark.parametrize(
    "problem",
    [MemoryError(), MemoryError("std::bad_alloc"), ValueError("std::bad_alloc"), RuntimeError("CUDA out of memory.")],
)
def test_too_many_environments_for_the_memory(problem: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """However MuJoCo and torch say it; another error is raised as it is."""

    def fail(*_: object) -> None:
        raise problem

    monkeypatch.setitem(BUILDERS, "hand", fail)
    with pytest.raises(ConfigError, match=r"^env.numEnvs=7: the memory does not suffice"):
        build_env(compose(["numEnvs=7"]))
    problem = RuntimeError("another")
    with pytest.raises(RuntimeError, match="another"):
        build_env(compose(["numEnvs=7"]))


def test_code_without_a_readable_signature_is_refused() -> None:
    """Whether it takes the arguments cannot be known."""
    with pytest.raises(ConfigError, match=r"env\.factory=builtins:dict is called with \(seed=\.\.\.\).*no signature"):
        check_call("env.factory=builtins:dict", dict, seed=1)
