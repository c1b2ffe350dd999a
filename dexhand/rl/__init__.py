"""The rl_games adapter.

rl_games's example networks call ``torch.compile`` when they are imported, and with them everything else of it. That
loads torch's compiler, which nothing here uses, in about two seconds; ``TORCH_COMPILE_DISABLE`` does not prevent it. So
rl_games is imported here, before any module of this package needs it, with ``torch.compile`` set aside meanwhile.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def _without_compile() -> Iterator[None]:
    compile_, torch.compile = torch.compile, _identity  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.compile = compile_


def _identity(function: Any, *_: Any, **__: Any) -> Any:
    return function


with _without_compile():
    import rl_games.common.env_configurations as _  # noqa: F401
