"""``pytest --dexhand-env=my.module:make_env``: run the suite for environments without a test file."""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dexhand.config.errors import ConfigError
from dexhand.config.plugins import check_plugin_name, load_plugin
from dexhand.testing import env_suite
from dexhand.testing.vec_env_returned import described

OPTION = "--dexhand-env"


class EnvOption:
    """A pytest plugin that collects the suite for one factory and prints failures as sentences.

    It is registered only if the option is given.
    """

    def __init__(self, spec: str, steps: int, folder: Path) -> None:
        """Import the factory; raises ``pytest.UsageError`` in one line if that fails."""
        self.spec = spec
        self.steps = steps
        self.factory = with_a_number(factory_of(spec, folder))

    def pytest_report_header(self) -> str:
        """Name the tested environment in pytest's header."""
        return f"dexhand: the environment that {self.spec} makes, against the contract VecEnv (docs/testing.md)"

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Add the suite, named after the factory."""
        module = pytest.Module.from_parent(session, path=Path(env_suite.__file__), nodeid=self.spec)
        items.extend(session.genitems(module))

    @pytest.fixture(autouse=True)
    def _dexhand_env(self, request: pytest.FixtureRequest) -> None:
        """Hand the factory to the suite."""
        if isinstance(request.instance, env_suite.TestEnvironment):
            request.instance.factory = self.factory
            request.instance.max_steps = self.steps

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: "pytest.CallInfo[Any]") -> Iterator[None]:
        """Show the sentence of a failed check instead of the suite's own code."""
        outcome: Any = yield
        report = outcome.get_result()
        is_ours = isinstance(getattr(item, "instance", None), env_suite.TestEnvironment)
        if is_ours and report.failed and call.excinfo is not None:
            clause = inspect.getdoc(item.obj)  # type: ignore[attr-defined]
            report.longrepr = f"{_sentence(call.excinfo.value)}\n\nThe clause: {clause}"


def _sentence(error: BaseException) -> str:
    """The message of a failed check for the environment's author."""
    if isinstance(error, AssertionError):
        return str(error).partition("\nassert ")[0]  # the rest is about the suite's own code
    return f"The check could not be completed because the environment raised {described(error)}."


def factory_of(spec: str, folder: Path) -> Callable[..., Any]:
    """Import what ``module:name`` or ``path.py:name`` names; ``folder`` is searched too.

    Raises ``pytest.UsageError``.
    """
    try:
        check_plugin_name(OPTION, spec)
        with contextlib.chdir(folder):
            return load_plugin(OPTION, spec)  # type: ignore[no-any-return]
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from error


def with_a_number(factory: Callable[..., Any]) -> Callable[[int], Any]:
    """Wrap a factory so that it can be called with the number of environments as its one argument."""
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):  # built-in functions have no signature
        return factory
    if "num_envs" in parameters:
        return lambda num_envs: factory(num_envs=num_envs)
    not_by_place = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    takes_one = any(parameter.kind not in not_by_place for parameter in parameters.values())
    return factory if takes_one else env_suite.FixedNumber(factory)
