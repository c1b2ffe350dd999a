"""The checkpoint file: what goes in comes out, with two readers, and damage is never taken for content."""

import contextlib
import io
import json
import math
import os
import random
import sys
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dexhand.checkpoints import store as checkpoints
from dexhand.checkpoints.format import FORMAT_VERSION, INDEX_RECORD
from dexhand.checkpoints.store import CheckpointError, ForeignCheckpointError, load_checkpoint, save_checkpoint

DTYPES = [
    torch.bool,
    *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.complex64, torch.complex128),
]


def raw(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def same(left: Any, right: Any) -> bool:
    """Equal bit for bit, types and order of keys included."""
    if type(left) is not type(right):
        return False
    if isinstance(left, torch.Tensor):
        return left.dtype == right.dtype and left.shape == right.shape and raw(left) == raw(right)
    if isinstance(left, dict):
        return list(left) == list(right) and all(
            type(a) is type(b) and same(left[a], right[b]) for a, b in zip(left, right)
        )
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float):
        return (math.isnan(left) and math.isnan(right)) or repr(left) == repr(right)
    return bool(left == right)


def torch_reads(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def change_index(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Write the file anew with another index; every checksum is right."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    index = json.loads(records[INDEX_RECORD])
    change(index)
    records[INDEX_RECORD] = json.dumps(index).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in records.items():
            archive.writestr(name, content)


@st.composite
def tensors(draw: Any) -> torch.Tensor:
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    size = math.prod(shape) * dtype.itemsize
    content = draw(st.binary(min_size=size, max_size=size))
    if not size:
        return torch.empty(shape, dtype=dtype)
    if dtype is torch.bool:
        content = bytes(byte & 1 for byte in content)
    tensor = torch.frombuffer(bytearray(content), dtype=dtype).reshape(shape)
    return tensor.mT if len(shape) > 1 and draw(st.booleans()) else tensor


TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=8)
INTEGERS = st.integers() | st.integers(-(2**200), 2**200)
KEYS = TEXT | st.integers(-(2**63) + 1, 2**63 - 1)
LEAVES = st.none() | st.booleans() | INTEGERS | st.floats() | TEXT | tensors()
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple) | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=12,
)


