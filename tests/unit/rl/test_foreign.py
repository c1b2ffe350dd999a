"""Checkpoints that rl_games itself wrote."""

import contextlib
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from point_env import ppo

from dexhand.checkpoints.store import CheckpointError
from dexhand.rl.foreign import UntrustedCheckpointError, parse_foreign
from dexhand.rl.policy import RlGamesPolicy


def parse(path: Path, trust: bool = False) -> dict[str, Any]:
    """Read it as the program does."""
    return parse_foreign(path, path.read_bytes(), trust=trust, activation="elu")


@pytest.mark.parametrize("keys", [{}, {"units": (8, 4)}, {"normalize_input": False, "normalize_value": False}])
def test_a_file_of_the_library_plays_as_it_was_trained(tmp_path: Path, keys: dict[str, Any]) -> None:
    """Written by its own agent; the network's sizes are read off the tensors."""
    algorithm, observations = ppo(**keys), torch.randn(5, 3)
    algorithm.iterate()
    with contextlib.redirect_stdout(io.StringIO()):
        algorithm._agent.save(str(tmp_path / "theirs"))
    state = parse(tmp_path / "theirs.pth")
    assert (state["epoch"], state["frame"]) == (1, 32)
    policy = RlGamesPolicy.from_state(state, torch.device("cpu"))
    assert policy.spec == algorithm.spec
    assert torch.equal(policy.act(observations), algorithm.policy().act(observations))


def theirs(path: Path, **more: Any) -> Path:
    """A file like the library's, with something changed."""
    state = {**ppo()._agent.get_full_state_weights(), **more}
    torch.save(state, path)
    return path


@pytest.mark.parametrize("score", [np.float32(1.5), np.float64(-3.0), np.int64(7), np.array([1.0, 2.0], np.float32)[0]])
def test_scores_are_numpy_numbers(tmp_path: Path, score: Any) -> None:
    """The library saves them so."""
    parse(theirs(tmp_path / "scored.pth", last_mean_rewards=score))


def test_names_that_compiling_the_model_changed_are_put_right(tmp_path: Path) -> None:
    """As the library does when it loads."""
    model = ppo()._agent.model.state_dict()
    path = theirs(tmp_path / "compiled.pth", model={f"_orig_mod.{name}": tensor for name, tensor in model.items()})
    assert parse(path)["model"].keys() == model.keys()


class Malicious:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    """It is refused, with the reason and what to give if the file is trusted."""
    path = theirs(tmp_path / "bad.pth", extra=Malicious(tmp_path / "run"))
    with pytest.raises(UntrustedCheckpointError, match=r"could run code.*train\.trustCheckpoint=true"):
        parse(path)
    assert not (tmp_path / "run").exists()
    parse(path, trust=True)
    assert (tmp_path / "run").exists()


def test_what_is_not_of_rl_games_is_refused(tmp_path: Path) -> None:
    """Other programs' dictionaries, other networks, other things."""
    for value, words in (
        ({"weights": torch.ones(2)}, "holds no model"),
        ([1, 2], "holds no model"),
        ({"model": {"conv.weight": torch.ones(2)}}, "continuous actor-critic MLP"),
    ):
        torch.save(value, tmp_path / "other.pth")
        with pytest.raises(CheckpointError, match=words):
            parse(tmp_path / "other.pth")


def test_a_bare_pickle_is_refused_before_anything_reads_it(tmp_path: Path) -> None:
    """It is no zip file, and old ways of saving are not read."""
    from dexhand.checkpoints.store import load_checkpoint

    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Malicious(tmp_path / "run")))
    with pytest.raises(CheckpointError, match="not a zip file"):
        load_checkpoint(tmp_path / "bare.pth")
    assert not (tmp_path / "run").exists()
