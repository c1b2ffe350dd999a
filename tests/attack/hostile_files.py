"""Files made to exhaust memory or time, or to end a program with a traceback; each maker writes one file.

``CHECKPOINTS`` and ``CONFIGS`` list the makers by name, ``ODD_STATES`` the states of intact checkpoints that no
training writes, ``WORDS`` the hostile words of a command line. All files take less than 4 MB on disk. Tests outside
this folder import it as ``attack.hostile_files``.
"""

import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from dexhand.checkpoints.store import save_checkpoint

MEGABYTE = 1 << 20
INDEX = "archive/dexhand.json"

Maker = Callable[[Path], None]
"""Writes a hostile file to a path."""


def good_state(num_observations: int = 4, num_actions: int = 2) -> dict[str, Any]:
    """A small learner's state, in the form of an rl_games checkpoint of this project."""
    layer = num_observations * 8
    weights = {
        "running_mean_std.running_mean": torch.zeros(num_observations, dtype=torch.float64),
        "running_mean_std.running_var": torch.ones(num_observations, dtype=torch.float64),
        "running_mean_std.count": torch.ones((), dtype=torch.float64),
        "value_mean_std.running_mean": torch.zeros(1, dtype=torch.float64),
        "value_mean_std.running_var": torch.ones(1, dtype=torch.float64),
        "value_mean_std.count": torch.ones((), dtype=torch.float64),
        "a2c_network.sigma": torch.zeros(num_actions),
        "a2c_network.actor_mlp.0.weight": torch.arange(layer, dtype=torch.float32).reshape(8, -1) / layer,
        "a2c_network.actor_mlp.0.bias": torch.zeros(8),
        "a2c_network.value.weight": torch.zeros(1, 8),
        "a2c_network.value.bias": torch.zeros(1),
        "a2c_network.mu.weight": torch.ones(num_actions, 8) / 8,
        "a2c_network.mu.bias": torch.zeros(num_actions),
    }
    network = {"num_observations": num_observations, "num_actions": num_actions, "units": [8], "activation": "elu"}
    return {
        "model": weights,
        "epoch": 3,
        "frame": 96,
        "dexhand": {"network": network},
        "train_loop": {"best_return": 1.0, "contract": {}},
    }


def _index(tensors: list[dict[str, Any]], state: Any) -> bytes:
    index = {"format": "dexhand checkpoint", "version": 1, "byteorder": "little", "tensors": tensors, "state": state}
    return json.dumps(index).encode()


def _as_state(model: list[Any], **more: Any) -> dict[str, Any]:
    return {"dict": [["model", {"dict": model}], ["epoch", 1], *map(list, more.items())]}


# --- the archive ------------------------------------------------------------------------------------------------------


def _header(name: bytes, method: int, crc: int, compressed: int, size: int) -> bytes:
    return struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, method, 0, 0x21, crc, compressed, size, len(name), 0) + name


def _entry(name: bytes, method: int, crc: int, compressed: int, size: int, offset: int) -> bytes:
    numbers = (20, 20, 0, method, 0, 0x21, crc, compressed, size, len(name), 0, 0, 0, 0, 0, offset)
    return struct.pack("<4s6H3L5H2L", b"PK\1\2", *numbers) + name


def _end(count: int, directory: bytes, offset: int) -> bytes:
    return directory + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), offset, 0)


def overlapping_records(path: Path) -> None:
    """300 stored records that all end in the same 2 MB: each contains the headers of those behind it (600 MB)."""
    content, entries = bytes(2 * MEGABYTE), []
    for number in reversed(range(300)):
        name, crc, size = f"archive/data/{number}".encode(), zlib.crc32(content), len(content)
        content = _header(name, 0, crc, size, size) + content
        entries.append((name, 0, crc, size, size, len(content)))
    directory = b"".join(_entry(*entry, len(content) - from_end) for *entry, from_end in reversed(entries))
    path.write_bytes(content + _end(len(entries), directory, len(content)))


