"""The YAML files that configurations are composed of: the built-in ones and the user's."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf._utils import get_yaml_loader  # OmegaConf.load takes no other loader
from omegaconf.errors import OmegaConfBaseException

from dexhand.config.errors import ConfigError, first_line, unknown
from dexhand.config.plugins import find_package
from dexhand.files.bounded_yaml import check_yaml_text, read_yaml_text
from dexhand.files.digest import has_digest, is_cut

CFG = Path(__file__).parent / "cfg"
BUILT_IN = (CFG, *sorted(CFG.parents[1].glob("tasks/*/cfg")))
"""Folders of built-in files; a task's files are in the task's folder, laid out alike."""

MOST_DEFAULTS = 100
"""Entries of defaults lists, each counted as often as its file is named: Hydra takes milliseconds for each."""

QUOTES = "\"'"

UNREADABLE = (yaml.YAMLError, OmegaConfBaseException, UnicodeDecodeError, OSError, RecursionError)
"""Exceptions that reading a YAML file raises."""


@dataclass(frozen=True)
class Sources:
    """Where to look for configuration files."""

    config: str
    """The name of the whole configuration, as the user gave it."""
    folders: tuple[Path, ...]
    """Laid out like ``cfg/``; the first has ``config``, and a file in an earlier one wins."""
    is_of_run: bool
    """Whether ``config`` is the ``config.yaml`` of a run, possibly somebody else's."""
    content: Mapping[Any, Any] = field(compare=False)
    """What the file of ``config`` holds."""

    @property
    def primary(self) -> Path:
        """The file of ``config``."""
        return self.folders[0] / f"{Path(self.config).name.removesuffix('.yaml')}.yaml"

    def values(self, choices: Sequence[str]) -> Iterable[tuple[str, str, Any]]:
        """File, key and value of all that ``config`` and ``choices`` (``physics=fast``) set; later ones win.

        The file of ``config`` is named with its path, others as choices. Keys are as the file spells them. Raises
        ``ConfigError``.
        """
        if "defaults" not in self.content and not choices:  # without which Hydra would read the built-in files
            return [(str(self.primary), *leaf) for leaf in leaves(self.content)]
        try:
            return (_read_once if self.folders == BUILT_IN else _read)(self, tuple(choices))
        except (HydraException, ValueError, *UNREADABLE) as error:
            raise _explained(error, choices, f"config={self.config}") from None


def _read(sources: Sources, choices: tuple[str, ...]) -> list[tuple[str, str, Any]]:
    found: list[tuple[str, str, Any]] = []
    quoted = ",".join("'file://" + str(folder).replace("'", "\\'") + "'" for folder in sources.folders[1:])
    words = [*choices, f"hydra.searchpath=[{quoted}]"]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(sources.folders[0]), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        chosen = loader.compute_defaults_list(sources.primary.stem, words, RunMode.RUN)
    for entry in chosen.defaults:
        name, section = str(entry.config_path), f"{entry.package}." if entry.package else ""
        path = _find(name, sources.folders)
        content = {} if path is None else {key: value for key, value in read_yaml(path).items() if key != "defaults"}
        file = str(path) if entry.primary else name
        found += [(file, key, value) for key, value in leaves(content, section) if not key.startswith("hydra.")]
    for override in chosen.config_overrides:  # Hydra found no folder to choose from
        if override.key_or_group != "hydra.searchpath":
            found.append(("command line", override.key_or_group, override.value()))
    return found


_read_once = cache(_read)
"""For built-in files, which do not change: a sweep reads them once, not for each job."""

_NO_GROUP = re.compile(r"Could not override '(\w+)'. No match in the defaults list")


def _explained(error: Exception, choices: Sequence[str], where: str) -> ConfigError:
    """The error, in one line, for what Hydra raises when ``choices`` and files do not compose."""
    if isinstance(error, ConfigError):
        return error
    if isinstance(error, RecursionError):
        return ConfigError(f"{where} names itself in its defaults list. Name another file there")
    no_group = _NO_GROUP.match(str(error))
    for choice in choices:
        group, _, name = choice.lstrip("+").partition("=")
        if isinstance(error, MissingConfigException) and error.missing_cfg_file == f"{group}/{name.strip(QUOTES)}":
            return unknown(choice, name, sorted(error.options or ()), " A file of your own is found with --config-dir")
        if no_group and no_group[1] == group:
            return ConfigError(
                f"{choice}: {where} is complete and has no {group} to choose. Override its keys one by one, or start "
                "from another config"
            )
    if isinstance(error, UNREADABLE) and not isinstance(error, MissingConfigException):
        mark = getattr(error, "problem_mark", None)
        return _unreadable(error, mark.name if mark else f"{where} or a file that it names")
    return ConfigError(f"{where}: {first_line(error)}")


