"""The side panel of the live view: what is shown, how it goes, and controls."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import viser
from viser import uplot

from dexhand.core.episodes import Episode, Statistics
from dexhand.view.checkpoints import CheckpointControls
from dexhand.view.comparison_panel import ComparisonPanel
from dexhand.view.messages import MAX_SHOWN, Comparison, Policy, Settings
from dexhand.view.stage import Stage

FIRST_SHOWN = 16
KEPT_POINTS = 1000
"""Newest points of a curve that are kept."""
KEPT_CHECKPOINTS = 12
AXES = tuple(uplot.Axis(size=size, ticks=uplot.Axis_Ticks(show=False)) for size in (26, 50))
"""Of curves; sizes in pixels."""

SPEEDS = {
    "0.1 x": 0.1,
    "0.25 x": 0.25,
    "0.5 x": 0.5,
    "real time": 1.0,
    "2 x": 2.0,
    "5 x": 5.0,
    "as fast as it goes": 0.0,
}
"""Choices of ``PlayControl.speed``."""


@dataclass(frozen=True)
class Numbers:
    """Numbers that change all the time."""

    steps: int
    """Control steps so far, summed over environments."""
    steps_per_second: float
    real_time_factor: float
    reward_terms: Sequence[float]
    """Of the chosen environment in the step that is shown; empty right after a reset."""


@dataclass
class _Checkpoint:
    """A line of the reload log."""

    policy: Policy
    at: str = field(default_factory=lambda: time.strftime("%H:%M"))
    episodes: Statistics = field(default_factory=Statistics)


class Panel:
    """The panel's elements. All methods are called from one thread; the controls act from threads of viser's."""

    def __init__(
        self, server: viser.ViserServer, stage: Stage, settings: Settings, send: Callable[[dict[str, Any]], None]
    ) -> None:
        """``send`` passes on what a viewer asks of the run; see ``LiveView``."""
        num_envs = settings.num_envs
        self.shown = tuple(range(min(num_envs, FIRST_SHOWN)))
        """Environments to show."""
        self.chosen = 0
        """The environment whose rewards are shown."""
        self._gui = server.gui
        self._stage = stage
        self._send = send
        self._num_envs = num_envs
        self._reward_names = settings.reward_names
        self._has_success = settings.has_success
        self._subject = f'<div class="big">{escape(settings.title)}</div>'
        self._policy = ""
        self._is_paused = False
        self._largest = 0.0
        self._occurring: set[str] = set()
        self._controls: CheckpointControls | None = None
        self._dialogs: dict[int, Any] = {}
        """Open ones, by the viewer's number."""
        self._checkpoints: deque[_Checkpoint] = deque(maxlen=KEPT_CHECKPOINTS)
        self._comparison: ComparisonPanel | None = None
        self._curves: dict[str, tuple[deque[tuple[float, float]], Any]] = {}

        self._set_theme(dark=False)
        self._gui.set_panel_label("dexhand")
        self._gui.main_panel.dock_right()  # where it covers nothing of the picture
        self._head = self._gui.add_html(self._head_html(""))
        if settings.speed is not None:
            self._add_playback(settings.speed)
        self._checkpoints_order = self._gui.add_html("", visible=False).order
        self._results = self._gui.add_folder("Results")
        with self._results:
            self._log = self._gui.add_html("")
        with self._gui.add_folder("Rewards"):
            choice = self._gui.add_slider("environment", 0, max(num_envs - 1, 1), 1, 0, visible=num_envs > 1)
            choice.on_update(lambda _: self._choose(int(choice.value)))
            self._rewards = self._gui.add_html("")
        self._add_choices()

    def _set_theme(self, *, dark: bool) -> None:
        self._stage.set_dark(dark)
        self._gui.configure_theme(dark_mode=dark, show_logo=False, show_share_button=False, control_width="medium")

    # --- controls

    def _add_playback(self, now: float) -> None:
        gui, send = self._gui, self._send
        with gui.add_folder("Playback"):
            actions = {"pause": "pause", "play": "resume", "step": "step_once"}
            buttons = gui.add_button_group("", tuple(actions))
            buttons.on_click(lambda _: self._play(actions[buttons.value]))
            first = next((name for name, speed in SPEEDS.items() if speed == now), f"{now:g} x")
            speeds = {**SPEEDS, first: now}
            speed = gui.add_dropdown("speed", tuple(speeds), initial_value=first)
            speed.on_update(lambda _: send({"speed": speeds[speed.value]}))
            again = gui.add_button("Restart episodes", hint="episodes under way do not count")
            seed = gui.add_text("seed", "", hint="a whole number; empty = the random sequence goes on")
            self._note_invalid(seed, lambda text: not text.strip() or number_in(text, 2**32) is not None)
            again.on_click(lambda _: send({"restart": number_in(seed.value, 2**32)}))
            stop = gui.add_button("Stop the test", color="red", hint="Esc; after the current step, as Ctrl-C does")
            stop.on_click(lambda event: self._ask_whether_to_stop(event.client))
            escape_key = gui.add_command("Stop the test", hotkey="escape")
            escape_key.on_trigger(lambda event: self._ask_whether_to_stop(event.client))

    def _ask_whether_to_stop(self, client: viser.ClientHandle | None) -> None:
        """Open a dialog in one browser; if it is open, close it."""
        if client is None:
            return
        dialog = self._dialogs.pop(client.client_id, None)
        if dialog is not None:
            dialog.close()
            return
        dialog = self._dialogs[client.client_id] = client.gui.add_modal("Stop the test?")
        with dialog:
            client.gui.add_html('<div class="dx">It ends for everyone who watches, with the results so far.</div>')
            stop = client.gui.add_button("Stop", color="red")
            stop.on_click(lambda _: self._send({"do": "stop"}))
            client.gui.add_button("Go on", hint="Esc").on_click(lambda _: self._ask_whether_to_stop(client))

    def _play(self, action: str) -> None:
        self._is_paused = action != "resume"
        self._send({"do": action})

    def _add_choices(self) -> None:
        gui, stage, several = self._gui, self._stage, self._num_envs > 1
        with gui.add_folder("View"):
            shown = gui.add_text("show", f"0-{self.shown[-1]}", hint="3 or 0-15 or 1,4,7 or all", visible=several)
            shown.on_update(lambda _: self.show_envs(shown.value))
            self._note_invalid(shown, lambda text: bool(envs_in(text, self._num_envs)))
            follow = gui.add_text("follow", "", hint="an environment that stays in the middle; empty = none")
            self._note_invalid(follow, lambda text: not text.strip() or number_in(text, self._num_envs) is not None)
            follow.on_update(lambda _: setattr(stage, "followed", number_in(follow.value, self._num_envs)))
            forces = gui.add_checkbox("contact forces", stage.show_forces)
            forces.on_update(lambda _: setattr(stage, "show_forces", forces.value))
            captions = gui.add_checkbox("captions", stage.show_captions)
            captions.on_update(lambda _: setattr(stage, "show_captions", captions.value))
            dark = gui.add_checkbox("dark", False)
            dark.on_update(lambda _: self._set_theme(dark=dark.value))

    def _note_invalid(self, field: viser.GuiTextHandle, is_valid: Callable[[str], bool]) -> None:
        """Say below a field that its text is not understood, and what holds instead; who types is not disturbed."""
        note, valid = self._gui.add_html("", visible=False), field.value

        def check(_: object) -> None:
            nonlocal valid
            note.visible = not is_valid(field.value)
            if not note.visible:
                valid = field.value
            note.content = (
                f'<div class="dx bad">{escape(field.label)} is not understood: {escape(field.hint or "")}. '
                f"{escape(valid or 'none')} still holds</div>"
            )

        field.on_update(check)

    def show_envs(self, text: str) -> None:
        """Choose environments; a text that makes no sense changes nothing. See ``envs_in``."""
        self.shown = envs_in(text, self._num_envs) or self.shown

    def _choose(self, env_id: int) -> None:
        self.chosen, self._largest = min(max(env_id, 0), self._num_envs - 1), 0.0
        self._occurring.clear()

    # --- events

    def set_run(self, name: str) -> None:
        """Show the name of the run."""
        self._subject += f'<div class="dim">run {escape(name)}</div>'

    def add_policy(self, policy: Policy) -> None:
        """Add a checkpoint that takes over to the log."""
        self._policy = f"checkpoint {escape(policy.name)}, iteration {policy.iteration}"
        self._checkpoints.appendleft(_Checkpoint(policy))
        if policy.folder is not None and (self._controls is None or self._controls.folder != Path(policy.folder)):
            if self._controls is not None:
                self._controls.close()
            self._controls = CheckpointControls(
                self._gui, Path(policy.folder), order=self._checkpoints_order, shows_list=False
            )

    def add_episode(self, episode: Episode) -> None:
        """Count an episode for the current checkpoint."""
        statistics = self._checkpoints[0].episodes
        statistics.add(episode)
        summary = statistics.summary()
        values = {"return": summary.mean_return, "length": summary.mean_length}
        if self._has_success:
            values = {"success rate": summary.success_rate, **values}
        for name, value in values.items():
            self._add_point(name, "episodes", episode.number, value or 0.0)

    def add_scalars(self, values: Mapping[str, float]) -> None:
        """Show metrics of a training."""
        iteration = values["info/iteration"]
        self._policy = f"iteration {iteration:.0f}"
        outcomes = [value for name, value in values.items() if name.startswith("episodes/success:")]
        if "episodes/finished" in values and outcomes:
            self._add_point("success rate", "iterations", iteration, sum(outcomes))
        for name in ("return", "length"):
            if f"episodes/{name}" in values:
                self._add_point(name, "iterations", iteration, values[f"episodes/{name}"])

    def show_comparison(self, comparison: Comparison) -> None:
        """Show how two policies compare."""
        if self._comparison is None:
            self._comparison = ComparisonPanel(self._gui, self._results)
        self._comparison.show(comparison)

    def _add_point(self, name: str, x_name: str, x: float, y: float) -> None:
        if name not in self._curves:
            colour = {"success rate": "#2f9e44", "return": "#1971c2"}.get(name, "#e8590c")
            line = uplot.Series(label=name, stroke=colour, width=2)
            share = uplot.Scale(range=(0.0, 1.0))
            with self._results:
                plot = self._gui.add_uplot(
                    (np.array([x]), np.array([y])),
                    (uplot.Series(label=x_name), line),
                    scales={"x": uplot.Scale(time=False), **({"y": share} if name == "success rate" else {})},
                    legend=uplot.Legend(show=False),
                    title=f"{name}, over {x_name}",
                    axes=AXES,
                    padding=(6, 12, 0, 0),
                    height=100,
                )
            self._curves[name] = deque(maxlen=KEPT_POINTS), plot
        self._curves[name][0].append((x, y))

    # --- displays

    def show(self, numbers: Numbers) -> None:
        """Update all displays."""
        paused = "<b>paused</b> &middot; " if self._is_paused else ""
        self._head.content = self._head_html(
            f"{paused}{numbers.steps_per_second:,.0f} steps/s &middot; "
            f"{numbers.real_time_factor:,.2f} x real time &middot; {numbers.steps:,} steps"
        )
        if numbers.reward_terms:
            self._rewards.content = self._rewards_html(np.asarray(numbers.reward_terms))
        for points, plot in self._curves.values():
            plot.data = tuple(np.array(column) for column in zip(*points))
        self._log.content = self._log_html()

    def _head_html(self, numbers: str) -> str:
        return f'<div class="dx">{self._subject}<div>{self._policy}</div><div>{numbers}</div></div>'

    def _rewards_html(self, terms: np.ndarray) -> str:
        """A table of reward terms that occur, with bars of one scale, which fits the largest value so far."""
        self._largest = max(self._largest, float(abs(terms).max()))
        rows = []
        for name, term in zip(self._reward_names, terms.tolist()):
            if term:
                self._occurring.add(name)
            if name not in self._occurring:
                continue
            width = 40 * abs(term) / self._largest
            left, colour = (44.0, "#2f9e44") if term >= 0 else (44 - width, "#e03131")
            bar = f'<i style="left:{left:.0f}px;width:{width:.0f}px;background:{colour}"></i>'
            rows.append(f'<tr><td>{escape(name)}</td><td>{term:.4f}</td><td class="bar">{bar}</td></tr>')
        total = f"<tr><td>sum</td><td>{terms.sum():.4f}</td><td></td></tr>"
        return f'<div class="dx"><table>{"".join(rows)}{total}</table></div>'

    def _log_html(self) -> str:
        if not self._checkpoints:
            return ""
        rows = [
            f"<tr><td>{line.policy.iteration}</td>{self._results_html(line.episodes)}</tr>"
            f'<tr class="dim"><td colspan="4">loaded at {line.at} in {line.policy.load_seconds:.2f} s, '
            f"{max(line.policy.age, 0.0):.0f} s after it was saved</td></tr>"
            for line in self._checkpoints
        ]
        names = ("iteration", "episodes", *(["success"] if self._has_success else []), "return")
        heads = "".join(f"<th>{name}</th>" for name in names)
        return f'<div class="dx"><table>{"".join((f"<tr>{heads}</tr>", *rows))}</table></div>'

    def _results_html(self, episodes: Statistics) -> str:
        summary = episodes.summary()
        success = "-" if summary.success_rate is None else f"{summary.success_rate:.0%}"
        mean_return = "-" if summary.mean_return is None else f"{summary.mean_return:.1f}"
        values = (str(summary.episodes), *([success] if self._has_success else []), mean_return)
        return "".join(f"<td>{value}</td>" for value in values)


def number_in(text: str, limit: int) -> int | None:
    """Read a whole number from 0 to below ``limit``; ``None`` for anything else."""
    digits = text.strip()
    is_number = digits.isascii() and digits.isdecimal() and len(digits) < 20
    return int(digits) if is_number and int(digits) < limit else None


def envs_in(text: str, num_envs: int) -> tuple[int, ...]:
    """Read environments such as ``0-3,7`` or ``all``: at most ``MAX_SHOWN``, empty if the text makes no sense."""
    if text.strip() == "all":
        return tuple(range(min(num_envs, MAX_SHOWN)))
    found: list[int] = []
    for part in text.split(","):
        ends = [number_in(end, num_envs) for end in part.split("-")]
        first, last = ends[0], ends[-1]
        if first is None or last is None or len(ends) > 2:
            return ()
        found += range(first, min(last, first + MAX_SHOWN) + 1)
    return tuple(dict.fromkeys(found))[:MAX_SHOWN]
