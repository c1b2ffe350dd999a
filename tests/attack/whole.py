"""What must be whole in a run, whatever happened to the process that trained in it."""

from dataclasses import dataclass, field
from typing import Any

from dexhand.checkpoints.store import CheckpointError, load_checkpoint
from dexhand.files.digest import is_changed, is_cut
from dexhand.workspace.workspace import Run


@dataclass
class Seen:
    """The checkpoints that a run has had."""

    latest: int = 0
    """Iteration of ``latest.pth``; 0 while there is none."""
    has_best: bool = False
    has_config: bool = False
    problems: list[str] = field(default_factory=list)

    def look(self, run: Run) -> list[str]:
        """What is not whole or has been lost in ``run`` since the last look."""
        self.problems = []
        self._look_at_config(run)
        names = {path.name: self._epoch(path) for path in sorted(run.checkpoints.glob("[!.]*.pth"))}
        newest = names.get("latest.pth", 0)
        if newest < self.latest:
            self.problems.append(f"latest.pth went from iteration {self.latest} back to {newest}")
        if self.has_best and "checkpoint_best.pth" not in names:
            self.problems.append("checkpoint_best.pth is lost")
        for name, epoch in names.items():
            number = name.removeprefix("checkpoint_").removesuffix(".pth")
            if number.isdecimal() and int(number) != epoch:
                self.problems.append(f"{name} holds iteration {epoch}")
        self.latest, self.has_best = max(newest, self.latest), "checkpoint_best.pth" in names
        return self.problems

    def _epoch(self, path: Any) -> int:
        try:
            return int(load_checkpoint(path)["epoch"])
        except CheckpointError as error:
            self.problems.append(str(error))
            return 0

    def _look_at_config(self, run: Run) -> None:
        if not run.config_file.exists():
            if self.has_config:
                self.problems.append("config.yaml is lost")
            return
        self.has_config = True
        text = run.config_file.read_text(encoding="utf-8")
        if not text or is_cut(text) or is_changed(text):
            self.problems.append(f"config.yaml is not whole: {len(text)} characters")
