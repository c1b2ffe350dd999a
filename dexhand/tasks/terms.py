"""Terms: the observations, rewards and criteria of a task, each declared where it is computed.

    class MyTask(BaseTask):
        @reward(weight=2.0)
        def high_wrist(self, state: HandState) -> Tensor:
            '''Height of the wrist, m.'''
            return state.hand_pos[:, 2]

A term is named after its method, and the first line of the docstring is its help text. Terms are inherited; a task that
overrides the method of a term keeps the declaration, and ``hitting_ground = None`` in its class drops the term.
Configuration keys follow from terms; see ``config_class_of``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields, make_dataclass
from functools import cache
from typing import Any, Literal, TypeVar

from dexhand.core.option import option
from dexhand.hands.spec import HandSpec

Size = int | Callable[[HandSpec], int]
"""A number, or a function that computes it for a hand."""

Method = TypeVar("Method", bound=Callable[..., Any])


@dataclass(frozen=True)
class Term:
    """A declared term."""

    help: str


@dataclass(frozen=True)
class Observation(Term):
    """A method that returns float32 (N, size)."""

    size: Size
    privileged: bool
    """Whether only the critic may use it, because a real hand could not sense it."""

    def size_for(self, hand: HandSpec) -> int:
        """Return the size for ``hand``, in numbers per environment."""
        return self.size(hand) if callable(self.size) else self.size


@dataclass(frozen=True)
class Reward(Term):
    """A method that returns unweighted values (N,) in every step."""

    weight: float


@dataclass(frozen=True)
class Ending(Term):
    """A reward or penalty paid once, in the step that ends an episode; its weight is not negative."""

    when: Literal["success", "failure", "timeout"]
    sign: float
    """1 for a bonus, -1 for a penalty."""


@dataclass(frozen=True)
class Success(Term):
    """A method that returns which episodes end in success, bool (N,)."""


@dataclass(frozen=True)
class Failure(Term):
    """A method that returns which episodes end in failure, bool (N,)."""


def observation(size: Size, *, privileged: bool = False) -> Callable[[Method], Method]:
    """Declare an observation of ``size`` numbers; only the critic may use a ``privileged`` one."""
    return lambda method: _declared(method, Observation(_help_of(method), size, privileged))


def reward(weight: float = 0.0) -> Callable[[Method], Method]:
    """Declare a reward term with its default weight; 0 disables it."""
    if inspect.isfunction(weight):
        raise TypeError(f"@reward on {weight.__qualname__} lacks its brackets. Write @reward() or @reward(weight=...)")
    return lambda method: _declared(method, Reward(_help_of(method), weight))


def success() -> Callable[[Method], Method]:
    """Declare a success criterion."""
    return lambda method: _declared(method, Success(_help_of(method)))


def failure() -> Callable[[Method], Method]:
    """Declare a failure criterion."""
    return lambda method: _declared(method, Failure(_help_of(method)))


def _declared(method: Method, term: Term) -> Method:
    method.term = term  # type: ignore[attr-defined]
    return method


def _help_of(method: Callable[..., Any]) -> str:
    lines = (inspect.getdoc(method) or "").splitlines()
    if not lines:
        raise TypeError(f"{method.__qualname__} is declared as a term without a docstring; its first line is the help")
    return lines[0][:1].lower() + lines[0][1:].removesuffix(".")


Kind = TypeVar("Kind", bound=Term)


def terms_of(task: type, kind: type[Kind]) -> dict[str, Kind]:
    """Return the terms of one kind that a task declares or inherits, by name; inherited ones first."""
    return {name: term for name, term in _all_terms(task).items() if isinstance(term, kind)}


@cache
def _all_terms(task: type) -> dict[str, Term]:
    found: dict[str, Term] = {}
    members: set[str] = set()  # names of our classes that are not terms
    for owner in reversed(task.__mro__):
        for name, value in vars(owner).items():
            term = value if isinstance(value, Ending) else getattr(value, "term", None)
            if not isinstance(term, Term):
                _check_no_property(owner, name, value)
                if value is None:
                    found.pop(name, None)
                continue
            if name.startswith("_") or (name in members and name not in found):
                raise TypeError(
                    f"{owner.__name__}.{name}: a task uses this name itself. Choose another name for the term"
                )
            if name in found and type(found[name]) is not type(term):
                kinds = type(found[name]).__name__.lower(), type(term).__name__.lower()
                raise TypeError(f"{owner.__name__}.{name}: the {kinds[1]} has the name of an inherited {kinds[0]}")
            found[name] = term
        if owner.__module__.startswith(__package__ + "."):
            members |= {*vars(owner), *inspect.get_annotations(owner)} - found.keys()
    return found


def _check_no_property(owner: type, name: str, value: Any) -> None:
    wrapped = getattr(value, "fget", None) or getattr(value, "func", None)  # of a property or cached_property
    if isinstance(getattr(wrapped, "term", None), Term):
        raise TypeError(f"{owner.__name__}.{name}: a term must be a method. Take out @{type(value).__name__}")


def config_class_of(task: type) -> type:
    """Create the dataclass of a task's configuration section.

    It extends ``task.config_class``: ``reward_weights`` has a field for each reward term, and the lists of observations
    and criteria accept the names of the task's terms. Raises ``TypeError`` for a mistake in a declaration of the task.
    """
    return _config_class_of(task)  # mypy takes no ``type`` for hashable, which @cache asks for


@cache
def _config_class_of(task: type) -> type:
    own: Any = getattr(task, "config_class")  # noqa: B009 (``type`` has none)
    _check_fields(own, may_override=True)
    _check_fields(getattr(task, "buffers_class"), may_override=False)  # noqa: B009
    observations = terms_of(task, Observation)
    choices = {
        "policy_observation_keys": [name for name, term in observations.items() if not term.privileged],
        "critic_observation_keys": list(observations),
        "active_success_criteria": list(terms_of(task, Success)),
        "active_failure_criteria": list(terms_of(task, Failure)),
    }
    members: list[Any] = [
        (entry.name, list[str], field(default_factory=entry.default_factory, metadata=_with_choices(entry, choices)))
        for entry in fields(own)
        if entry.name in choices
    ]
    weights = _weights_class(task)
    members.append(("reward_weights", weights, option(weights, "weight of each reward term")))
    privileged = tuple(name for name, term in observations.items() if term.privileged)
    namespace = {"privileged_observations": privileged}
    config_class = make_dataclass(f"{task.__name__}Config", members, bases=(own,), namespace=namespace)
    config_class.__module__ = task.__module__
    return config_class


def _check_fields(declared: type, *, may_override: bool) -> None:
    """Raise ``TypeError`` if a field of ``declared`` would be lost or would hide something that it inherits."""
    for owner in declared.__mro__:
        names = {
            *inspect.get_annotations(owner),
            *(name for name, value in vars(owner).items() if type(value) is Field),
        }
        if names and "__dataclass_fields__" not in vars(owner):
            raise TypeError(f"{owner.__name__} declares {', '.join(sorted(names))}: decorate the class with @dataclass")
        for base in owner.__bases__:
            inherited = getattr(base, "__dataclass_fields__", {})
            for name in sorted(names):
                if (hasattr(base, name) and name not in inherited) or (name in inherited and not may_override):
                    raise TypeError(f"{owner.__name__}.{name}: {base.__name__} has {name} already. Choose another name")


def _with_choices(entry: Any, choices: dict[str, list[str]]) -> dict[str, Any]:
    return {**entry.metadata, "choices": tuple(choices[entry.name])}


def _weights_class(task: type) -> type:
    members: list[Any] = []
    for name, term in _all_terms(task).items():
        if isinstance(term, Reward):
            members.append((name, float, option(term.weight, term.help)))
        elif isinstance(term, Ending):
            members.append((name, float, option(0.0, term.help, low=0)))
    weights_class = make_dataclass(f"{task.__name__}RewardWeights", members)
    weights_class.__module__ = task.__module__
    return weights_class
