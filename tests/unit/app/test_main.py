"""From a command line to an exit code, in this process."""

from collections.abc import Sequence
from typing import Any, NoReturn

import pytest

from dexhand.app import main as app
from dexhand.config.errors import ConfigError


def test_an_error_of_several_lines_is_printed_as_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As libraries raise them."""

    def parse(argv: Sequence[str], saved: Any) -> NoReturn:
        raise ConfigError("hand.xml: Schema violation\nElement 'x',\n\n line 3\n")

    monkeypatch.setattr(app, "parse", parse)
    assert app.main([]) == 2
    assert capsys.readouterr().err == "error: hand.xml: Schema violation; Element 'x',; line 3\n"
