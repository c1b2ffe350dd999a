"""Buffers of the simulation as torch tensors, and back."""

import weakref

import torch

from ._records import Stage, Tensor, misuse
from ._types import TensorDataType

_DTYPES = {
    torch.float32: TensorDataType.DTYPE_FLOAT32,
    torch.int32: TensorDataType.DTYPE_UINT32,
    torch.int64: TensorDataType.DTYPE_UINT64,
    torch.uint8: TensorDataType.DTYPE_UINT8,
    torch.int16: TensorDataType.DTYPE_INT16,
}

__all__ = ["unwrap_tensor", "wrap_tensor"]


def wrap_tensor(gym_tensor: Tensor) -> torch.Tensor:
    """The buffer itself, not a copy."""
    sim, find = gym_tensor._sim, gym_tensor._buffer
    if sim is None or find is None:
        misuse("wrap_tensor takes what an acquire_*_tensor call gave")
    if sim.stage is not Stage.PREPARED:
        misuse("wrap_tensor before prepare_sim")
    buffer = find()
    if not sim.params.use_gpu_pipeline:
        return torch.from_numpy(buffer.values)
    if buffer.mirror is None:
        buffer.mirror = torch.from_numpy(buffer.values).to("cuda:0")
    mirror: torch.Tensor = buffer.mirror
    return mirror


def unwrap_tensor(torch_tensor: torch.Tensor) -> Tensor:
    """A description of a contiguous tensor, which must stay alive while it is used."""
    if not torch_tensor.is_contiguous():
        misuse("unwrap_tensor of a tensor that is not contiguous")
    if torch_tensor.dtype not in _DTYPES:
        misuse(f"unwrap_tensor of {torch_tensor.dtype}: known are {', '.join(map(str, _DTYPES))}")
    device = -1 if torch_tensor.device.type == "cpu" else torch_tensor.device.index or 0
    return Tensor.of_torch(
        weakref.ref(torch_tensor),
        torch_tensor.shape,
        _DTYPES[torch_tensor.dtype],
        device,
        torch_tensor.data_ptr(),
    )
