"""A checkpoint that was copied out of its run, alone, is played and loaded as it was trained."""

from pathlib import Path

import numpy as np
import pytest
import torch

import dexhand
from dexhand.app.main import main
from dexhand.checkpoints.store import load_checkpoint, save_checkpoint
from dexhand.config.errors import ConfigError

MOCK = ["sim.backend=mock", "train.logLevel=error"]


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a training with an unusual box, in a folder where nothing else is."""
    folder = tmp_path_factory.mktemp("trained")
    ppo = ["train.ppo.horizon_length=4", "train.ppo.minibatch_size=8", "train.network.units=[8]"]
    words = ["task=BlindGrasping", "task.box.mass=0.3", "numEnvs=2", "maxIter=1", f"train.runsDir={folder}/runs"]
    assert main([*words, *ppo, *MOCK]) == 0
    place = tmp_path_factory.mktemp("elsewhere") / "it's mine.pth"
    (folder / "runs" / "latest_train" / "nn" / "latest.pth").rename(place)
    return place


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder without runs."""
    monkeypatch.chdir(tmp_path)


def test_it_plays_with_the_settings_of_its_training(copied: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.pth").hardlink_to(copied)
    assert main(["test=true", "checkpoint=mine.pth", "testGamesNum=1", "numEnvs=1", *MOCK]) == 0
    played = (tmp_path / "runs" / "latest_test" / "config.yaml").read_text()
    assert "mass: 0.3" in played
    assert "name: BlindGrasping" in played


def test_it_is_loaded_in_python(copied: Path) -> None:
    """It acts on one observation or on several, arrays or tensors, in the same way."""
    policy = dexhand.load_policy(copied, "sim.backend=mock")
    assert (policy.task, policy.iteration) == ("BlindGrasping", 1)
    observations = torch.randn(3, policy.num_observations)
    actions = policy.act(observations)
    assert actions.shape == (3, policy.num_actions)
    alone = policy.act(observations[1].numpy())
    assert type(alone) is np.ndarray
    np.testing.assert_allclose(alone, actions[1].numpy(), rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="takes"):
        policy.act(observations[:, 1:])
    with pytest.raises(ValueError, match="not finite"):
        policy.act(observations * float("nan"))


def test_what_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "cut.pth").write_bytes(b"PK")
    for name, words in (("none.pth", "none.pth"), ("cut.pth", "cut.pth")):
        with pytest.raises(ConfigError, match=words) as error:
            dexhand.load_policy(name, "sim.backend=mock")
        assert "\n" not in str(error.value)


def test_code_that_only_a_file_names_is_not_run(copied: Path, tmp_path: Path) -> None:
    """As for the folder of a run from somebody else."""
    (tmp_path / "evil.py").write_text("raise SystemExit('was imported')\n")
    text = f"task:\n  name: Evil\n  module: {tmp_path}/evil.py\n"
    save_checkpoint(tmp_path / "evil.pth", load_checkpoint(copied), config=text)
    with pytest.raises(ConfigError, match=r"task.module=.*: only .*evil.pth names it"):
        dexhand.load_policy("evil.pth")


@pytest.mark.parametrize(
    "text", ["task: &a [*a\n", "x: " + "[" * 99 + "\n", "defaults: [/etc]\n", "a: ${oc.env:HOME}\n"]
)
def test_a_hostile_configuration_is_refused(copied: Path, text: str) -> None:
    save_checkpoint("bad.pth", load_checkpoint(copied), config=text)
    with pytest.raises(ConfigError, match=r"bad.pth"):
        dexhand.load_policy("bad.pth")
