"""What viewers type into the panel."""

import pytest

from dexhand.view.panel import envs_in, number_in


@pytest.mark.parametrize(
    ("text", "envs"),
    [
        ("3", (3,)),
        ("0-3, 7", (0, 1, 2, 3, 7)),
        ("7,2,7", (7, 2)),
        ("all", tuple(range(64))),
        ("0-99", tuple(range(64))),
        ("90-99", tuple(range(90, 100))),
    ],
)
def test_environments_are_read(text: str, envs: tuple[int, ...]) -> None:
    """At most 64 of them, each once, in the order given."""
    assert envs_in(text, num_envs=100) == envs


@pytest.mark.parametrize("text", ["", "100", "-1", "1-", "5-3", "a", "1-2-3", "1;2", "1e2", "²", "9" * 5000])
def test_what_is_no_environment_chooses_nothing(text: str) -> None:
    """The choice before stays."""
    assert envs_in(text, num_envs=100) == ()


@pytest.mark.parametrize(("text", "number"), [("7", 7), (" 7 ", 7), ("0", 0), ("", None), ("-1", None), ("8", None)])
def test_numbers_are_read(text: str, number: int | None) -> None:
    assert number_in(text, limit=8) == number
