# Made by generate_isaacgym.py from isaacgym_api.json; do not edit.
from enum import IntEnum
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import torch

from isaacgym import gymapi

def wrap_tensor(gym_tensor: gymapi.Tensor) -> torch.Tensor: ...

def unwrap_tensor(torch_tensor: torch.Tensor) -> gymapi.Tensor: ...
