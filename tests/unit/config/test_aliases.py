"""One table of other spellings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexhand.config.aliases import ALIASES, canonical_key, translate
from dexhand.config.errors import ConfigError
from dexhand.config.keys import all_keys, sections

aliases = st.sampled_from(sorted(ALIASES))
keys = st.sampled_from(sorted(all_keys()))
values = st.text(alphabet="abcxyz0123456789_./", min_size=1, max_size=8)


@given(alias=aliases)
def test_an_alias_means_a_key_or_section_that_exists(alias: str) -> None:
    """Every right-hand side of the table is in the schema."""
    assert canonical_key(alias) in {*all_keys(), *sections()}


@given(key=keys)
def test_a_canonical_key_is_left_alone(key: str) -> None:
    """A key of the schema is never taken for an alias."""
    assert canonical_key(key) == key


@given(alias=aliases, value=values)
def test_translation_is_idempotent(alias: str, value: str) -> None:
    """Translating a translation changes nothing and has no remarks."""
    once = translate([f"{alias}={value}"])
    twice = translate(once.overrides)
    assert twice.overrides == once.overrides
    assert twice.remarks == ()


@given(alias=aliases, first=values, second=values)
def test_two_spellings_of_one_key_must_agree(alias: str, first: str, second: str) -> None:
    """Different values in two spellings are refused with both; equal ones pass."""
    key = ALIASES[alias]
    both = [f"{alias}={first}", f"{key}={second}"]
    if first == second:
        assert translate(both).overrides == (f"{key}={first}", f"{key}={first}")
        return
    with pytest.raises(ConfigError) as error:
        translate(both)
    assert both[0] in str(error.value)
    assert both[1] in str(error.value)


def test_an_alias_of_a_section_stands_for_the_keys_below_it() -> None:
    """CamelCase sections are translated at the front of longer keys."""
    assert canonical_key("task.rewardWeights.alive") == "task.reward_weights.alive"


def test_an_old_spelling_is_remarked_upon_and_a_short_form_is_not() -> None:
    """The remark names the spelling to use."""
    translation = translate(["training.max_iterations=5", "numEnvs=4"])
    assert translation.remarks == ("training.max_iterations is an old spelling of train.maxIterations",)


def test_the_same_spelling_twice_is_left_to_hydra() -> None:
    """The last value wins, as anywhere in Hydra."""
    assert translate(["env.numEnvs=1", "env.numEnvs=2"]).overrides == ("env.numEnvs=1", "env.numEnvs=2")


@given(key=keys, plus=st.sampled_from(["+", "++"]))
def test_a_plus_means_nothing(key: str, plus: str) -> None:
    """No key can be new, so Hydra's way to add one is the plain key, without a remark."""
    translation = translate([f"{plus}{key}=1"])
    assert translation.overrides == (f"{key}=1",)
    assert translation.remarks == ()


def test_a_key_with_a_plus_is_another_spelling() -> None:
    """It must agree with the plain one, for presets too."""
    with pytest.raises(ConfigError, match=r"\+physics=fast and physics=accurate"):
        translate(["+physics=fast", "physics=accurate"])
