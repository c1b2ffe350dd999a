"""Physics: values are checked as they are stored, in single precision, before anything changes."""

from typing import Any

import pytest
import torch
from torch import Tensor

from dexhand.sim.physics import Physics

EVERYWHERE = torch.ones(2, dtype=torch.bool)


@pytest.fixture
def physics() -> Physics:
    nominal = {"hand_mass": torch.ones((), dtype=torch.double), "armature": torch.zeros(3, dtype=torch.double)}
    return Physics(nominal, 2, torch.device("cpu"))


@pytest.mark.parametrize(
    "value",
    [
        torch.full((2,), 1e-60, dtype=torch.double),
        torch.full((2,), 1e200, dtype=torch.double),
        torch.ones(2, dtype=torch.complex64),
        EVERYWHERE,
        [1.0, 1.0],
    ],
    ids=["rounds to 0", "rounds to inf", "complex", "bool", "list"],
)
def test_values_that_are_no_masses_are_refused(physics: Physics, value: Any) -> None:
    """By update and by a saved state; nothing has changed."""
    armature = torch.ones(2, 3)
    with pytest.raises(ValueError, match="physics 'hand_mass'"):
        physics.update(EVERYWHERE, {"armature": armature, "hand_mass": value})
    with pytest.raises(ValueError, match="physics 'hand_mass'"):
        physics.load_state_dict({"physics.armature": armature, "physics.hand_mass": value})
    assert physics.state_dict() == {}


@pytest.mark.parametrize(
    "mask", [EVERYWHERE[:, None], EVERYWHERE[:1], EVERYWHERE.long()], ids=["column", "short", "int"]
)
def test_other_masks_are_refused(physics: Physics, mask: Tensor) -> None:
    """With the type and shape that are expected."""
    with pytest.raises(ValueError, match=r"expected torch\.bool of shape \(2,\)"):
        physics.update(mask, {"hand_mass": torch.ones(2)})
    assert physics.state_dict() == {}