class TestRoundTrip:
    @settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(state=st.dictionaries(KEYS, TREES, max_size=4))
    def test_both_readers_return_what_was_saved(self, tmp_path: Path, state: dict[Any, Any]) -> None:
        """Our reader and torch's agree with the saved state in every bit, type and order of keys."""
        path = tmp_path / "state.pth"
        save_checkpoint(path, state)
        assert same(load_checkpoint(path), state)
        assert same(torch_reads(path), state)

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1e22, 2**63, -(2**2038), True])
    def test_odd_numbers_are_exact(self, tmp_path: Path, value: Any) -> None:
        """Numbers that JSON or other formats bend are kept."""
        save_checkpoint(tmp_path / "n.pth", {"value": value})
        assert same(load_checkpoint(tmp_path / "n.pth"), {"value": value})
        assert same(torch_reads(tmp_path / "n.pth"), {"value": value})

    @pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2"])
    def test_eight_bit_floats_are_kept(self, tmp_path: Path, name: str) -> None:
        """The smallest float types come back bit for bit."""
        tensor = torch.arange(4.0).to(getattr(torch, name))
        save_checkpoint(tmp_path / "f8.pth", {"t": tensor})
        assert same(load_checkpoint(tmp_path / "f8.pth"), {"t": tensor})

    def test_views_of_one_storage_are_independent_afterwards(self, tmp_path: Path) -> None:
        """Tensors that shared memory come back with their values, writable, each with memory of its own."""
        base = torch.arange(12.0)
        state = {
            "all": base,
            "part": base[2:5],
            "rows": base.reshape(3, 4).t(),
            "same": base,
            "wide": base[:1].expand(3),
        }
        save_checkpoint(tmp_path / "v.pth", state)
        loaded = load_checkpoint(tmp_path / "v.pth")
        assert all(torch.equal(loaded[key], state[key]) for key in state)
        loaded["all"].zero_()
        assert torch.equal(loaded["part"], base[2:5])
        assert loaded["part"].untyped_storage().nbytes() == 3 * 4

    def test_a_view_does_not_drag_its_storage_along(self, tmp_path: Path) -> None:
        """A slice of a large tensor costs what the slice has."""
        save_checkpoint(tmp_path / "s.pth", {"slice": torch.zeros(1_000_000)[:2]})
        assert (tmp_path / "s.pth").stat().st_size < 10_000

    def test_lazily_conjugated_tensors_are_saved_as_they_look(self, tmp_path: Path) -> None:
        """A view that torch conjugates on reading is stored conjugated."""
        tensor = torch.tensor([1 + 2j]).conj()
        save_checkpoint(tmp_path / "c.pth", {"t": tensor})
        assert load_checkpoint(tmp_path / "c.pth")["t"].tolist() == [1 - 2j]

    def test_a_learner_goes_on_with_the_same_bits(self, tmp_path: Path) -> None:
        """Module and Adam states with their integer keys serve load_state_dict, and the next step is the same."""

        def learner() -> Any:
            torch.manual_seed(0)
            module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
            return module, torch.optim.Adam(module.parameters(), lr=1e-2)

        def step(module: Any, optimizer: Any) -> None:
            optimizer.zero_grad()
            module(torch.arange(15.0).reshape(5, 3)).pow(2).sum().backward()
            optimizer.step()

        module, optimizer = learner()
        step(module, optimizer)
        state = {"model": module.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 1, "last": -math.inf}
        assert isinstance(state["model"], OrderedDict)
        save_checkpoint(tmp_path / "l.pth", state)
        step(module, optimizer)

        for read in (load_checkpoint, torch_reads):
            loaded = read(tmp_path / "l.pth")
            assert set(loaded["optimizer"]["state"]) == {0, 1, 2, 3}
            resumed, resumed_optimizer = learner()
            resumed.load_state_dict(loaded["model"])
            resumed_optimizer.load_state_dict(loaded["optimizer"])
            step(resumed, resumed_optimizer)
            assert same(dict(resumed.state_dict()), dict(module.state_dict()))

    def test_tensors_go_where_they_are_asked_to(self, tmp_path: Path) -> None:
        """map_location is a device, as in torch.load."""
        save_checkpoint(tmp_path / "d.pth", {"t": torch.ones(2)})
        assert load_checkpoint(tmp_path / "d.pth", map_location="meta")["t"].is_meta

    def test_loading_warns_of_nothing(self, tmp_path: Path) -> None:
        """Reading is quiet: no warning of torch about buffers reaches the user."""
        save_checkpoint(tmp_path / "w.pth", {"t": torch.ones(2), "empty": torch.empty(0, 3)})
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            load_checkpoint(tmp_path / "w.pth")


def nested_lists(levels: int) -> list[Any]:
    """A list in a list in a list ..."""
    found: list[Any] = []
    for _ in range(levels - 1):
        found = [found]
    return found


