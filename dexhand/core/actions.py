"""The check of actions that every ``VecEnv`` makes."""

import torch
from torch import Tensor


def checked_actions(actions: Tensor, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Return ``actions`` as float32 on ``device``, clamped to [-1, 1].

    Raises ``ValueError`` for another shape than ``shape`` (N, A) and, on the CPU, for numbers that are not finite.
    """
    actions = torch.as_tensor(actions, dtype=torch.float32, device=device)
    if actions.shape != shape:
        raise ValueError(f"actions have shape {tuple(actions.shape)}, expected {shape}")
    # on a GPU this check would synchronise host and device in every step
    if actions.device.type == "cpu" and not bool(torch.isfinite(actions).all()):
        bad = (~torch.isfinite(actions)).any(dim=1).nonzero().flatten().tolist()
        raise ValueError(f"actions of environments {bad[:8]} are not finite")
    return actions.clamp(-1.0, 1.0)
