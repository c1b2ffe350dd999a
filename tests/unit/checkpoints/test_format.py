"""What can be read of a checkpoint without torch."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from dexhand.checkpoints.format import (
    MOST_MARKS,
    config_digest_of,
    config_in,
    parse_index,
    read_plain_state,
    state_from,
)
from dexhand.checkpoints.store import load_checkpoint, save_checkpoint
from dexhand.files.digest import digest_of

STATE = {
    "epoch": 7,
    "train_loop": {"best_return": -1.5},
    "odd": [float("inf"), (1, "two", None), {3: True}],
    "model": {"weight": torch.ones(2, 3)},
}


def without_tensors(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return None
    if isinstance(value, dict):
        return {key: without_tensors(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(without_tensors(item) for item in value)
    return value


def test_plain_values_are_those_of_the_checkpoint(tmp_path: Path) -> None:
    """Everything but the tensors, whose places hold None."""
    save_checkpoint(tmp_path / "x.pth", STATE)
    assert read_plain_state(tmp_path / "x.pth") == without_tensors(load_checkpoint(tmp_path / "x.pth"))
    assert read_plain_state(tmp_path / "x.pth")["epoch"] == 7


def test_it_needs_no_torch(tmp_path: Path) -> None:
    """A program that only lists runs starts in a moment."""
    save_checkpoint(tmp_path / "x.pth", STATE)
    code = (
        "import sys; from pathlib import Path; from dexhand.checkpoints.format import read_plain_state\n"
        "print(read_plain_state(Path(sys.argv[1]))['epoch'], 'torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.pth")], capture_output=True, text=True)
    assert answer.stdout == "7 False\n", answer.stderr


def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    """Wherever a file is cut off, and whichever byte of its index is another one: ValueError, naming the file."""
    path = tmp_path / "x.pth"
    save_checkpoint(path, STATE)
    content = path.read_bytes()
    index = content.index(b'{"format"')
    damaged = [content[:length] for length in range(0, len(content), 97)]
    damaged += [content[:at] + b"#" + content[at + 1 :] for at in range(index, index + 300, 7)]
    for part in damaged:
        path.write_bytes(part)
        with pytest.raises(ValueError, match=r"x\.pth: no readable index"):
            read_plain_state(path)


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    """It holds no index of ours."""
    torch.save({"epoch": 3}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match="no readable index"):
        read_plain_state(tmp_path / "x.pth")
    with pytest.raises(FileNotFoundError):
        read_plain_state(tmp_path / "gone.pth")


@pytest.mark.parametrize("values", [b"[]," * MOST_MARKS, b'{"":' * (MOST_MARKS // 2) + b"0" + b"}" * (MOST_MARKS // 2)])
def test_an_index_of_many_small_values_is_not_parsed(values: bytes) -> None:
    """Each takes far more memory than its bytes in the file."""
    with pytest.raises(ValueError, match="a checkpoint can hold"):
        parse_index(b'{"format":"dexhand checkpoint","version":1,"state":[' + values + b"0]}")


def test_keys_that_can_all_have_the_same_hash_are_refused() -> None:
    """A dictionary of many of them would take minutes."""
    assert state_from({"dict": [[2**63 - 1, 0]]}, []) == {2**63 - 1: 0}
    with pytest.raises(TypeError, match="is no key"):
        state_from({"dict": [[2**63, 0]]}, [])


def test_the_configuration_of_a_training(tmp_path: Path) -> None:
    """And its digest, which is all that older files hold."""
    path = tmp_path / "x.pth"
    save_checkpoint(path, {"epoch": 1}, config="task:\n  name: Ant\n")
    assert config_in(path) == "task:\n  name: Ant\n"
    assert config_digest_of(path) == digest_of("task:\n  name: Ant\n")
    save_checkpoint(path, {"epoch": 1}, config="abc")
    assert (config_in(path), config_digest_of(path)) == (None, "abc")
    save_checkpoint(path, {"epoch": 1})
    assert (config_in(path), config_digest_of(path)) == (None, None)


def test_the_digest_of_a_file_that_is_damaged(tmp_path: Path) -> None:
    """The error names the file."""
    path = tmp_path / "x.pth"
    save_checkpoint(path, {"epoch": 1}, config="abc")
    assert config_digest_of(path) == "abc"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="no readable index"):
        config_digest_of(path)