def find_sources(config: str, config_dir: str | None = None, searchpath: Sequence[str] = ()) -> Sources:
    """Find the places of files. Raises ``ConfigError``.

    ``config`` is the name of a whole configuration or a YAML file, ``config_dir`` a folder laid out like ``cfg/``, and
    ``searchpath`` as in Hydra, with folders (``file://``) and packages (``pkg://``).
    """
    own = [] if config_dir is None else [_absolute(config_dir)]
    if config.endswith(".yaml"):
        own = [_absolute(config).parent, *own]
    primary = _find(Path(config).name, [*own, CFG])
    if primary is None:
        if _find("config", [Path(config)]):
            raise ConfigError(f"config={config} is a folder. Name the file in it: config={Path(config, 'config.yaml')}")
        known = names_of("", [*own, CFG])
        raise unknown(f"config={config}", config, known, " A file of your own is named with its path and .yaml")
    is_of_run = _is_of_run(primary)
    content = read_run_file(primary) if is_of_run else read_yaml(primary)
    in_file = _searchpath(primary, content)
    asked = [_folder(str(place)) for place in (*searchpath, *in_file)]
    folders = dict.fromkeys([primary.parent, *own, *BUILT_IN, *asked])
    _refuse_shadowed([folder for folder in folders if folder not in (primary.parent, *BUILT_IN)])
    if primary.parent != CFG:
        _check_named(primary, [folder for folder in folders if folder not in BUILT_IN])
    return Sources(config, tuple(folders), is_of_run, content)


def _searchpath(file: Path, content: Mapping[Any, Any]) -> list[Any]:
    """``hydra.searchpath`` in a file."""
    hydra = content.get("hydra") or {}
    places = (hydra.get("searchpath") or []) if isinstance(hydra, Mapping) else hydra
    if not isinstance(places, list):
        raise ConfigError(f"{file}: hydra={hydra!s:.100}: expected searchpath: and a list of folders and packages")
    return places


def _check_named(primary: Path, folders: Sequence[Path]) -> None:
    """Read the files of the user that the defaults list of ``primary`` names, and those that they name.

    Hydra reads them too, as often as they are named, and would read one of any size. Raises ``ConfigError``.
    """
    waiting, entries = [primary], 0
    while waiting:
        file = waiting.pop()
        for name in _names_in(read_yaml(file).get("defaults", [])):
            entries += 1
            if entries > MOST_DEFAULTS:
                raise ConfigError(
                    f"{primary}: defaults: this file and those that it names have more than {MOST_DEFAULTS} entries, "
                    "as where one names itself. Shorten the list, or rename the file"
                )
            waiting += {path for path in (_find(name, folders), _find(name, [file.parent])) if path is not None}


def _names_in(defaults: Iterable[Any]) -> Iterator[str]:
    """The files that a defaults list names, without ``.yaml``."""
    for entry in defaults:
        for group, names in entry.items() if isinstance(entry, dict) else [("", entry)]:
            group = str(group).removeprefix("optional ").removeprefix("override ").partition("@")[0]
            for name in names if isinstance(names, list) else [names]:
                yield str(Path(group.strip("/"), str(name).partition("@")[0].strip("/")))


def _folder(place: str) -> Path:
    """The folder that an entry of ``hydra.searchpath`` names."""
    if place.startswith("pkg://"):
        folders = find_package(place.removeprefix("pkg://").replace("/", "."))
        if not folders:
            raise ConfigError(f"hydra.searchpath: there is no package {place}")
        return folders[0]
    folder = Path(place.removeprefix("file://"))
    if not folder.is_dir():
        raise ConfigError(f"hydra.searchpath: there is no folder {folder}")
    return _absolute(folder)


def _is_of_run(file: Path) -> bool:
    """Whether ``file`` was written by a run or is in a run's folder."""
    with open(file, encoding="utf-8", errors="replace") as opened:
        is_marked = has_digest(opened.read(200))
    return is_marked or (file.parent / "nn").is_dir() or (file.parent / "command.txt").is_file()


