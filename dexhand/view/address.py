"""The port that the live view is seen at."""

import secrets
import socket

LOOPBACK = "127.0.0.1"


class Address:
    """A listening socket on ``port`` or the next free one, on loopback or, with ``bind_all``, on all interfaces."""

    def __init__(self, port: int, *, bind_all: bool = False) -> None:
        """Raise ``OSError`` if no port is free."""
        self.socket = _listen("" if bind_all else LOOPBACK, port)
        self.port: int = self.socket.getsockname()[1]
        self.token = secrets.token_urlsafe(24) if bind_all else None
        """Demanded from visitors; ``None`` = every process of this machine may watch."""

    @property
    def url(self) -> str:
        """The address to open, with the token."""
        host = LOOPBACK if self.token is None else _address_of_this_machine()
        return f"http://{host}:{self.port}/" + (f"?token={self.token}" if self.token else "")


def _listen(host: str, port: int) -> socket.socket:
    """Open a listening socket on ``port`` or the next free one of the hundred above."""
    for number in range(port, min(port + 100, 65535) + 1):
        try:
            return socket.create_server((host, number), backlog=64)
        except OSError as error:
            last = error
    raise OSError(f"no port from {port} on is free: {last.strerror}")


def _address_of_this_machine() -> str:
    """The address that other machines most probably reach this one at; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address reserved for documentation
        except OSError:
            return socket.gethostname()
        name: str = probe.getsockname()[0]
        return name


def random_loopback() -> str:
    """Draw an address of this machine that other pages cannot guess, for viser, which lets everyone connect."""
    return "127." + ".".join(str(1 + secrets.randbelow(254)) for _ in range(3))
