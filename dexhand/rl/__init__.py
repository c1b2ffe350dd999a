"""The rl_games adapter.

Importing any part of rl_games imports its example networks, which call ``torch.compile``. That loads torch's compiler,
which is not used here and takes about two seconds; ``TORCH_COMPILE_DISABLE`` does not prevent it. This package
therefore imports rl_games first, with ``torch.compile`` temporarily replaced.
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