def record_twice(path: Path) -> None:
    """The same record 60 times in the directory."""
    name, body = b"archive/data/0", bytes(1000)
    numbers = (name, 0, zlib.crc32(body), len(body), len(body))
    content = _header(*numbers) + body
    path.write_bytes(content + _end(60, _entry(*numbers, 0) * 60, len(content)))


def long_directory(path: Path) -> None:
    """60,000 empty records in a file of 3 MB."""
    content = _header(b"a", 0, 0, 0, 0)
    directory = b"".join(_entry(f"{number:05}".encode(), 0, 0, 0, 0, 0) for number in range(60_000))
    path.write_bytes(content + _end(60_000, directory, len(content)))


def deflated_index(path: Path) -> None:
    """An index of 3 GB, all blanks, deflated to 3 MB; its checksum is wrong, which shows at its end."""
    _write_deflated(path, {}, INDEX.encode(), b" ", 3000)


def _write_deflated(path: Path, records: dict[str, bytes], name: bytes, filling: bytes, megabytes: int) -> None:
    """Some good records, then one that is ``filling`` over and over, deflated."""
    packer = zlib.compressobj(wbits=-15)
    block = packer.compress(filling * MEGABYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    numbers = (name, zipfile.ZIP_DEFLATED, 0, len(block) * megabytes + 2, MEGABYTE * megabytes)
    content, directory = b"", b""
    for good, body in records.items():
        own = (good.encode(), 0, zlib.crc32(body), len(body), len(body))
        directory += _entry(*own, len(content))
        content += _header(*own) + body
    directory += _entry(*numbers, len(content))
    content += _header(*numbers) + block * megabytes + packer.flush()
    path.write_bytes(content + _end(len(records) + 1, directory, len(content)))


def lzma_index(path: Path) -> None:
    """An index compressed in a way that few programs expect."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr(INDEX, _index([], _as_state([])) + b" " * MEGABYTE)


def damaged_lzma_index(path: Path) -> None:
    """A compressed index whose first bytes are no LZMA."""
    lzma_index(path)
    content = bytearray(path.read_bytes())
    at = content.index(INDEX.encode()) + len(INDEX)
    content[at : at + 60] = b"\xff" * 60
    path.write_bytes(content)


def sparse_file(path: Path) -> None:
    """2 GB of nothing: a copy that has only begun, in a file of its later size."""
    with open(path, "wb") as file:
        file.truncate(2000 * MEGABYTE)


def sparse_zip(path: Path) -> None:
    """A checkpoint's beginning, then nothing up to 2 GB."""
    save_checkpoint(path, good_state())
    os.truncate(path, 2000 * MEGABYTE)


def zip_with_hole(path: Path) -> None:
    """An intact checkpoint of 2 MB, with 500 MB of nothing before its last record."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data/0", bytes(2 * MEGABYTE))
    content = path.read_bytes()
    directory = content.index(b"PK\1\2")
    index = _index([{"record": "data/0", "dtype": "uint8", "shape": [2 * MEGABYTE]}], _as_state([["x", {"tensor": 0}]]))
    first = content[directory : content.index(b"PK\5\6")]
    numbers = (INDEX.encode(), 0, zlib.crc32(index), len(index), len(index))
    with open(path, "r+b") as file:
        file.seek(500 * MEGABYTE)
        file.write(_header(*numbers) + index)
        file.write(_end(2, first + _entry(*numbers, 500 * MEGABYTE), file.tell()))
        file.seek(directory)
        file.write(bytes(len(content) - directory))


# --- the index --------------------------------------------------------------------------------------------------------


def _write(path: Path, records: dict[str, bytes], index: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in records.items():
            archive.writestr(f"archive/{name}", content)
        archive.writestr(INDEX, index)


def shared_record(path: Path) -> None:
    """1,000 tensors of 3 MB that all name the same record (2.9 GB)."""
    tensor = {"record": "data/0", "dtype": "float32", "shape": [750_000]}
    model = [[f"layer{number}", {"tensor": number}] for number in range(1000)]
    _write(path, {"data/0": bytes(3_000_000)}, _index([tensor] * 1000, _as_state(model)))


def shared_tensor(path: Path) -> None:
    """30,000 names for one tensor of 3 MB: copying them one by one takes 90 GB."""
    tensor = {"record": "data/0", "dtype": "float32", "shape": [750_000]}
    model = [[f"layer{number}", {"tensor": 0}] for number in range(30_000)]
    _write(path, {"data/0": bytes(3_000_000)}, _index([tensor], _as_state(model)))


def bulky_index(path: Path) -> None:
    """An index of 3.5 MB whose lists take 25 times as much in memory."""
    index = _index([], "HERE").replace(b'"HERE"', b'{"dict":[["model",[' + b"[]," * 1_100_000 + b"0]]]}")
    _write(path, {}, index)


def index_of_lists(path: Path) -> None:
    """An index of 2 MB of lists in lists, each of which takes 40 times as much in memory."""
    lists = b"[" * 95 + b"]" * 95 + b","
    index = _index([], "HERE").replace(b'"HERE"', b'{"dict":[["epoch",1],["x",[' + lists * 10_900 + b"0]]]}")
    _write(path, {}, index)


def index_of_equal_hashes(path: Path) -> None:
    """80,000 integer keys that all have the same hash in Python: a dictionary of them takes half a minute."""
    keys = ",".join(f"[{number * (2**61 - 1)},0]" for number in range(80_000))
    index = _index([], "HERE").replace(b'"HERE"', f'{{"dict":[["epoch",1],["x",{{"dict":[{keys}]}}]]}}'.encode())
    _write(path, {}, index)


def deep_index(path: Path) -> None:
    """A state that nests 500,000 levels deep."""
    index = _index([], "HERE").replace(b'"HERE"', b"[" * 500_000 + b"]" * 500_000)
    _write(path, {}, index)


def long_number(path: Path) -> None:
    """A whole number of a million digits."""
    index = _index([], _as_state([])).replace(b'["epoch", 1]', b'["epoch", ' + b"9" * MEGABYTE + b"]")
    _write(path, {}, index)


def strange_shapes(path: Path) -> None:
    """A tensor without content whose shape has 100,000 dimensions."""
    tensor = {"record": "data/0", "dtype": "float32", "shape": [0] + [2] * 100_000}
    _write(path, {"data/0": b""}, _index([tensor], _as_state([["layer", {"tensor": 0}]])))


# --- the network ------------------------------------------------------------------------------------------------------


def _with_network(path: Path, **values: Any) -> None:
    state = good_state()
    state["dexhand"]["network"].update(values)
    save_checkpoint(path, state)


def wide_network(path: Path) -> None:
    """A few small weights for a network with two layers of 27,000 (2.8 GB)."""
    _with_network(path, units=[27_000, 27_000])


def deep_network(path: Path) -> None:
    """A few small weights for a network with 100,000 layers."""
    _with_network(path, units=[1] * 100_000)


def many_observations(path: Path) -> None:
    """A few small weights for a network that sees 100 million numbers."""
    _with_network(path, num_observations=10**8)


# --- files of other programs ------------------------------------------------------------------------------------------


def _save_foreign(path: Path, tensor: torch.Tensor) -> None:
    weights = {**good_state()["model"], "a2c_network.actor_mlp.0.weight": tensor}
    torch.save({"model": weights, "epoch": 1, "frame": 1}, path)


def foreign_zero_stride(path: Path) -> None:
    """A file of rl_games with a tensor of 27,000 x 27,000 in which all elements are the same one (2.9 GB)."""
    _save_foreign(path, torch.zeros(1, 1).expand(27_000, 27_000))


def foreign_overlapping_strides(path: Path) -> None:
    """A tensor of 27,000 x 27,000 whose rows begin one element apart."""
    _save_foreign(path, torch.zeros(54_000).as_strided((27_000, 27_000), (1, 1)))


def foreign_shared_storage(path: Path) -> None:
    """1,000 tensors that are the same 3 MB."""
    one = torch.zeros(750_000)
    torch.save({"model": {f"layer{number}": one.view(-1) for number in range(1000)}, "epoch": 1}, path)


def foreign_deflated(path: Path) -> None:
    """A tensor of 1 GB, deflated to 1 MB."""
    plain = io.BytesIO()
    torch.save({"model": {"layer": torch.zeros(4)}, "epoch": 1}, plain)
    with zipfile.ZipFile(plain) as archive:
        records = {name: archive.read(name) for name in archive.namelist() if not name.endswith("data/0")}
    _write_deflated(path, records, b"archive/data/0", b"\0", 1000)


def _write_foreign(path: Path, pickled: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", b"little")
        archive.writestr("archive/version", b"3\n")


def foreign_large_array(path: Path) -> None:
    """A pickle of 50 bytes that asks for a bytearray of 3 GB, which torch.load(weights_only=True) allows."""
    _write_foreign(path, b"\x80\x02cbuiltins\nbytearray\n\x8a\x05" + (3 * 10**9).to_bytes(5, "little") + b"\x85R.")


def foreign_large_tensor(path: Path) -> None:
    """A pickle of 50 bytes that asks for a tensor of 4 GB, which torch.load(weights_only=True) allows."""
    _write_foreign(path, b"\x80\x02ctorch\nFloatTensor\nJ" + (10**9).to_bytes(4, "little") + b"\x85R.")


def foreign_long_pickle(path: Path) -> None:
    """A pickle of 1.5 million operations that do nothing."""
    _write_foreign(path, b"\x80\x02}" + b"q\0" * 1_500_000 + b".")


def foreign_nested_lists(path: Path) -> None:
    """A list of ten lists of ten lists ..., all shared: 50 levels deep, endless to walk through."""
    nested: list[Any] = [0]
    for _ in range(50):
        nested = [nested] * 10
    _write_foreign(path, pickle.dumps({"model": nested}, protocol=2))


CHECKPOINTS: dict[str, Maker] = {
    maker.__name__: maker
    for maker in (
        *(overlapping_records, record_twice, long_directory, deflated_index, lzma_index, damaged_lzma_index),
        *(sparse_file, sparse_zip, zip_with_hole),
        *(shared_record, shared_tensor, bulky_index, index_of_lists, index_of_equal_hashes),
        *(deep_index, long_number, strange_shapes),
        *(wide_network, deep_network, many_observations),
        *(foreign_zero_stride, foreign_overlapping_strides, foreign_shared_storage, foreign_deflated),
        *(foreign_large_array, foreign_large_tensor, foreign_long_pickle, foreign_nested_lists),
    )
}
"""Checkpoints that no program should load."""


# --- odd states -------------------------------------------------------------------------------------------------------


def odd_state(place: str, value: Any, good: dict[str, Any] | None = None) -> dict[str, Any]:
    """``good``, or ``good_state``, with ``value`` at ``place``, such as ``train_loop/contract``."""
    state = deepcopy(good_state() if good is None else good)
    *sections, key = place.split("/")
    section = state
    for name in sections:
        section = section[name]
    section[key] = value
    return state


_WEIGHT = "model/a2c_network.mu.weight"

ODD_STATES: list[tuple[str, Any]] = [
    *(("epoch", value) for value in (None, float("nan"), float("inf"), "three", 10**30, -1, 2.5, True, [3], {})),
    *(("model", value) for value in (None, "weights", [], {}, torch.zeros(3), {"a": None}, {"a": 1.0}, {0: 1})),
    *(
        (_WEIGHT, value)
        for value in (None, 1.0, "weight", [1.0], torch.zeros(16), torch.zeros(()), torch.zeros(2, 8, 1))
    ),
    *((_WEIGHT, torch.ones(2, 8, dtype=dtype)) for dtype in (torch.int32, torch.int64, torch.bool, torch.complex64)),
    *(("dexhand", value) for value in (None, 1, "text", [], {})),
    *(("dexhand/network", value) for value in (None, 1, "text", [], {}, {"units": None}, {"unknown": 1})),
    *(
        ("dexhand/network/units", value)
        for value in (None, 8, "8", [], [0], [-8], [8.5], ["8"], [None], [[8]], [10**30])
    ),
    *(("dexhand/network/activation", value) for value in (None, 1, "", "exec", [])),
    *(("dexhand/network/num_observations", value) for value in (None, "4", 0, -4, 4.0, 10**30)),
    *(("dexhand/network/sigma_init", value) for value in (None, "x", float("nan"))),
    *(("train_loop", value) for value in (None, 1, "text", [])),
    *(("train_loop/contract", value) for value in (None, 1, "text", [], {"task.name": None}, {"env.hand": []})),
    *(("train_loop/contract", {"task.name": {}}), ("train_loop/contract", {"task.policy_observation_keys": [1]})),
    *(("train_loop/best_return", value) for value in ("text", [], {}, 10**400)),
    *(("frame", value) for value in (None, "text", 10**30)),
]
"""Places in a state and values there that no training saves; for each the file itself is intact.

Those in ``train_loop/best_return`` and ``frame`` matter only where a training is continued.
"""


def save_odd_state(path: Path, place: str, value: Any) -> None:
    """Write an intact checkpoint of ``odd_state``."""
    save_checkpoint(path, odd_state(place, value))


# --- configurations ---------------------------------------------------------------------------------------------------


def _alias_bomb(levels: int, width: int) -> str:
    """Each level is a list of ``width`` aliases of the one before: ``width`` ** ``levels`` elements."""
    lines = ["x0: &x0 [1]"]
    lines += [f"x{n}: &x{n} [{','.join([f'*x{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def _merge_bomb(levels: int, width: int) -> str:
    lines = ["x0: &x0 {a: 1}"]
    lines += [f"x{n}: &x{n} {{<<: [{','.join([f'*x{n - 1}'] * width)}]}}" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


_BEGINNING = "defaults: [config, _self_]\n"

CONFIGS: dict[str, str | bytes] = {
    "alias_bomb": _BEGINNING + _alias_bomb(30, 9),
    "merge_bomb": _BEGINNING + _merge_bomb(30, 9),
    "alias_of_itself": _BEGINNING + "x: &x [*x]\n",
    "interpolation_bomb": _BEGINNING
    + "train: {logLevel: info, runsDir: '"
    + "${train.experimentName}" * 60
    + "', experimentName: '"
    + "${env.device}" * 60
    + "', checkpoint: '"
    + "${train.runsDir}" * 60
    + "'}\nenv: {device: '"
    + "a" * 1000
    + "', hand: '"
    + "${train.checkpoint}" * 60
    + "'}\n",
    "deep_flow": _BEGINNING + "x: " + "[" * 5000 + "]" * 5000 + "\n",
    "deep_block": _BEGINNING + "".join(" " * n + "a:\n" for n in range(1500)),
    "deep_for_hydra": _BEGINNING + "x: " + "[" * 300 + "]" * 300 + "\n",
    "long_integer": _BEGINNING + "env: {numEnvs: " + "9" * 5000 + "}\n",
    "long_hexadecimal": _BEGINNING + "env: {numEnvs: 0x" + "f" * 50_000 + "}\n",
    "long_sexagesimal": _BEGINNING + "env: {numEnvs: 1" + ":59" * 300_000 + "}\n",
    "large_exponent": _BEGINNING + "env: {numEnvs: 1e400}\n",
    "no_date": _BEGINNING + "env: {numEnvs: 2001-99-99}\n",
    "long_file": _BEGINNING + "# nothing\n" * 350_000,
    "many_keys": _BEGINNING + "".join(f"k{n}: 1\n" for n in range(300_000)),
    "long_string": _BEGINNING + "env: {device: '" + "a" * 3_000_000 + "'}\n",
    "many_defaults": "defaults: [" + "config, " * 1900 + "_self_]\n",
    "defaults_many_times_itself": "defaults: [" + "NAME, " * 50 + "_self_]\n",
    "long_list": _BEGINNING + "train: {sinks: [" + "console, " * 4900 + "]}\n",
    "no_timestamp": _BEGINNING + "x: !!timestamp 'abc'\n",
    "no_boolean": _BEGINNING + "x: !!bool 'abc'\n",
    "number_in_quotes": _BEGINNING + "sim: {dt: !!int '" + "9" * 4090 + "'}\n",
    "nul_character": _BEGINNING + 'env: {hand: "a\\0b"}\n',
    "defaults_text": "defaults: text\n",
    "defaults_null": "defaults: null\n",
    "defaults_number": "defaults: 1\n",
    "defaults_mapping": "defaults: {config: null}\n",
    "defaults_odd_entries": "defaults: [1, null, [config], {a: {b: c}}]\n",
    "defaults_itself": "defaults: [NAME, _self_]\n",
    "searchpath_text": _BEGINNING + "hydra: {searchpath: text}\n",
    "searchpath_number": _BEGINNING + "hydra: {searchpath: [1, null]}\n",
    "hydra_text": _BEGINNING + "hydra: text\n",
    "a_list": "[1, 2]\n",
    "a_text": "text\n",
    "a_number": "1\n",
    "empty": "",
    "two_documents": _BEGINNING + "---\na: 1\n",
    "odd_keys": _BEGINNING + "1: 2\nnull: 3\ntrue: 4\n1.5: 6\n? [a, b]\n: 5\n",
    "odd_sections": _BEGINNING + "env: 1\ntrain: [1]\nsim: null\ntask: text\n",
    "python_object": _BEGINNING + "x: !!python/object/apply:os.system [exit 1]\n",
    "binary": _BEGINNING + "env: {device: !!binary aGVsbG8=}\n",
    "nul_bytes": _BEGINNING.encode() + b"\0" * 1000,
    "no_text": bytes(range(256)) * 100,
    "utf_16": _BEGINNING.encode("utf-16"),
    "surrogates": _BEGINNING.encode() + b'env: {device: "\\ud800"}\n',
}
"""YAML files for ``config=`` and for the ``config.yaml`` of a run; ``NAME`` in one stands for its own name."""


def write_config(path: Path, name: str) -> None:
    """Write one of ``CONFIGS``."""
    content = CONFIGS[name]
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes(content.replace(b"NAME", path.stem.encode()))


WORDS: list[str] = [
    *(f"{key}={value}" for key in ("task", "train", "physics", "config", "resume") for value in ("nan", "inf", "null")),
    *("task=1e999", "task=[]", "task={}", "train={a:1}", "task=true", "physics=-inf", "actuators=1.5"),
    *("numEnvs=" + "9" * 5000, "task=" + "9" * 5000, "maxIter=1" + "0" * 4299, "seed=0x" + "f" * 5000),
    *("numEnvs=" + "[" * 300 + "]" * 300, "numEnvs=" + "[" * 5000, "train.sinks=" + "{a:" * 300 + "1" + "}" * 300),
    *("numEnvs=nan", "numEnvs=inf", "numEnvs=-inf", "numEnvs=null", "maxIter=nan", "train.ppo.gamma=nan"),
    *("a" * 100_000, "task=" + "a" * 100_000, "checkpoint=" + "a" * 5000, "config=" + "a/" * 3000),
    *("checkpoint=a\x00b", "config=a\x00b", "resume=a\x00b", "task=a\x00b", "train.runsDir=a\x00b", "env.hand=a\x00b"),
    *("checkpoint=\udcff", "config=\udcff", "task=\udcff", "train.experimentName=\udcff", "numEnvs=\udcff"),
    *("numEnvs=${numEnvs}", "env.device=${env.device}", "env.device=${oc.env:HOME}", "task=${task}", "seed=${x:1}"),
    *("numEnvs=choice(1,2)", "numEnvs=range(1,1000000000)", "seed=range(0,1,1e-9)", "task=glob(*)", "seed=sort(nan,1)"),
    *("=", "==", "=1", "numEnvs", "numEnvs=", "+=", "~numEnvs", "~", "+", "-", "--", "hydra.searchpath=[1,null]"),
]
"""Words of a command line that once ended, or could end, in a traceback."""


def symlink_loop(path: Path) -> None:
    """A link that leads to itself."""
    path.symlink_to(path.name)
