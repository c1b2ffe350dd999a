"""A mock training writes into a folder of its own and harms nobody else's."""

from pathlib import Path

import pytest

from dexhand.checkpoints.store import CheckpointStore
from dexhand.mock_training.training_folder import HARD_EXAMPLES, SUMMARIES, SettingsError, training_folder

OURS = {"mock_training": {"seed": 0}, "epoch": 3}


def test_what_an_earlier_mock_training_left_is_deleted(tmp_path: Path) -> None:
    """And nothing else."""
    CheckpointStore(tmp_path).save(OURS, iteration=3, numbered=True, best=True)
    (tmp_path / HARD_EXAMPLES).write_text("{}")
    (tmp_path / SUMMARIES).mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    with training_folder(tmp_path, resume=False) as state:
        assert state is None
        assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["notes.txt"]


def test_a_training_goes_on_from_its_newest_checkpoint(tmp_path: Path) -> None:
    """Which stays."""
    CheckpointStore(tmp_path).save(OURS, iteration=3)
    with training_folder(tmp_path, resume=True) as state:
        assert state == OURS
        assert (tmp_path / "latest.pth").is_file()


def test_a_checkpoint_of_an_earlier_version_is_replaced_but_not_continued(tmp_path: Path) -> None:
    """It lacks what every checkpoint holds now."""
    CheckpointStore(tmp_path).save({"mock_training": {"seed": 0}, "iterations_done": 3}, iteration=3)
    with pytest.raises(SettingsError, match="earlier version"), training_folder(tmp_path, resume=True):
        pass
    with training_folder(tmp_path, resume=False) as state:
        assert state is None


@pytest.mark.parametrize(
    ("name", "state"),
    [("latest.pth", {"epoch": 5}), ("latest.pth", None), ("checkpoint_5.pth", None), ("mine.pth", None)],
)
def test_checkpoints_of_others_are_not_touched(name: str, state: dict[str, int] | None, tmp_path: Path) -> None:
    """The training does not begin."""
    if state is None:
        (tmp_path / name).write_bytes(b"something")
    else:
        CheckpointStore(tmp_path).save(state, iteration=5)
    content = (tmp_path / name).read_bytes()
    for resume in (False, True):
        with pytest.raises(SettingsError, match="holds something else") as error, training_folder(tmp_path, resume):
            pass
        assert "\n" not in str(error.value)
    assert (tmp_path / name).read_bytes() == content


def test_a_folder_serves_one_training_at_a_time(tmp_path: Path) -> None:
    """The second one is told; afterwards the folder is free again."""
    with (
        training_folder(tmp_path, resume=False),
        pytest.raises(SettingsError, match="in use by another"),
        training_folder(tmp_path, resume=False),
    ):
        pass
    with training_folder(tmp_path, resume=False):
        pass


def test_there_must_be_something_to_go_on_from(tmp_path: Path) -> None:
    """Else it is said."""
    with pytest.raises(SettingsError, match="there is no checkpoint"), training_folder(tmp_path / "new", resume=True):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """With the reason."""
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(SettingsError, match=r"--checkpoint_dir=.*/file/below.*Choose a folder"),
        training_folder(tmp_path / "file" / "below", resume=False),
    ):
        pass
