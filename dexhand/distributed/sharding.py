"""Sharding a model's arrays over several processes with torch's FSDP, and gathering them again."""

from typing import Any

import torch
from torch import Tensor, nn


def shard(model: nn.Module, method: str, device: torch.device, processes: int) -> None:
    """Spread the arrays of ``model`` over all processes, in place; ``method`` is what computes its loss."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    fully_shard(model, mesh=init_device_mesh(device.type, (processes,)))
    register_fsdp_forward_method(model, method)


def whole(value: Any) -> Any:
    """Nested dictionaries and lists with every array whole. All processes call it; each gets everything."""
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return value.full_tensor() if hasattr(value, "full_tensor") else value


def shard_like(value: Tensor, like: Any) -> Tensor:
    """The part that a process keeps of a whole array, spread as ``like`` is. All processes call it."""
    if not hasattr(like, "full_tensor"):
        return value.to(like.device)
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
