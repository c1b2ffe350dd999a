"""Pickles of other programs: tensors and numbers are read, everything else is refused before it does anything."""

import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from dexhand.checkpoints.archive import Archive
from dexhand.rl.inert_pickle import MOST_OPERATIONS, TensorReader, unpickle


def saved(value: Any) -> tuple[Any, TensorReader]:
    """What ``unpickle`` makes of a value that torch saved, and a reader of its tensors."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    buffer.seek(0)
    archive = Archive(buffer)
    return unpickle(archive.read("archive/data.pkl")), TensorReader(archive, "archive/")


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6.0).reshape(2, 3),
        torch.arange(6).reshape(2, 3).T,
        torch.arange(10.0, dtype=torch.float64)[3:7:2],
        torch.tensor(True),
        torch.empty(0, 4),
        torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16)),
    ],
    ids=["plain", "transposed", "a view", "a scalar", "empty", "a parameter"],
)
def test_tensors_are_read_as_torch_saved_them(tensor: torch.Tensor) -> None:
    """Into contiguous memory of their own."""
    value, reader = saved(OrderedDict(layer=tensor))
    read = reader.read(value["layer"])
    assert torch.equal(read, tensor.detach())
    assert read.dtype == tensor.dtype
    assert read.is_contiguous()


def test_tensors_may_share_a_record() -> None:
    """As the parts of one larger tensor do."""
    whole = torch.arange(8.0)
    value, reader = saved([whole[:4], whole[4:]])
    assert [reader.read(part).tolist() for part in value] == [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"cos\nsystem\n(X\x04\x00\x00\x00exittR.", "holds a os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "holds a os.system"),
        (b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x08\x00\x00\x00punycodetR.", "encodes text as punycode"),
        (b"cnumpy\ndtype\n(X\x05\x00\x00\x00V9999tR.", "number of type V9999"),
        (b"c_codecs\nencode\n}X\x0c\x00\x00\x00__defaults__)sb.", "changes what it names"),
        (b"Nr\xff\xff\xff\x7f.", "remembers an object under the number"),
        (b"N" * (MOST_OPERATIONS + 1) + b".", "more than 50000 operations"),
    ],
)
def test_what_is_no_tensor_or_number_is_refused(content: bytes, says: str) -> None:
    """The error says what it is."""
    with pytest.raises(pickle.UnpicklingError, match=says):
        unpickle(content)


def test_a_file_of_another_byte_order_is_refused(tmp_path: Path) -> None:
    """Its numbers would be others."""
    with zipfile.ZipFile(tmp_path / "big.pth", "w") as archive:
        archive.writestr("archive/byteorder", "big")
    with open(tmp_path / "big.pth", "rb") as file, pytest.raises(ValueError, match="byte order 'big'"):
        TensorReader(Archive(file), "archive/")
