"""The YAML files that configurations are composed of: ours in ``cfg/`` and with each task, and the user's."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dexhand.config.errors import ConfigError, first_line, unknown
from dexhand.config.plugins import find_package
from dexhand.files.digest import has_digest, is_cut

CFG = Path(__file__).parent / "cfg"
OURS = (CFG, *sorted(CFG.parents[1].glob("tasks/*/cfg")))
"""Folders of our files; those of a task are with the task, laid out alike."""

UNREADABLE = (yaml.YAMLError, OmegaConfBaseException, UnicodeDecodeError, OSError, RecursionError)
"""Exceptions that reading a YAML file raises."""


@dataclass(frozen=True)
class Sources:
    """Where Hydra looks for files."""

    config: str
    """The whole configuration that everything starts from, as the user named it."""
    folders: tuple[Path, ...]
    """Laid out like ``cfg/``; the first has ``config``, and a file in an earlier one wins."""
    is_of_run: bool
    """Whether ``config`` is what a run recorded, maybe on somebody else's machine."""

    @property
    def primary(self) -> Path:
        """The file of ``config``."""
        return self.folders[0] / f"{Path(self.config).name.removesuffix('.yaml')}.yaml"

    def values(self, choices: Sequence[str]) -> Iterable[tuple[str, str, Any]]:
        """File, key and value of all that ``config`` and ``choices`` (``physics=fast``) set; later ones win.

        The file of ``config`` is named with its path, others as choices. Keys are as the file spells them.
        """
        read = _read_once if self.folders == OURS else _read
        return read(self, tuple(choices))


def _read(sources: Sources, choices: tuple[str, ...]) -> list[tuple[str, str, Any]]:
    found: list[tuple[str, str, Any]] = []
    quoted = ",".join("'file://" + str(folder).replace("'", "\\'") + "'" for folder in sources.folders[1:])
    with hydra_loader(sources.folders[0]) as loader:
        words = [*choices, f"hydra.searchpath=[{quoted}]"]
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
"""For our own files, which do not change: a sweep reads them once, not for each job."""


@contextmanager
def hydra_loader(folder: Path = CFG) -> Iterator[ConfigLoader]:
    """Hydra's loader for a folder."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(folder), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


def find_sources(config: str, config_dir: str | None = None, searchpath: Sequence[str] = ()) -> Sources:
    """``config`` is the name of a whole configuration or a YAML file, ``config_dir`` a folder laid out like ``cfg/``.

    ``searchpath`` is Hydra's, of folders (``file://``) and packages (``pkg://``). Raises ``ConfigError``.
    """
    own = [] if config_dir is None else [Path(config_dir).resolve()]
    if config.endswith(".yaml"):
        own = [Path(config).resolve().parent, *own]
    primary = _find(Path(config).name, [*own, CFG])
    if primary is None:
        known = names_of("", [*own, CFG])
        raise unknown(f"config={config}", config, known, " A file of your own is named with its path and .yaml")
    is_of_run = _is_of_run(primary)
    content = read_run_file(primary) if is_of_run else read_yaml(primary)
    in_file = (content.get("hydra") or {}).get("searchpath") or []
    asked = [_folder(str(place)) for place in (*searchpath, *in_file)]
    folders = dict.fromkeys([primary.parent, *own, *OURS, *asked])
    _refuse_shadowed([folder for folder in folders if folder not in (primary.parent, *OURS)])
    return Sources(config, tuple(folders), is_of_run)


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
    return folder.resolve()


def _is_of_run(file: Path) -> bool:
    """Whether a run recorded ``file``, or it is in a run's folder."""
    with open(file, encoding="utf-8", errors="replace") as opened:
        begins_as_recorded = has_digest(opened.read(200))
    return begins_as_recorded or (file.parent / "nn").is_dir() or (file.parent / "command.txt").is_file()


def read_run_file(path: Path) -> Mapping[Any, Any]:
    """Read the values of a run's ``config.yaml``, which may come from somebody else.

    Raises ``ConfigError`` if it is damaged, or if composing it would read other files or the environment.
    """
    content = read_yaml(path)
    if not content:
        raise ConfigError(f"{path} holds nothing. Restore it, or give task= and checkpoint=")
    for key in ("defaults", "hydra"):
        if key in content:
            raise ConfigError(f"{path}: {key}: the configuration of a run is complete and names no other files")
    for key, value in leaves(content):
        if "${" in str(value):
            raise ConfigError(f"{path}: {key}={value}: the configuration of a run holds values, nothing to resolve")
    return content


def _find(name: str, folders: Sequence[Path]) -> Path | None:
    file = name if name.endswith(".yaml") else f"{name}.yaml"
    return next((folder / file for folder in folders if (folder / file).is_file()), None)


def _refuse_shadowed(folders: Sequence[Path]) -> None:
    """Hydra would prefer our file to the user's of the same name without a word."""
    for path in (path for folder in folders for path in sorted(folder.glob("*/*.yaml"))):
        if _find(f"{path.parent.name}/{path.name}", OURS):
            choice = f"{path.parent.name}={path.stem}"
            raise ConfigError(f"{path}: {choice} is one of ours. Give your file a name of its own")


def names_of(group: str, folders: Sequence[Path] = OURS) -> list[str]:
    """The choices of a group (``task``, ``physics`` ...), or the whole configurations for ``""``."""
    return sorted({path.stem for folder in folders for path in (folder / group).glob("*.yaml")})


def read_yaml(path: Path) -> Mapping[Any, Any]:
    """Read a YAML file's mapping. Raises ``ConfigError``, also for only the beginning of what a run wrote."""
    try:
        text = path.read_text(encoding="utf-8")
        content = OmegaConf.to_container(OmegaConf.load(io.StringIO(text))) if text.strip() else {}
    except UNREADABLE as error:
        raise unreadable(error, str(path)) from None
    if is_cut(text):
        raise ConfigError(
            f"{path} is not complete: its last line, with a digest, is missing. Restore it, or use "
            "the run's checkpoint without it, with task= and checkpoint="
        )
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys with values, such as env:, and not a list")
    return content


def unreadable(error: Exception, file: str) -> ConfigError:
    """The error for a file that is not YAML."""
    mark: Any = getattr(error, "problem_mark", None)
    if mark is None:
        return ConfigError(f"{file} cannot be read: {first_line(error)}")
    problem = getattr(error, "problem", None) or "not YAML"
    return ConfigError(f"{file}, line {mark.line + 1}: {problem}. Correct the YAML")


def leaves(tree: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each value of nested mappings, with its full name: ``train.ppo.gamma``. An empty mapping is a value, too."""
    for key, value in tree.items():
        if value and isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def shown(value: Any) -> str:
    """A value in YAML, on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("...\n").strip()
