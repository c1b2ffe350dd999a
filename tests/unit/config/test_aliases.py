"""One table of other spellings."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexhand.config.aliases import (
    ALIASES,
    NEGATED,
    OLD_KEYS,
    OLD_SECTIONS,
    SHORT_FORMS,
    canonical_key,
    spelling_warnings,
)
from dexhand.config.errors import ConfigError
from dexhand.config.keys import all_keys, sections
from dexhand.config.overrides import read_overrides

aliases = st.sampled_from(
    sorted(key for key in {*SHORT_FORMS, *OLD_KEYS} - set(NEGATED) if canonical_key(key) not in sections())
)
keys = st.sampled_from(sorted(all_keys()))
values = st.text(alphabet="abcxyz0123456789_./", min_size=1, max_size=8)


def translated(*words: str) -> dict[str, Any]:
    """Canonical keys and their values."""
    return {key: override.value for key, override in read_overrides(words).items()}


def warnings(*words: str) -> list[str]:
    """Warnings about the spelling of words."""
    return spelling_warnings({override.alias: key for key, override in read_overrides(words).items()})


def test_an_alias_means_a_key_or_section_that_exists() -> None:
    """Every right-hand side of the table is in the schema."""
    assert {canonical_key(alias) for alias in ALIASES if alias not in OLD_SECTIONS} <= {
        *all_keys(),
        *sections(),
    }


@pytest.mark.parametrize("alias", sorted(OLD_SECTIONS))
def test_a_section_that_is_called_otherwise_exists(alias: str) -> None:
    """And each of its keys is found below the other name, also where that name is spelled in camelCase."""
    section = OLD_SECTIONS[alias]
    below = [name for name in all_keys() if name.startswith(f"{section}.")]
    assert below
    assert [canonical_key(alias + name[len(section) :]) for name in below] == below


@given(key=keys)
def test_a_canonical_key_is_left_alone(key: str) -> None:
    """A key of the schema is never taken for an alias."""
    assert canonical_key(key) == key


@given(key=keys)
def test_camel_case_and_snake_case_are_the_same(key: str) -> None:
    """Whichever a document prefers."""
    camel = re.sub(r"_([a-z])", lambda match: match[1].upper(), key)
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: f"_{match[1].lower()}", key)
    assert canonical_key(camel) == canonical_key(snake) == key


@given(alias=aliases, value=values)
def test_translation_is_idempotent(alias: str, value: str) -> None:
    """Translating a translation changes nothing and causes no warning."""
    once = translated(f"{alias}={value}")
    words = [f"{key}={value}" for key in once]
    assert translated(*words) == once
    assert warnings(*words) == []


@given(alias=aliases, first=st.integers(), second=st.integers())
def test_two_spellings_of_one_key_must_agree(alias: str, first: int, second: int) -> None:
    """Different values in two spellings are refused with both; equal ones pass."""
    key = canonical_key(alias)
    both = [f"{alias}={first}", f"{key}={second}"]
    if first == second:
        assert translated(*both) == {key: first}
        return
    with pytest.raises(ConfigError) as error:
        read_overrides(both)
    assert both[0] in str(error.value)
    assert both[1] in str(error.value)


def test_true_is_true_however_it_is_written() -> None:
    """Two spellings agree when their values mean the same."""
    assert translated("test=true", "train.test=True") == {"train.test": True}


@pytest.mark.parametrize("alias", NEGATED)
def test_headless_is_the_opposite_of_a_viewer(alias: str) -> None:
    """And contradicts one that is asked for."""
    assert translated(f"{alias}=true") == {"env.viewer": False}
    assert translated(f"{alias}=False") == {"env.viewer": True}
    assert translated(f"{alias}=null") == {"env.viewer": None}
    assert translated(f"{alias}=true", "render=false") == {"env.viewer": False}
    with pytest.raises(ConfigError, match=f"{alias}=true and render=true are two spellings of env.viewer"):
        read_overrides([f"{alias}=true", "render=true"])
    with pytest.raises(ConfigError, match=f"{alias}=maybe: expected true, false or null"):
        read_overrides([f"{alias}=maybe"])


def test_an_alias_of_a_section_stands_for_the_keys_below_it() -> None:
    """Of tasks of the user's own, too, whose keys nobody knows."""
    assert canonical_key("task.rewardWeights.alive") == "task.reward_weights.alive"
    assert canonical_key("task.reward.my_own_term") == "task.reward_weights.my_own_term"


def test_a_section_takes_no_value() -> None:
    """``experiment=NAME`` is not ``train=NAME``, which chooses a learner."""
    assert canonical_key("experiment") == "experiment"


def test_an_old_spelling_causes_a_warning_and_a_short_form_does_not() -> None:
    """The warning names the spelling to use."""
    assert warnings("training.max_iterations=5", "num_envs=4", "sim_device=cpu", "env.headless=true") == [
        "training.max_iterations is an old spelling of train.maxIterations",
        "env.headless is an old spelling of env.viewer, with the opposite meaning",
    ]


def test_of_a_key_given_twice_in_one_spelling_the_last_value_counts() -> None:
    """As anywhere in Hydra."""
    assert translated("env.numEnvs=1", "env.numEnvs=2") == {"env.numEnvs": 2}


@given(key=keys, plus=st.sampled_from(["+", "++"]))
def test_a_plus_means_nothing(key: str, plus: str) -> None:
    """No key can be new, so Hydra's way to add one is the plain key, without a warning."""
    word = f"{plus}{key}=1"
    if key != "task.name":
        assert translated(word) == {key: 1}
        assert warnings(word) == []


def test_a_key_with_a_plus_is_another_spelling() -> None:
    """It must agree with the plain one, for presets too."""
    with pytest.raises(ConfigError, match=r"\+physics=fast and physics=accurate"):
        read_overrides(["+physics=fast", "physics=accurate"])