def read_run_file(path: Path, text: str | None = None) -> Mapping[Any, Any]:
    """Read a run's ``config.yaml``, or the ``text`` of one in the checkpoint ``path``; it may be somebody else's.

    Raises ``ConfigError`` if it is damaged, or refers to other files or the environment.
    """
    content = read_yaml(path, text)
    if not content:
        raise ConfigError(f"{path} is empty. Restore it, or give task= and checkpoint=")
    for key in ("defaults", "hydra"):
        if key in content:
            raise ConfigError(f"{path}: {key}: the configuration of a run is complete and names no other files")
    for key, value in leaves(content):
        if "${" in str(value):
            raise ConfigError(f"{path}: {key}={value}: the configuration of a run holds values, nothing to resolve")
    return content


def _absolute(path: str | Path) -> Path:
    """Unlike ``Path.resolve``, for a link that leads to itself as well."""
    return Path(os.path.realpath(path))


def _find(name: str, folders: Sequence[Path]) -> Path | None:
    file = name if name.endswith(".yaml") else f"{name}.yaml"
    return next((folder / file for folder in folders if (folder / file).is_file()), None)


def _refuse_shadowed(folders: Sequence[Path]) -> None:
    """Raise ``ConfigError`` for a user's file with the name of a built-in one, which Hydra would silently prefer."""
    for path in (path for folder in folders for path in sorted(folder.glob("*/*.yaml"))):
        if _find(f"{path.parent.name}/{path.name}", BUILT_IN):
            choice = f"{path.parent.name}={path.stem}"
            raise ConfigError(f"{path}: {choice} is a built-in choice. Give your file another name")


def names_of(group: str, folders: Sequence[Path] = BUILT_IN) -> list[str]:
    """The choices of a group (``task``, ``physics`` ...), or the whole configurations for ``""``."""
    return sorted({path.stem for folder in folders for path in (folder / group).glob("*.yaml")})


def read_yaml(path: Path, text: str | None = None) -> Mapping[Any, Any]:
    """Read the mapping in a YAML file, or the ``text`` in it. Raises ``ConfigError``, also if a run's is truncated."""
    try:
        if text is None:
            text = read_yaml_text(path)
        else:
            check_yaml_text(text)
        content = yaml.load(text, Loader=LOADER) or {}
        if isinstance(content, dict) and "defaults" in content:
            OmegaConf.create(content)  # as Hydra will, whose error would not name the file
    except (*UNREADABLE, ValueError) as error:  # ValueError: a number or a date that there is not
        raise _unreadable(error, str(path)) from None
    if is_cut(text):
        raise ConfigError(
            f"{path} is not complete: its last line, with a digest, is missing. Restore it, or use "
            "the run's checkpoint without it, with task= and checkpoint="
        )
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys with values, such as env:, and not a list")
    defaults = content.get("defaults", [])
    if not isinstance(defaults, list) or not all(isinstance(entry, (str, dict)) for entry in defaults):
        raise ConfigError(f"{path}: defaults={defaults!s:.100}: expected a list of files, such as [config, _self_]")
    return content


_OF_OMEGACONF = get_yaml_loader()
LOADER: Any = type("_Loader", (yaml.CSafeLoader, _OF_OMEGACONF), {}) if yaml.__with_libyaml__ else _OF_OMEGACONF
"""Constructs the same values as OmegaConf's loader, but parses in C, which is several times as fast."""


def _unreadable(error: Exception, file: str) -> ConfigError:
    """Return the error for a file that cannot be read or parsed."""
    mark: Any = getattr(error, "problem_mark", None)
    if mark is None:
        return ConfigError(f"{file} cannot be read: {first_line(error)}")
    problem = getattr(error, "problem", None) or "not YAML"
    return ConfigError(f"{file}, line {mark.line + 1}: {problem}. Correct the YAML")


def leaves(tree: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested mappings with their full names, ``train.ppo.gamma``; an empty mapping is a value."""
    for key, value in tree.items():
        if value and isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def shown(value: Any) -> str:
    """Format a value as YAML on one line."""
    text: str = yaml.dump(value, Dumper=_DUMPER, default_flow_style=True, width=10**6)
    return text.removesuffix("...\n").strip()


_DUMPER = yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper
"""A composition shows each value of its files, for messages."""
