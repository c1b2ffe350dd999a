"""YAML files of people and runs, read only if they are as small and simple as a configuration is."""

import re
from pathlib import Path
from typing import Any

import yaml

LARGEST = 100_000
"""Bytes of a file."""
MOST_VALUES = 2_000
"""Values of a file, each counted as often as aliases repeat it."""
DEEPEST = 20
"""Levels to which sections and lists nest."""
LONGEST = 4_096
"""Characters of a value."""
MOST_REFERENCES = 30
"""``${...}`` in a file: each may repeat a value that repeats others."""

_LONG_NUMBER = re.compile(r"[-+.]?[0-9][0-9a-fA-FxXoO_.:+-]{100,}")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml_text(path: Path) -> str:
    """Read a file of which no YAML library takes much memory or time.

    Raises ``yaml.YAMLError`` for one that is too large, too deep or no YAML, ``UnicodeDecodeError`` and ``OSError``.
    """
    with open(path, "rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise yaml.YAMLError(f"it has more than {LARGEST} bytes")
    text = content.decode("utf-8")
    check_yaml_text(text)
    return text


def check_yaml_text(text: str) -> None:
    """Raise ``yaml.YAMLError`` for a text that takes a YAML library much memory or time, or is no YAML."""
    if len(text) > LARGEST:
        raise yaml.YAMLError(f"it has more than {LARGEST} bytes")
    if text.count("${") > MOST_REFERENCES:
        raise yaml.YAMLError(f"it has more than {MOST_REFERENCES} references ${{...}}")
    _check_events(text)


def _check_events(text: str) -> None:
    """Raise ``yaml.YAMLError`` for values that are too many, too long or too deep; none of them is made."""
    sizes: dict[str, int] = {}  # of anchors, with what their aliases repeat
    open_sections: list[tuple[str | None, int]] = [(None, 0)]  # anchor and size
    for event in yaml.parse(text, Loader=_LOADER):
        size = 1
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise _refusal(f"the tag {tag!r:.50} is not supported", event)
        if isinstance(event, yaml.CollectionStartEvent):
            open_sections.append((event.anchor, 0))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_sections.pop()
            sizes[anchor or ""] = size
        elif isinstance(event, yaml.AliasEvent):
            size = sizes.get(event.anchor or "", MOST_VALUES)  # of an anchor that is still open: without end
        elif isinstance(event, yaml.ScalarEvent):
            sizes[event.anchor or ""] = 1
            is_number = event.implicit[0] and _LONG_NUMBER.fullmatch(event.value)
            if len(event.value) > LONGEST or is_number:
                raise _refusal("this value is too long", event)
            if "\0" in event.value:
                raise _refusal("this value has a NUL character", event)
        else:
            continue
        anchor, before = open_sections[-1]
        open_sections[-1] = anchor, before + size
        if before + size > MOST_VALUES:
            raise _refusal(f"there are more than {MOST_VALUES} values", event)
        if len(open_sections) > DEEPEST + 1:
            raise _refusal(f"values nest deeper than {DEEPEST} levels", event)


def _refusal(problem: str, event: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
