"""Sharding a model's tensors over several processes with torch's FSDP, and gathering them."""

from typing import Any

import torch
from torch import Tensor, nn


def shard(model: nn.Module, method: str, device: torch.device, processes: int) -> None:
    """Shard the parameters of ``model`` over all processes in place; ``method`` is the name of its loss method."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    fully_shard(model, mesh=init_device_mesh(device.type, (processes,)))
    register_fsdp_forward_method(model, method)


def whole(value: Any) -> Any:
    """Gather all sharded tensors in nested dictionaries and lists. All processes must call it; each gets the result."""
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return value.full_tensor() if hasattr(value, "full_tensor") else value


def shard_like(value: Tensor, like: Any) -> Tensor:
    """Shard a full tensor as ``like`` is and return this process's part. All processes must call it."""
    if not hasattr(like, "full_tensor"):
        return value.to(like.device)
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
