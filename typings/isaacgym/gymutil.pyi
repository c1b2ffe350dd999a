# Made by generate_isaacgym.py from isaacgym_api.json; do not edit.
from enum import IntEnum
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import torch

from isaacgym.gymapi import Env, Gym, SimParams, Transform, Viewer

class LineGeometry: ...

def draw_lines(geometry: LineGeometry, gym: Gym, viewer: Viewer, env: Env, pose: Transform) -> None: ...

def AxesGeometry(scale: float = ..., pose: Optional[Transform] = ...) -> LineGeometry: ...

def WireframeSphereGeometry(radius: float, num_lats: int, num_lons: int, pose: Optional[Transform], color: Tuple[float, float, float]) -> LineGeometry: ...

def parse_device_str(device: str) -> Tuple[str, int]: ...

def parse_sim_config(config: Dict[str, Any], sim_params: SimParams) -> None: ...
