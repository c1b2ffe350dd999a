#!/usr/bin/env python3
"""Write the type stubs of Isaac Gym from ``isaacgym_api.json``: ``python typings/generate_isaacgym.py``."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
HEADER = "# Made by generate_isaacgym.py from isaacgym_api.json; do not edit.\n"
IMPORTS = """from enum import IntEnum
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import torch
"""
_PYTHON_TYPES = {
    "capsule": "object",
    "numpy dtype": "np.dtype[Any]",
    "dict": "Dict[str, Any]",
    "tuple": "Tuple[int, ...]",
    "tuple RGB": "Tuple[float, float, float]",
    "(N, 3)": "torch.Tensor",
    "(N, 4)": "torch.Tensor",
    "(str, int)": "Tuple[str, int]",
    "3 x (N,)": "Tuple[torch.Tensor, torch.Tensor, torch.Tensor]",
    "Transform or None": "Optional[Transform]",
    "0": "int",
}

Record = dict[str, Any]


def stubs(api: Record) -> dict[str, str]:
    """File name: content."""
    gymapi = [*_opaque_classes(api), *_enums(api["enums"]), *_classes(api), *_constants(api["constants"])]
    files = {"__init__.pyi": HEADER, "gymapi.pyi": "\n".join([HEADER + IMPORTS, *gymapi, *_functions(api, "gymapi")])}
    for module in ("gymtorch", "gymutil", "torch_utils"):
        head = HEADER + IMPORTS + ("\nfrom isaacgym import gymapi\n" if module == "gymtorch" else "")
        if module == "gymutil":
            head += "\nfrom isaacgym.gymapi import Env, Gym, SimParams, Transform, Viewer\n\nclass LineGeometry: ...\n"
        files[f"{module}.pyi"] = "\n".join([head, *_functions(api, module)])
    return {name: content.rstrip() + "\n" for name, content in files.items()}


def _type(written: str, module: str) -> str:
    if written.startswith("numpy.ndarray"):
        return "np.ndarray[Any, Any]"
    if module == "torch_utils" and written == "Tensor":
        return "torch.Tensor"
    return _PYTHON_TYPES.get(written, written)


def _functions(api: Record, module: str) -> Iterator[str]:
    for each in api["callables"]:
        if each["module"] == f"isaacgym.{module}" and each["class"] is None:
            yield _signature(each, module, "") + "\n"


def _signature(each: Record, module: str, indent: str) -> str:
    params = [_parameter(param, module) for param in each["params"]]
    is_method = each["class"] is not None and not each.get("static")
    if is_method:
        params.insert(0, "self")
    if each["positional_only"] and each["params"]:
        params.append("/")
    decorator = f"{indent}@staticmethod\n" if each.get("static") else ""
    return f"{decorator}{indent}def {each['name']}({', '.join(params)}) -> {_type(each['returns'], module)}: ..."


def _parameter(param: Record, module: str) -> str:
    kind = _type(param["type"], module)
    if "default" not in param:
        return f"{param['name']}: {kind}"
    return f"{param['name']}: {f'Optional[{kind}]' if param['default'] == 'None' else kind} = ..."


def _enums(enums: list[Record]) -> Iterator[str]:
    for enum in enums:
        members = "\n".join(f"    {name} = {enum['values'].get(name, '...')}" for name in enum["members"])
        yield f"class {enum['name']}(IntEnum):\n{members}\n"
        if enum["also_at_module_level"]:
            yield "\n".join(f"{name} = {enum['name']}.{name}" for name in enum["members"]) + "\n"


def _classes(api: Record) -> Iterator[str]:
    methods: dict[str, list[str]] = {}
    for each in api["callables"]:
        if each["class"] is not None:
            methods.setdefault(each["class"], []).append(_signature(each, "gymapi", "    "))
    for record in api["classes"]:
        lines = [_field(field) for field in record["fields"]]
        init = ", ".join(["self", *(f"{p['name']}: {_type(p['type'], 'gymapi')} = ..." for p in record["init"])])
        lines.append(f"    def __init__({init}) -> None: ...")
        yield "\n".join([f"class {record['name']}:", *lines, *methods.pop(record["name"], [])]) + "\n"
    for name, lines in methods.items():
        yield "\n".join([f"class {name}:", *lines]) + "\n"


def _field(field: Record) -> str:
    kind = _type(field["type"], "gymapi")
    if field.get("read_only"):
        return f"    @property\n    def {field['name']}(self) -> {kind}: ..."
    return f"    {field['name']}: {kind}"


def _constants(constants: dict[str, str]) -> Iterator[str]:
    yield "\n".join(f"{name}: {kind}" for name, kind in constants.items()) + "\n"


def _opaque_classes(api: Record) -> Iterator[str]:
    """Handles that are passed around and never looked into."""
    gymapi = [each for each in api["callables"] if each["module"] == "isaacgym.gymapi"]
    written = {param["type"] for each in gymapi for param in each["params"]} | {each["returns"] for each in gymapi}
    written |= {field["type"] for record in api["classes"] for field in record["fields"]}
    names = {name for text in written for name in re.findall(r"\b[A-Z]\w+", text) if "numpy" not in text}
    known = {record["name"] for key in ("classes", "enums") for record in api[key]}
    known |= {"List", "Tuple", "Optional", "Any", "Gym", "None"}
    for name in sorted(names - known):
        yield f"class {name}: ...\n"


def main() -> None:
    """Write the files."""
    folder = HERE / "isaacgym"
    folder.mkdir(exist_ok=True)
    for name, content in stubs(json.loads((HERE / "isaacgym_api.json").read_text(encoding="utf-8"))).items():
        (folder / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
