"""The YAML files that configurations are composed of: ours in ``cfg/`` and with each task, and the user's."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra

from dexhand.config.errors import ConfigError, did_you_mean
from dexhand.files.digest import is_cut

CFG = Path(__file__).parent / "cfg"
OURS = (CFG, *sorted(CFG.parents[1].glob("tasks/*/cfg")))
"""Folders of our files; those of a task are with the task, laid out alike."""


@dataclass(frozen=True)
class Sources:
    """Where Hydra looks for files."""

    config: str
    """The whole configuration that everything starts from, as the user named it."""
    folders: tuple[Path, ...]
    """Laid out like ``cfg/``; the first has ``config``, and a file in an earlier one wins."""
    packages: tuple[str, ...]
    """Searched after the folders: ``pkg://...``."""

    @property
    def name(self) -> str:
        """Of the file of ``config``."""
        return Path(self.config).name

    @property
    def primary(self) -> Path:
        """The file of ``config``."""
        return self.folders[0] / f"{self.name.removesuffix('.yaml')}.yaml"

    @property
    def are_ours(self) -> bool:
        """All of them are."""
        return self.folders == OURS and not self.packages

    def find(self, name: str) -> Path | None:
        """The file of a choice, such as ``physics/fast``."""
        return _find(name, self.folders)

    @contextmanager
    def in_hydra(self) -> Iterator[tuple[ConfigLoader, str]]:
        """Hydra's loader, set up with the first folder, and the override that tells it the other places."""
        others = (*(f"file://{folder}" for folder in self.folders[1:]), *self.packages)
        quoted = ",".join("'" + place.replace("'", "\\'") + "'" for place in others)
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(self.folders[0]), version_base="1.3"):
            yield GlobalHydra.instance().config_loader(), f"hydra.searchpath=[{quoted}]"


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
        raise ConfigError(
            f"config={config}: there is no such file. Known: {', '.join(known)}, or the path of a .yaml file."
            + did_you_mean(config, known)
        )
    in_file = (read_yaml(primary).get("hydra") or {}).get("searchpath") or []
    packages = [place for place in (*searchpath, *in_file) if place.startswith("pkg://")]
    asked = [Path(place.removeprefix("file://")) for place in (*searchpath, *in_file) if place not in packages]
    for folder in asked:
        if not folder.is_dir():
            raise ConfigError(f"hydra.searchpath: there is no folder {folder}")
    folders = dict.fromkeys([primary.parent, *own, *OURS, *asked])
    _refuse_shadowed([folder for folder in folders if folder not in (primary.parent, *OURS)])
    return Sources(config, tuple(folders), tuple(packages))


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


def read_yaml(path: Path) -> Mapping[str, Any]:
    """A YAML file's mapping; empty where it cannot be read or holds something else.

    Raises ``ConfigError`` where it is only the beginning of what a run wrote.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if is_cut(text):
            raise ConfigError(
                f"{path} is not complete: its last line, with a digest, is missing. Restore it, or play or go on from "
                "what the run has learned in a new one, with task= and checkpoint="
            )
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each value of nested mappings, with its full name: ``train.ppo.gamma``. An empty mapping is a value, too."""
    for key, value in tree.items():
        if value and isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
