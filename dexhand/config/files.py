"""The YAML files that configurations are composed of: ours in ``cfg/``, and the user's."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from dexhand.config.aliases import canonical_key
from dexhand.config.errors import ConfigError, did_you_mean

CFG = Path(__file__).parent / "cfg"


def names_of(group: str) -> list[str]:
    """The choices of a group (``task``, ``physics`` ...), or the whole configurations for ``""``."""
    return sorted(path.stem for path in (CFG / group).glob("*.yaml"))


@dataclass(frozen=True)
class Sources:
    """Where Hydra finds what a command line names."""

    folder: Path
    """Of the primary configuration."""
    name: str
    """Of the primary configuration."""
    searchpath: tuple[str, ...]
    """Further places, nearest first, as Hydra takes them."""

    @property
    def override(self) -> str:
        """The word that tells Hydra of ``searchpath``."""
        quoted = ["'" + place.replace("'", "\\'") + "'" for place in self.searchpath]
        return "hydra.searchpath=[" + ",".join(quoted) + "]"


def find_sources(config: str, config_dir: str | None, searchpath: Sequence[str]) -> Sources:
    """``config`` is the name of a whole configuration or a YAML file, ``config_dir`` a folder laid out like ``cfg/``.

    ``searchpath`` is Hydra's: folders (``file://``) and packages (``pkg://``). Raises ``ConfigError``.
    """
    own = [] if config_dir is None else [Path(config_dir).resolve()]
    folder, name = _primary(config, own)
    asked = [*searchpath, *_searchpath_in(folder / name if name.endswith(".yaml") else folder / f"{name}.yaml")]
    folders = [Path(place[len("file://") :]) for place in asked if place.startswith("file://")]
    for missing in (place for place in folders if not place.is_dir()):
        raise ConfigError(f"hydra.searchpath: there is no folder {missing}")
    for place in own + folders:
        if place != folder:
            _refuse_shadowed(place)
    return Sources(folder, name, (*(f"file://{place}" for place in own), f"file://{CFG}", *asked))


def _primary(config: str, own: Sequence[Path]) -> tuple[Path, str]:
    """Folder and name of the primary configuration."""
    if config.endswith(".yaml"):
        path = Path(config).resolve()
        if not path.is_file():
            raise ConfigError(f"config={config}: there is no such file")
        return path.parent, path.name
    for folder in (*own, CFG):
        if (folder / f"{config}.yaml").is_file():
            return folder, config
    known = sorted({*names_of(""), *(path.stem for folder in own for path in folder.glob("*.yaml"))})
    raise ConfigError(
        f"config={config} is unknown. Known: {', '.join(known)}, or the path of a .yaml file."
        + did_you_mean(config, known)
    )


def _searchpath_in(path: Path) -> list[str]:
    """``hydra.searchpath`` of the primary configuration, which the one on the command line would replace."""
    hydra = read_yaml(path).get("hydra")
    places = hydra.get("searchpath") if isinstance(hydra, dict) else None
    return [str(place) for place in places or []]


def _refuse_shadowed(folder: Path) -> None:
    """Hydra would prefer our file to the user's of the same name, and say nothing."""
    for group in sorted(path.name for path in CFG.iterdir() if path.is_dir()):
        for path in sorted((folder / group).glob("*.yaml")):
            if path.stem in names_of(group):
                raise ConfigError(f"{path}: {group}={path.stem} is one of ours. Give your file a name of its own")


def file_that_sets(key: str, sources: Sources, overrides: Sequence[str]) -> str | None:
    """The name of the file that gives ``key`` its value, such as ``train/MinePPO``; ``None`` where none does."""
    with initialize_config_dir(str(sources.folder), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        entries = loader.compute_defaults_list(sources.name, [*overrides, sources.override], RunMode.RUN).defaults
    for entry in reversed(entries):
        package = f"{entry.package}." if entry.package else ""
        for path in _candidates(str(entry.config_path), sources):
            if key in (canonical_key(package + name) for name in _names_in(read_yaml(path))):
                return str(path) if entry.primary else str(entry.config_path)
    return None


def _candidates(config_path: str, sources: Sources) -> Iterator[Path]:
    name = config_path if config_path.endswith(".yaml") else f"{config_path}.yaml"
    folders = [sources.folder, *(Path(place[7:]) for place in sources.searchpath if place.startswith("file://"))]
    return (folder / name for folder in folders if (folder / name).is_file())


def _names_in(content: Mapping[str, Any]) -> Iterator[str]:
    """Every key of a file, with those above it: ``ppo``, ``ppo.gamma`` ..."""
    for key, value in content.items():
        yield str(key)
        if isinstance(value, Mapping):
            yield from (f"{key}.{name}" for name in _names_in(value))


def read_yaml(path: Path) -> Mapping[str, Any]:
    """A YAML file's mapping; empty where it cannot be read or holds something else."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}
