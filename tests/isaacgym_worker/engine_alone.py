"""Checks of the adapter on the real Isaac Gym; ``test_engine.py`` runs each in a process of its own."""

import os

import pytest
import torch
from scenes import DT, HEIGHT, make

DEVICE = os.environ["ISAACGYM_TEST_DEVICE"]


def at_rest(num_envs: int = 4):  # type: ignore[no-untyped-def]
    """An adapter with everything at rest and the box beside the hand."""
    adapter = make(device=DEVICE, num_envs=num_envs, graphics_device=-1)
    adapter.state["object_pos"][:] = torch.tensor([-0.5, 0.0, 0.04], device=DEVICE)
    adapter.state["object_quat"][:] = torch.tensor([0.0, 0.0, 0.0, 1.0], device=DEVICE)
    adapter.write_back(torch.ones(num_envs, dtype=torch.bool, device=DEVICE))
    return adapter


def targets(adapter, hinge: float, slide: float) -> torch.Tensor:  # type: ignore[no-untyped-def]
    return torch.tensor([hinge, slide], device=DEVICE).repeat(len(adapter.state["dof_pos"]), 1)


def test_joints_end_where_their_targets_are() -> None:
    adapter = at_rest()
    for _ in range(100):
        adapter.step(targets(adapter, 0.4, -0.2))
    assert (adapter.state["dof_pos"] - targets(adapter, 0.4, -0.2)).abs().max() < 0.01


def test_bodies_are_where_the_file_puts_them() -> None:
    """In the environment's frame, not the simulation's."""
    adapter = at_rest()
    adapter.step(targets(adapter, 0.0, 0.0))
    for place in adapter.state["body_pos"][:, 1].tolist():
        assert place == pytest.approx([0.2, 0.0, HEIGHT + 0.1], abs=1e-3)


def test_a_box_rests_and_feels_its_weight() -> None:
    adapter = at_rest()
    for _ in range(100):
        adapter.step(targets(adapter, 0.0, 0.0))
    for force in adapter.state["object_contact_force"][:, 0, 2].tolist():
        assert force == pytest.approx(0.2 * 9.81, rel=0.05)


def test_a_step_takes_its_time() -> None:
    """A free box gains g times the step in speed."""
    adapter = at_rest()
    adapter.state["object_pos"][..., 2] = 1.0
    adapter.write_back(torch.ones(4, dtype=torch.bool, device=DEVICE))
    adapter.step(targets(adapter, 0.0, 0.0))
    assert adapter.state["object_linvel"][0, 0, 2].item() == pytest.approx(-9.81 * DT, rel=0.02)


def test_only_the_environments_of_the_mask_are_put_elsewhere() -> None:
    adapter = at_rest()
    adapter.step(targets(adapter, 0.0, 0.0))
    adapter.state["dof_pos"][:, 1] = 0.3
    adapter.write_back(torch.tensor([False, True, False, False], device=DEVICE))
    wanted = targets(adapter, 0.0, 0.0)
    wanted[1, 1] = 0.3
    adapter.step(wanted)
    assert (adapter.state["dof_pos"] - wanted).abs().max() < 0.01


def test_a_mask_of_no_environment_changes_nothing() -> None:
    adapter = at_rest()
    adapter.write_back(torch.zeros(4, dtype=torch.bool, device=DEVICE))
    adapter.step(targets(adapter, 0.0, 0.0))
    adapter.step(targets(adapter, 0.0, 0.0))
    assert adapter.state["dof_pos"].abs().max() < 0.01


def test_memory_stays_flat_over_resets() -> None:
    """A thousand of them leave nothing behind on the device."""
    adapter = at_rest(num_envs=64)
    everywhere = torch.ones(64, dtype=torch.bool, device=DEVICE)

    def free_after(times: int) -> int:
        for _ in range(times):
            adapter.write_back(everywhere)
            adapter.step(targets(adapter, 0.0, 0.0))
        torch.cuda.synchronize()
        return torch.cuda.mem_get_info()[0]

    before = free_after(50)
    assert before - free_after(1000) <= 0
