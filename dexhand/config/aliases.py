"""Other spellings of configuration keys: one table, used to translate the command line and shown by ``--help``."""

from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

from dexhand.config.errors import ConfigError

ALIASES: Dict[str, str] = {
    # short forms
    "numEnvs": "env.numEnvs",
    "num_envs": "env.numEnvs",
    "device": "env.device",
    "test": "train.test",
    "testGamesNum": "train.testGamesNum",
    "reloadInterval": "train.reloadInterval",
    "checkpoint": "train.checkpoint",
    "seed": "train.seed",
    "maxIter": "train.maxIterations",
    "maxIterations": "train.maxIterations",
    "logLevel": "train.logLevel",
    # sections of older versions
    "training.test": "train.test",
    "training.seed": "train.seed",
    "training.checkpoint": "train.checkpoint",
    "training.maxIterations": "train.maxIterations",
    "training.max_iterations": "train.maxIterations",
    "training.torchDeterministic": "train.torchDeterministic",
    "training.torch_deterministic": "train.torchDeterministic",
    "testing.testGamesNum": "train.testGamesNum",
    "testing.reloadInterval": "train.reloadInterval",
    "training.reloadInterval": "train.reloadInterval",
    "logging.logLevel": "train.logLevel",
    "train.max_iterations": "train.maxIterations",
    "train.torch_deterministic": "train.torchDeterministic",
    "env.box": "task.box",
    # task keys in camelCase
    "task.rewardWeights": "task.reward_weights",
    "task.policyObservationKeys": "task.policy_observation_keys",
    "task.policyControlsHandBase": "task.policy_controls_hand_base",
    "task.policyControlsFingers": "task.policy_controls_fingers",
    "task.maxBaseLinearVelocity": "task.max_base_linear_velocity",
    "task.maxBaseAngularVelocity": "task.max_base_angular_velocity",
    "task.maxFingerJointVelocity": "task.max_finger_joint_velocity",
    "task.contactBinaryThreshold": "task.contact_binary_threshold",
    "task.handbaseThreshold": "task.handbase_threshold",
    "task.fingertipThreshold": "task.fingertip_threshold",
    "task.fingerpadThreshold": "task.fingerpad_threshold",
    "task.activeSuccessCriteria": "task.active_success_criteria",
    "task.activeFailureCriteria": "task.active_failure_criteria",
}
"""Other spelling: the key it means. A key stands for everything below it too."""

SHORT_FORMS = tuple(alias for alias in ALIASES if "." not in alias)
"""Aliases that are convenient rather than old; using them needs no remark."""


@dataclass(frozen=True)
class Translation:
    """A command line in canonical spelling."""

    overrides: Tuple[str, ...]
    remarks: Tuple[str, ...]
    """One line for each old spelling, with the one to use instead."""


def canonical_key(key: str) -> str:
    """``key`` with an alias at its front replaced; a key that is no alias is returned as it is."""
    parts = key.split(".")
    for length in range(len(parts), 0, -1):
        head = ".".join(parts[:length])
        if head in ALIASES:
            return ".".join([ALIASES[head], *parts[length:]])
    return key


def translate(overrides: Sequence[str]) -> Translation:
    """Canonical overrides, each ``key=value``.

    ``+key=value`` and ``++key=value`` say in Hydra that the key may be new; here no key can be, and they mean the same.
    Raises ``ConfigError`` where one key is given different values in two spellings.
    """
    translated: List[str] = []
    remarks: List[str] = []
    given: Dict[str, Tuple[str, str]] = {}
    for override in overrides:
        spelling, equals, value = override.partition("=")
        plain = spelling.lstrip("+")
        key = canonical_key(plain)
        if equals:
            other, other_value = given.setdefault(key, (spelling, value))
            if other != spelling and other_value != value:
                raise ConfigError(
                    f"{other}={other_value} and {spelling}={value} are two spellings of {key} with different values. "
                    "Give one of them"
                )
        if key != plain and plain not in SHORT_FORMS:
            remarks.append(f"{plain} is an old spelling of {key}")
        translated.append(key + equals + value)
    return Translation(tuple(translated), tuple(remarks))