class TestWhatCannotBeSaved:
    @pytest.mark.parametrize(
        ("value", "says"),
        [
            (b"bytes", r"state\['a'\]\[1\] is a builtins.bytes"),
            ({1, 2}, "builtins.set"),
            (torch.Size([1]), "torch.Size"),
            (torch.float32, "torch.dtype"),
            (torch.zeros(2).to_sparse(), "sparse"),
            (torch.empty(2, device="meta"), "meta"),
            ({1.5: 0}, r"state\['a'\]\[1\] has the key 1.5"),
            ({True: 0}, "has the key True"),
            (2**2039, "2040 bits"),
            ({2**63: 0}, "a key of .* is an int of 64 bits"),
            ("\ud800", "not valid Unicode"),
            (torch.zeros(2).numpy()[0], "numpy.float32"),
            (torch.zeros(2, dtype=torch.float64).numpy()[0], "numpy.float64"),
        ],
    )
    def test_the_error_names_the_place(self, tmp_path: Path, value: Any, says: str) -> None:
        """What a checkpoint cannot hold is a TypeError that names where it is; nothing is written."""
        with pytest.raises(TypeError, match=says):
            save_checkpoint(tmp_path / "x.pth", {"a": [0, value]})
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("value", "says"),
        [([1.5] * 1_000_000, "Turn long lists of numbers into tensors"), (nested_lists(101), "nested too deeply")],
        ids=["long", "deep"],
    )
    def test_what_could_not_be_read_again_is_not_saved(self, tmp_path: Path, value: Any, says: str) -> None:
        """What the index may hold is limited."""
        with pytest.raises(TypeError, match=says):
            save_checkpoint(tmp_path / "a.pth", {"a": value})
        assert not list(tmp_path.iterdir())

    def test_records_that_torch_numbers_otherwise_are_noticed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Should torch ever lay records out in another order, saving fails instead of mixing tensors up."""
        original = torch.save
        state = {"a": torch.zeros(2), "b": torch.ones(2)}
        monkeypatch.setattr(torch, "save", lambda tree, file: original(dict(reversed(list(tree.items()))), file))
        with pytest.raises(RuntimeError, match="did not write tensor 0"):
            save_checkpoint(tmp_path / "x.pth", state)
        monkeypatch.setattr(torch, "save", lambda tree, file: original({**tree, "c": torch.ones(3)}, file))
        with pytest.raises(RuntimeError, match="wrote 3 records for 2 tensors"):
            save_checkpoint(tmp_path / "x.pth", state)


SMALL = {"t": torch.tensor([1.5, -2.0]), "n": 3, "empty": torch.empty(0)}


@pytest.fixture(scope="module")
def small_file() -> bytes:
    """The bytes of a small checkpoint."""
    return checkpoints._serialize(SMALL, {})


class TestDamage:
    def test_no_flipped_bit_changes_what_is_read(self, tmp_path: Path, small_file: bytes) -> None:
        """One bit in each byte, another from byte to byte: a CheckpointError, or nothing that is read."""
        path = tmp_path / "flip.pth"
        harmless = 0
        damaged = bytearray(small_file)
        for position in range(len(small_file)):
            bit = 1 << (position * 5 + position // 8) % 8
            damaged[position] ^= bit
            path.write_bytes(damaged)
            damaged[position] ^= bit
            with contextlib.suppress(CheckpointError):
                assert same(load_checkpoint(path), SMALL)
                harmless += 1
        assert 0 < harmless < len(small_file)

    def test_every_truncation_is_an_error(self, tmp_path: Path, small_file: bytes) -> None:
        """However many bytes are missing at the end, the file is refused."""
        path = tmp_path / "short.pth"
        for length in range(len(small_file)):
            path.write_bytes(small_file[:length])
            with pytest.raises(CheckpointError, match=r"short\.pth: (is empty|truncated or damaged|not a checkpoint)"):
                load_checkpoint(path)

    def test_records_outside_the_index_are_checked_too(self, tmp_path: Path, small_file: bytes) -> None:
        """A damaged data.pkl, which our reader does not use, is still a damaged file."""
        start = small_file.index(b"\x80\x02")
        (tmp_path / "p.pth").write_bytes(small_file[:start] + b"\x80\x03" + small_file[start + 2 :])
        with pytest.raises(CheckpointError, match=r"record archive/data\.pkl cannot be read"):
            load_checkpoint(tmp_path / "p.pth")

    @settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(seed=st.integers(0, 2**32))
    def test_scrambled_files_raise_nothing_else(self, tmp_path: Path, small_file: bytes, seed: int) -> None:
        """Many changed bytes at once lead to a CheckpointError, never to another exception."""
        generator = random.Random(seed)
        damaged = bytearray(small_file)
        for _ in range(generator.randint(1, 40)):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        (tmp_path / "s.pth").write_bytes(damaged)
        with contextlib.suppress(CheckpointError):
            assert same(load_checkpoint(tmp_path / "s.pth"), SMALL)


class TestRefusals:
    def test_missing(self, tmp_path: Path) -> None:
        """A file that is not there is named."""
        with pytest.raises(CheckpointError, match=r"none\.pth: there is no such file"):
            load_checkpoint(tmp_path / "none.pth")

    def test_folder(self, tmp_path: Path) -> None:
        """A folder is not searched here; the message says what to name."""
        with pytest.raises(CheckpointError, match="is a folder; name a"):
            load_checkpoint(tmp_path)

    def test_unreadable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Other failures of the file system are told in its words."""
        monkeypatch.setattr("builtins.open", raise_io_error)
        with pytest.raises(CheckpointError, match="cannot be read: Input/output error"):
            load_checkpoint(tmp_path / "x.pth")

    @pytest.mark.parametrize("content", [b"hello", b"\x80\x02}q\x00.", b"\x00" * 1000])
    def test_not_a_zip(self, tmp_path: Path, content: bytes) -> None:
        """Text, old pickles and zeros are not checkpoints."""
        (tmp_path / "x.pth").write_bytes(content)
        with pytest.raises(CheckpointError, match="not a checkpoint: not a zip file"):
            load_checkpoint(tmp_path / "x.pth")

    def test_some_zip(self, tmp_path: Path) -> None:
        """A zip that torch did not write is not a checkpoint."""
        with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
            archive.writestr("readme", "hello")
        with pytest.raises(CheckpointError, match="not a checkpoint: a zip file without archive"):
            load_checkpoint(tmp_path / "x.pth")

    def test_names_of_records_are_quoted_in_one_line(self, tmp_path: Path) -> None:
        """A damaged table may hold any letters; none of them controls the terminal."""
        with zipfile.ZipFile(tmp_path / "x.pth", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a\nb\x1b[31m", "hello" * 100)
        with pytest.raises(CheckpointError, match=r"a\\nb\\x1b\[31m"):
            load_checkpoint(tmp_path / "x.pth")

    def test_foreign(self, tmp_path: Path) -> None:
        """An intact torch file of another program has an error class of its own."""
        torch.save({"model": torch.zeros(2)}, tmp_path / "x.pth")
        with pytest.raises(ForeignCheckpointError, match="not written by dexhand"):
            load_checkpoint(tmp_path / "x.pth")

    def test_newer_format(self, tmp_path: Path) -> None:
        """A version from the future is refused by number."""
        save_checkpoint(tmp_path / "x.pth", SMALL)
        change_index(tmp_path / "x.pth", lambda index: index.update(version=FORMAT_VERSION + 1))
        with pytest.raises(CheckpointError, match=f"format version {FORMAT_VERSION + 1} is newer"):
            load_checkpoint(tmp_path / "x.pth")

    def test_other_byte_order(self, tmp_path: Path) -> None:
        """Numbers of a machine with the other byte order are refused, not misread."""
        other = "big" if sys.byteorder == "little" else "little"
        save_checkpoint(tmp_path / "x.pth", SMALL)
        change_index(tmp_path / "x.pth", lambda index: index.update(byteorder=other))
        with pytest.raises(CheckpointError, match=f"byte order '{other}'"):
            load_checkpoint(tmp_path / "x.pth")

    @pytest.mark.parametrize(
        "change",
        [
            lambda index: index.clear(),
            lambda index: index.update(format="else"),
            lambda index: index.update(version="1"),
            lambda index: index.pop("tensors"),
            lambda index: index.update(tensors=3),
            lambda index: index["tensors"].pop(),
            lambda index: index["tensors"][0].update(record="data/9"),
            lambda index: index["tensors"][0].update(dtype="float64"),
            lambda index: index["tensors"][0].update(dtype="device"),
            lambda index: index["tensors"][0].update(shape=[-1, -2]),
            lambda index: index["tensors"][0].update(shape=[3]),
            lambda index: index["tensors"][1].update(shape=[0, 2**70]),
            lambda index: index.update(state=3),
            lambda index: index.update(state={"dict": [[["key"], 1]]}),
            lambda index: index.update(state={"dict": [], "tuple": []}),
            lambda index: index.update(state={"set": []}),
        ],
    )
    def test_index_that_breaks_the_format(self, tmp_path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
        """An index with right checksums and wrong content is malformed, whatever is wrong in it."""
        save_checkpoint(tmp_path / "x.pth", SMALL)
        change_index(tmp_path / "x.pth", change)
        with pytest.raises(CheckpointError, match="malformed index"):
            load_checkpoint(tmp_path / "x.pth")

    @pytest.mark.parametrize("index", [b"", b"{", b"\xff", b"3", b"[" * 100_000])
    def test_index_that_is_no_json_object(self, tmp_path: Path, index: bytes) -> None:
        """An index that does not even parse is malformed."""
        with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
            archive.writestr(INDEX_RECORD, index)
        with pytest.raises(CheckpointError, match="malformed index"):
            load_checkpoint(tmp_path / "x.pth")

    def test_nothing_in_the_pickle_is_run(self, tmp_path: Path) -> None:
        """A pickle that would create a file when loaded is read past."""
        path, trap = tmp_path / "evil.pth", tmp_path / "trapped"
        save_checkpoint(path, SMALL)
        with zipfile.ZipFile(path) as archive:
            records = {name: archive.read(name) for name in archive.namelist()}
        records["archive/data.pkl"] = f"cposix\nsystem\n(S'touch {trap}'\ntR.".encode()
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in records.items():
                archive.writestr(name, content)

        assert same(load_checkpoint(path), SMALL)
        assert not trap.exists()
        torch.load(path, weights_only=False)
        assert trap.exists(), "the trap does not work, so the test shows nothing"


def raise_io_error(*_: Any, **__: Any) -> Any:
    raise OSError(5, os.strerror(5))


class TestFailedWrites:
    @pytest.mark.parametrize("broken", ["os.fsync", "os.replace", "builtins.open"])
    def test_the_old_file_stands(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
        """Whatever step of writing fails, the old file is whole and no temporary file is left."""
        path = tmp_path / "x.pth"
        save_checkpoint(path, {"n": 1})
        with monkeypatch.context() as patch:
            patch.setattr(broken, raise_io_error)
            with pytest.raises(OSError, match="Input/output error"):
                save_checkpoint(path, {"n": 2})
        assert [file.name for file in tmp_path.iterdir()] == ["x.pth"]
        assert load_checkpoint(path) == {"n": 1}

    def test_a_full_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A write that stops half way is the same as any other failure."""
        original = open

        def full(path: Any, mode: str = "r", *arguments: Any) -> Any:
            file = original(path, mode, *arguments)
            if "x" not in mode:
                return file
            half = io.FileIO(os.dup(file.fileno()), "w")
            half.write = lambda content: (os.write(half.fileno(), content[:100]), raise_io_error())  # type: ignore
            file.close()
            return half

        save_checkpoint(tmp_path / "x.pth", {"n": 1})
        with monkeypatch.context() as patch:
            patch.setattr("builtins.open", full)
            with pytest.raises(OSError, match="Input/output error"):
                save_checkpoint(tmp_path / "x.pth", {"n": 2})
        assert [file.name for file in tmp_path.iterdir()] == ["x.pth"]
        assert load_checkpoint(tmp_path / "x.pth") == {"n": 1}

    def test_saving_works_on_a_fake_file_system(self, fs: Any) -> None:
        """Only Python's own file functions are used, so a fake file system can stand in."""
        fs.create_dir("/runs")
        save_checkpoint("/runs/x.pth", SMALL)
        assert same(load_checkpoint("/runs/x.pth"), SMALL)

    def test_a_full_fake_disk(self, fs: Any) -> None:
        """No space left is reported, and the old file stands."""
        fs.set_disk_usage(20_000)
        fs.create_dir("/runs")
        save_checkpoint("/runs/x.pth", {"n": 1})
        with pytest.raises(OSError, match="No space left"):
            save_checkpoint("/runs/x.pth", {"t": torch.zeros(10_000)})
        assert os.listdir("/runs") == ["x.pth"]
        assert load_checkpoint("/runs/x.pth") == {"n": 1}
