"""An attack on the whole program: ``pytest tests/attack``, or ``tox -e attack``; not part of the ordinary tests.

Every part draws from ``--attack-seed`` and reports figures, which are printed at the end. Linux only: processes are
forked, and ended by signals.
"""

import secrets
import signal
from collections.abc import Callable

import pytest
from findings import FIGURE, Attack
from forks import warm_up


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("attack")
    group.addoption("--attack-seed", type=int, help="repeats an attack; its seed is printed (default: a new one)")
    group.addoption("--attack-scale", type=float, default=1.0, help="share of the attack; 0.01 for a quick look")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.attack_seed is None:  # the processes of pytest-xdist share it
        config.option.attack_seed = secrets.randbelow(10**6)
    # nohup and background jobs of a shell ignore these, and so would the processes that are attacked
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.timeout(3600))


def pytest_report_header(config: pytest.Config) -> str:
    return f"attack: --attack-seed={config.option.attack_seed} --attack-scale={config.option.attack_scale:g}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table of figures."""
    terminalreporter.section("attack")
    terminalreporter.line(pytest_report_header(config))
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            figures = [(key, value) for key, value in report.user_properties if key.startswith(FIGURE)]
            for key, value in figures:
                terminalreporter.line(f"{key.removeprefix(FIGURE):62} {value:>12}")


@pytest.fixture(scope="session", autouse=True)
def imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Forks need not import anything again."""
    warm_up(tmp_path_factory.mktemp("warm_up"))


@pytest.fixture
def attack(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Attack:
    """Seeded by ``--attack-seed`` and the name of the test."""
    option = request.config.option
    return Attack(f"{option.attack_seed} {request.node.name}", option.attack_scale, record_property)
