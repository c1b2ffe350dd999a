"""The checkpoint panel as a page of its own, beside players that may be on other machines.

``CheckpointPage`` starts its process as ``python -m dexhand.view.checkpoint_page PIPE SOCKET`` with two inherited file
descriptors; a closed pipe is the end.
"""

import contextlib
import socket
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from dexhand.checkpoints.choice import home_of
from dexhand.files.output import printable
from dexhand.view.address import Address
from dexhand.view.checkpoints import CheckpointControls
from dexhand.view.process import end_process, start_process
from dexhand.view.server import start_server

PORT = 58180
"""Where the page is by default; if the port is taken, at the next free one."""


WIDTH = 560
"""Of the panel, pixels; on phones it fills the page."""


class CheckpointPage:
    """A page that lists the checkpoints of a folder and chooses which one plays. It needs no torch."""

    def __init__(self, folder: Path, *, port: int = PORT, bind_all: bool = False) -> None:
        """``folder`` holds the checkpoints, a run's ``nn/``, and need not exist yet. Raises ``OSError``.

        With ``bind_all``, other machines may connect, with the token in ``url``.
        """
        address = Address(port, bind_all=bind_all)
        self.url = address.url
        """The address to open."""
        with address.socket:
            self._process, self._pipe = start_process("dexhand.view.checkpoint_page", address.socket.fileno())
        self._pipe.send((folder, address.token))

    @property
    def is_open(self) -> bool:
        """Whether its process still runs."""
        return self._process.poll() is None

    def close(self) -> None:
        """Close the page. Calling it again does nothing."""
        end_process(self._process, [])
        self._pipe.close()


def main(arguments: list[str]) -> None:
    """Show the page until the pipe is closed."""
    descriptor, listening = (int(argument) for argument in arguments)
    pipe = Connection(descriptor)
    with contextlib.suppress(EOFError, ConnectionError):
        folder, token = pipe.recv()
        name = printable(home_of(folder).name)
        server, _ = start_server(f"{name} checkpoints", socket.socket(fileno=listening), token)
        server.gui.configure_theme(show_logo=False, show_share_button=False, control_width="large")
        server.gui.set_panel_label(name)
        server.gui.main_panel.float(x=20, y=20, width=WIDTH)  # it is all that the page shows
        CheckpointControls(server.gui, folder)
        pipe.recv()


if __name__ == "__main__":
    main(sys.argv[1:])
