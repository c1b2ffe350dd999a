"""Builders: from a validated configuration to simulators, environments, learners, policies and sinks.

The only package that names every implementation. It imports them lazily, so that unused ones need not be installed.
"""

from dexhand.app.build.env import build_env, build_task_env, check_buildable
from dexhand.app.build.learner import build_algorithm
from dexhand.app.build.machine import backend_of, check_machine, device_of, set_up_process
from dexhand.app.build.policies import build_policy, check_contract, contract_of, policy_loader, read_state
from dexhand.app.build.sinks import build_sinks, hard_example_sinks
from dexhand.app.build.view import (
    Screens,
    build_drawable,
    build_recording,
    build_replay,
    build_screens,
    cannot_be_drawn,
)

__all__ = [
    "Screens",
    "backend_of",
    "build_algorithm",
    "build_drawable",
    "build_env",
    "build_policy",
    "build_recording",
    "build_replay",
    "build_screens",
    "build_sinks",
    "build_task_env",
    "cannot_be_drawn",
    "check_buildable",
    "check_contract",
    "check_machine",
    "contract_of",
    "device_of",
    "hard_example_sinks",
    "policy_loader",
    "read_state",
    "set_up_process",
]
