"""The rl_games adapter.

Its modules import rl_games, whose example networks call ``torch.compile`` at import. That loads torch's compiler, which
nothing here uses, and takes about as long as torch itself; so rl_games is imported here, first, without it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def _nothing_is_compiled() -> Iterator[None]:
    compile_, torch.compile = torch.compile, _as_it_is  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.compile = compile_


def _as_it_is(function: Any, *_: Any, **__: Any) -> Any:
    return function


with _nothing_is_compiled():
    import rl_games.common.env_configurations as _  # noqa: F401
