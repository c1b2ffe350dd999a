"""The web server of a page: viser behind the gate."""

import socket

import viser

from dexhand.view.address import random_loopback
from dexhand.view.client import client_page
from dexhand.view.gate import Gate


def start_server(title: str, listening: socket.socket, token: str | None) -> tuple[viser.ViserServer, Gate]:
    """Serve a page at ``listening``; see ``Gate`` for ``token``."""
    server = viser.ViserServer(host=random_loopback(), port=0, label="dexhand", verbose=False)
    inner = f"ws://{server.get_host()}:{server.get_port()}"
    return server, Gate(client_page(title), inner, f"viser-v{viser.__version__}", listening, token)
