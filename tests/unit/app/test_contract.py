"""What a checkpoint takes for granted about observations and actions."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from dexhand.app.build import check_contract, contract_of
from dexhand.config.compose import compose
from dexhand.config.errors import ConfigError

TRAINED = ["task=BoxGrasping", "task.critic_observation_keys=[hand_pose,prev_actions]"]


@pytest.mark.parametrize(
    ("critic", "policy_only", "refused"),
    [
        ("[prev_actions,hand_pose]", False, True),
        ("[prev_actions,hand_pose]", True, False),
        ("[hand_pose,prev_actions]", False, False),
        ("[]", False, False),
    ],
)
def test_other_critic_observations_are_refused_unless_only_the_policy_runs(
    critic: str, policy_only: bool, refused: bool
) -> None:
    """Without any, the value estimate starts over instead."""
    state = {"train_loop": {"contract": contract_of(compose(TRAINED))}}
    config = compose([TRAINED[0], f"task.critic_observation_keys={critic}"])
    message = r"was trained with task.critic_observation_keys=\[hand_pose,prev_actions\]"
    with pytest.raises(ConfigError, match=message) if refused else nullcontext():
        check_contract(config, Path("last.pth"), state, policy_only=policy_only)


def test_a_checkpoint_that_does_not_record_critic_observations_passes() -> None:
    """Older ones do not."""
    contract = contract_of(compose(TRAINED))
    del contract["task.critic_observation_keys"]
    other = compose([TRAINED[0], "task.critic_observation_keys=[hand_pose]"])
    check_contract(other, Path("last.pth"), {"train_loop": {"contract": contract}})
