"""The checkpoint panel as part of a page: the list of checkpoints, and controls that choose which one plays."""

import logging
import threading
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import viser

from dexhand.checkpoints.panel import HEADERS, REFRESH_INTERVAL, CheckpointPanel, Snapshot
from dexhand.core.clock import SystemClock
from dexhand.files.output import printable

log = logging.getLogger(__name__)

NONE_YET = "(none yet)"
MODES = {"auto": "Auto", "manual": "Manual"}


class CheckpointControls:
    """Controls in a folder of a page, kept up to date by a thread of their own."""

    def __init__(self, gui: viser.GuiApi, folder: Path, *, order: float | None = None, shows_list: bool = True) -> None:
        """``folder`` holds the checkpoints; see ``CheckpointPanel``. ``order`` is the place on the page, as in viser.

        Without ``shows_list`` the list is folded up at first.
        """
        self._panel = CheckpointPanel(folder, SystemClock())
        self._problem = ""
        self._shown_mode = ""
        self._is_open = True
        self._folder = gui.add_folder("Checkpoints", order=order)
        with self._folder:
            self._status = gui.add_html("")
            self._mode: viser.GuiDropdownHandle[str] = gui.add_dropdown(
                "mode", tuple(MODES.values()), hint="Auto follows the newest checkpoint, Manual holds one"
            )
            self._selected: viser.GuiDropdownHandle[str] = gui.add_dropdown("checkpoint", (NONE_YET,))
            load = gui.add_button("Load Selected")
            refresh = gui.add_button("Refresh")
            with gui.add_folder("All checkpoints", expand_by_default=shows_list):
                self._list = gui.add_html("")
        self._mode.on_update(self._choose_mode)
        load.on_click(lambda _: self._do(lambda: self._panel.load(self._selected.value)))
        refresh.on_click(lambda _: self._panel.refresh())
        self._thread = threading.Thread(target=self._keep_up, name="checkpoint panel", daemon=True)
        self._thread.start()

    @property
    def folder(self) -> Path:
        """The folder of the checkpoints."""
        return self._panel.folder

    def close(self) -> None:
        """Remove the controls."""
        self._is_open = False
        self._panel.refresh()
        self._thread.join()
        self._panel.close()
        self._folder.remove()

    # --- in threads of viser's

    def _choose_mode(self, event: viser.GuiEvent[Any]) -> None:
        if event.client is not None:  # a person, not _show
            self._do(self._panel.follow_newest if self._mode.value == MODES["auto"] else self._panel.hold)

    def _do(self, choose: Callable[[], None]) -> None:
        try:
            choose()
            self._problem = ""
        except (OSError, ValueError) as error:
            self._problem = f"Not chosen: {error}"
            self._shown_mode = ""
        self._panel.refresh()

    # --- in the thread that keeps up

    def _keep_up(self) -> None:
        while self._is_open:
            self._show(self._panel.look())
            self._panel.wait(REFRESH_INTERVAL)

    def _show(self, snapshot: Snapshot) -> None:
        lines = [*snapshot.status(), *([printable(self._problem)] if self._problem else [])]
        self._status.content = f'<div class="dx">{"".join(f"<div>{escape(line)}</div>" for line in lines)}</div>'
        self._list.content = _table(snapshot)
        names = snapshot.choosable() or (NONE_YET,)
        if names != self._selected.options:
            self._selected.options = names
        if snapshot.choice.mode != self._shown_mode:  # else a person may be changing it
            self._shown_mode = snapshot.choice.mode
            self._mode.value = MODES[self._shown_mode]  # type: ignore[misc]  # it can be set


def _table(snapshot: Snapshot) -> str:
    rows = []
    for checkpoint in snapshot.checkpoints:
        cells = [escape(cell) for cell in snapshot.cells(checkpoint)]
        if snapshot.is_playing(checkpoint.name):
            cells[0] = f"<b>&#9654; {cells[0]}</b>"
        rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    heads = "".join(f"<th>{header}</th>" for header in HEADERS)
    return f'<div class="dx"><table><tr>{heads}</tr>{"".join(rows)}</table></div>'
