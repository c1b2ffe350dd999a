"""What the section ``task`` of a configuration has in common for every kind of task."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from dexhand.core.option import option


@dataclass
class TaskConfig:
    """The section ``task``; what the program needs to know about a task before its environments are built."""

    name: str = option("BaseTask", "the task")

    kind: ClassVar[Literal["hand", "gymnasium"]]
    """What builds the environments: see ``dexhand.app.build.env``."""
    is_complete: ClassVar[bool] = True
    """Whether the name alone says what to train."""
    train_envs: ClassVar[int] = 1024
    """Environments of a training where ``env.numEnvs`` is null."""
    unused: ClassVar[tuple[str, ...]] = ()
    """How keys outside this section begin that have no effect on the task."""
    accepted: ClassVar[tuple[str, ...]] = ()
    """How those of them begin that are taken all the same."""
    outlook: ClassVar[str] = ""
    """What to expect of a training, for people; empty = unknown."""
    policy_keys: ClassVar[tuple[str, ...]] = ()
    """Keys of this section that give observations and actions their meaning, beside the name."""

    @property
    def subject(self) -> str:
        """A name for runs and titles."""
        return self.name

    def check(self) -> None:
        """Raise ``ValueError`` for inconsistent keys."""
