"""The gate lets a browser that shows the page through, and nothing else."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

import aiohttp
import msgspec
import pytest
from aiohttp import web

from dexhand.view import gate as gate_module
from dexhand.view.address import Address
from dexhand.view.gate import LARGEST_MESSAGE, MAX_CLIENTS, Gate, is_harmless

PAGE = b"<html>the page</html>"
PROTOCOL = "viser-test"
HARMLESS = msgspec.msgpack.encode({"type": "GuiUpdateMessage", "uuid": "1", "updates": {"value": True}})


class Inner:
    """What the gate stands in front of: sends frames without end, and keeps what it is sent."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.connections = 0
        self.sent = 0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))
        self._thread.start()
        self._ready.wait()

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_get("/", self._talk)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{listening.getsockname()[1]}"
        await web.SockSite(runner, listening).start()
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _talk(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(protocols=[PROTOCOL])
        await ws.prepare(request)
        self.connections += 1
        sending = asyncio.create_task(self._send(ws))
        try:
            async for message in ws:
                self.received.append(message.data)
        finally:
            sending.cancel()
            self.connections -= 1
        return ws

    async def _send(self, ws: web.WebSocketResponse) -> None:
        while True:
            await ws.send_bytes(bytes(100_000))
            self.sent += 1
            await asyncio.sleep(0.001)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()


@pytest.fixture
def inner() -> Iterator[Inner]:
    server = Inner()
    yield server
    server.close()


@contextlib.contextmanager
def opened(inner: Inner, *, bind_all: bool = False, **settings: float) -> Iterator[Address]:
    address = Address(58080, bind_all=bind_all)
    gate = Gate(PAGE, inner.url, PROTOCOL, address.socket, address.token, **settings)
    try:
        yield address
    finally:
        gate.close()


@pytest.fixture
def gate(inner: Inner) -> Iterator[Address]:
    with opened(inner) as gate:
        yield gate


@pytest.fixture
def guarded(inner: Inner) -> Iterator[Address]:
    """Open to other machines."""
    with opened(inner, bind_all=True) as gate:
        yield gate


def ask(gate: Address, path: str = "/", cookies: dict[str, str] | None = None, **headers: str) -> tuple[int, bytes]:
    """Status and content of an answer, without following where it leads."""

    async def get() -> tuple[int, bytes]:
        async with (
            aiohttp.ClientSession(cookies=cookies, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
            session.get(f"http://127.0.0.1:{gate.port}{path}", headers=headers, allow_redirects=False) as answer,
        ):
            return answer.status, await answer.read()

    return asyncio.run(get())


def browser_at(gate: Address, host: str = "127.0.0.1") -> dict[str, str]:
    """The headers of a browser that shows the page."""
    return {"Host": f"{host}:{gate.port}", "Origin": f"http://{host}:{gate.port}"}


@contextlib.asynccontextmanager
async def connected(gate: Address, headers: dict[str, str] | None = None, **settings: object):  # type: ignore[no-untyped-def]
    async with aiohttp.ClientSession() as session:
        url, headers = f"ws://127.0.0.1:{gate.port}/", browser_at(gate) if headers is None else headers
        async with session.ws_connect(url, headers=headers, protocols=[PROTOCOL], **settings) as ws:  # type: ignore[arg-type]
            yield ws


def status_of_connecting(gate: Address, **headers: str) -> int:
    """The answer to a WebSocket's handshake; 101 = open."""

    async def connect() -> int:
        try:
            async with connected(gate, headers):
                return 101
        except aiohttp.WSServerHandshakeError as refused:
            return refused.status

    return asyncio.run(connect())


async def until(condition) -> None:  # type: ignore[no-untyped-def]
    """Wait for what another thread does."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


class TestVisitors:
    def test_the_page_is_served_at_the_printed_address(self, gate: Address) -> None:
        """And tells the browser to load nothing from, and to be shown in, no other place."""
        assert gate.url == f"http://127.0.0.1:{gate.port}/"
        assert ask(gate) == (200, PAGE)

    def test_other_names_of_this_machine_are_refused(self, gate: Address) -> None:
        """A page of another site whose DNS name now leads here could otherwise read everything."""
        assert ask(gate, Host=f"evil.example:{gate.port}")[0] == 403
        assert ask(gate, Host="127.0.0.1.evil.example")[0] == 403
        assert ask(gate, Host=f"localhost:{gate.port}")[0] == 200

    def test_a_forwarded_port_is_allowed(self, gate: Address) -> None:
        """As ``ssh -L 8000:localhost:58080`` makes it."""
        headers = {"Host": "localhost:8000", "Origin": "http://localhost:8000"}
        assert status_of_connecting(gate, **headers) == 101

    @pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://127.0.0.1"])
    def test_pages_of_other_sites_cannot_connect(self, gate: Address, origin: str) -> None:
        """Browsers let any page open a WebSocket to any address, and say where the page is from."""
        assert status_of_connecting(gate, **{**browser_at(gate), "Origin": origin}) == 403

    def test_a_connection_without_an_origin_is_refused(self, gate: Address) -> None:
        """Every browser sends one."""
        assert status_of_connecting(gate, Host=f"127.0.0.1:{gate.port}") == 403

    @pytest.mark.parametrize("path", ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/index.html", "//etc/passwd"])
    def test_no_request_reaches_the_file_system(self, gate: Address, path: str) -> None:
        """There is one page and nothing else."""
        assert ask(gate, path)[0] == 404

    def test_the_next_free_port_is_taken(self, gate: Address) -> None:
        """Two tests on one machine have a page each."""
        other = Address(gate.port)
        with other.socket:
            assert gate.port < other.port < gate.port + 100


class TestToken:
    def test_the_printed_address_leads_to_the_page(self, guarded: Address) -> None:
        """The token is exchanged for a cookie, so that it disappears from the address line."""
        assert guarded.token is not None
        assert ask(guarded, f"/?token={guarded.token}")[0] == 303
        assert ask(guarded, cookies={f"dexhand-{guarded.port}": guarded.token}) == (200, PAGE)

    @pytest.mark.parametrize("path", ["/", "/?token=", "/?token=wrong", "/?token=%00%ff", "/nowhere"])
    def test_nothing_is_served_without_it(self, guarded: Address, path: str) -> None:
        """Neither the page nor what exists."""
        assert ask(guarded, path)[0] == 403

    def test_a_cookie_of_odd_characters_is_wrong_and_no_failure(self, guarded: Address) -> None:
        assert ask(guarded, Cookie=f"dexhand-{guarded.port}=\u00ff\u00fe")[0] == 403

    def test_connecting_needs_it_too(self, guarded: Address) -> None:
        """With any name of this machine, but from its own page only."""
        cookie = f"dexhand-{guarded.port}={guarded.token}"
        browser = browser_at(guarded, "robot.example")
        assert status_of_connecting(guarded, **browser) == 403
        assert status_of_connecting(guarded, **browser, Cookie=cookie) == 101
        assert status_of_connecting(guarded, **{**browser, "Origin": "http://evil.example"}, Cookie=cookie) == 403


class TestMessages:
    def test_only_harmless_ones_are_passed_on(self, gate: Address, inner: Inner) -> None:
        """What would upload files or publish the page elsewhere never arrives."""

        async def send() -> None:
            async with connected(gate) as ws:
                for kind in ("ShareUrlRequest", "FileTransferStartUpload", "GuiUpdateMessage"):
                    await ws.send_bytes(msgspec.msgpack.encode({"type": kind, "updates": {"label": "x", "value": 1}}))
                await ws.send_bytes(b"\xc1 no message")
                await ws.send_bytes(HARMLESS)
                await until(lambda: inner.received)

        asyncio.run(send())
        assert inner.received == [HARMLESS]

    @pytest.mark.parametrize("content", [b"", b"\x90", b"\x01", msgspec.msgpack.encode({"type": [1]}), b"\x91" * 5000])
    def test_what_is_no_message_is_not_harmless(self, content: bytes) -> None:
        assert not is_harmless(content)

    @pytest.mark.parametrize(
        "message",
        [
            {"type": "ViewerCameraMessage"},
            {"type": "GuiUpdateMessage", "updates": {"value": 1}},
            {"type": "GuiUpdateMessage", "uuid": [1], "updates": {"value": 1}},
            {"type": "GuiUpdateMessage", "uuid": "1", "updates": {"value": 1}, "more": 1},
        ],
    )
    def test_fields_that_viser_fails_on_are_not_harmless(self, message: dict[str, object]) -> None:
        """It does not check them."""
        assert not is_harmless(msgspec.msgpack.encode(message))

    def test_an_oversized_one_ends_the_connection(self, gate: Address, inner: Inner) -> None:
        """Before it is read to its end."""

        async def send() -> None:
            async with connected(gate) as ws:
                await ws.send_bytes(bytes(LARGEST_MESSAGE + 1))
                await until(lambda: ws.closed or inner.connections == 0)

        asyncio.run(send())
        assert inner.received == []


class TestBadVisitors:
    @pytest.mark.parametrize("header", ["Content-Length: 3\r\nTransfer-Encoding: chunked", "Cookie: a=\x01"])
    def test_a_request_that_no_browser_sends_is_refused_without_a_word(
        self, gate: Address, header: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Anybody could otherwise fill the run's console with tracebacks."""
        with socket.create_connection(("127.0.0.1", gate.port)) as visitor:
            visitor.settimeout(20)
            visitor.sendall(f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{gate.port}\r\n{header}\r\n\r\n".encode())
            assert visitor.recv(12) == b"HTTP/1.0 400"
        assert caplog.text == ""

    def test_another_protocol_is_not_spoken_of(self, gate: Address, caplog: pytest.LogCaptureFixture) -> None:
        """Its connection is of no use."""

        async def connect() -> None:
            async with aiohttp.ClientSession() as session:
                await session.ws_connect(gate.url, origin=gate.url.rstrip("/"), protocols=["other"])

        asyncio.run(connect())
        assert caplog.text == ""

    def test_half_open_connections_are_closed_and_lock_nobody_out(self, inner: Inner) -> None:
        """200 that never complete a request: others still get the page, and these are cut off."""
        with opened(inner, request_timeout=0.5) as gate, contextlib.ExitStack() as stack:
            silent = [stack.enter_context(socket.create_connection(("127.0.0.1", gate.port))) for _ in range(200)]
            for one in silent[::2]:
                one.sendall(b"GET / HTTP/1.1\r\nHost:")
            assert ask(gate) == (200, PAGE)
            for one in silent:
                one.settimeout(20)
                with contextlib.suppress(ConnectionResetError):
                    assert one.recv(1) == b""

    def test_too_many_connections_are_refused(self, inner: Inner, monkeypatch: pytest.MonkeyPatch) -> None:
        """The process keeps its file descriptors; when they are gone, visitors are welcome again."""
        monkeypatch.setattr(gate_module, "MAX_CONNECTIONS", 3)
        with opened(inner) as gate:
            with contextlib.ExitStack() as stack:
                for _ in range(3):
                    stack.enter_context(socket.create_connection(("127.0.0.1", gate.port)))
                with pytest.raises(aiohttp.ClientError):
                    ask(gate)

            async def welcome() -> None:
                async with asyncio.timeout(20):
                    while True:
                        with contextlib.suppress(aiohttp.ClientError):
                            await asyncio.to_thread(ask, gate)
                            return

            asyncio.run(welcome())

    def test_too_many_viewers_are_turned_away(self, gate: Address) -> None:
        """The first ones go on watching."""

        async def crowd() -> None:
            async with contextlib.AsyncExitStack() as stack:
                viewers = [await stack.enter_async_context(connected(gate)) for _ in range(MAX_CLIENTS)]
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    await stack.enter_async_context(connected(gate))
                assert refused.value.status == 503
                await viewers[0].receive_bytes()

        asyncio.run(crowd())

    def test_a_viewer_that_never_reads_is_not_buffered_for_and_then_forgotten(self, inner: Inner) -> None:
        """Little more is taken from viser than fits into the sockets, and the heartbeat ends the connection."""
        with opened(inner, heartbeat=1.0) as gate, socket.create_connection(("127.0.0.1", gate.port)) as frozen:
            frozen.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            handshake = {
                **browser_at(gate),
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
                "Sec-WebSocket-Protocol": PROTOCOL,
            }
            lines = "".join(f"{name}: {value}\r\n" for name, value in handshake.items())
            frozen.sendall(f"GET / HTTP/1.1\r\n{lines}\r\n".encode())
            asyncio.run(until(lambda: inner.connections == 1))
            asyncio.run(until(lambda: inner.connections == 0))
            assert inner.sent < 200  # 20 MB; the sockets' own buffers hold several
