"""The door to the live view: an HTTP server that lets nothing but the page and its owner's messages through.

viser has no access control. It listens on a random loopback address, and this gate stands in front of it: it checks
``Host`` and ``Origin`` (against DNS rebinding and pages of other sites), a token where other machines may connect, and
which messages a browser sends. It serves one file, from memory.
"""

import asyncio
import contextlib
import gzip
import hmac
import logging
import socket
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from dexhand.view.address import LOOPBACK

MAX_CLIENTS = 32
"""Browsers that may watch at the same time."""
MAX_CONNECTIONS = 512
"""TCP connections; more are refused."""
REQUEST_TIMEOUT = 10.0
"""A connection that has sent no complete request after this time is closed, seconds."""
LARGEST_MESSAGE = 64 * 1024
"""Bytes of a message from a browser; a larger one ends its connection."""
LEAVE_TIME = 2.0
"""Seconds in which browsers are told that it is over."""
HEARTBEAT = 20.0
"""Seconds after which a browser that does not answer is forgotten."""

_HEADERS = {
    "Cache-Control": "no-store",
    # the page may load nothing from, and connect to nothing but, this server
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Gate:
    """Serves ``page`` and passes WebSocket messages to and from the server at ``inner``, in a thread of its own.

    The libraries of this process say nothing more of requests that no browser sends, which they log with tracebacks.
    """

    def __init__(
        self,
        page: bytes,
        inner: str,
        protocol: str,
        listening: socket.socket,
        token: str | None = None,
        *,
        heartbeat: float = HEARTBEAT,
        request_timeout: float = REQUEST_TIMEOUT,
    ) -> None:
        """``inner`` is a WebSocket URL, ``protocol`` the subprotocol that it demands, ``listening`` see ``Address``.

        Visitors must present ``token``; ``None`` = every process of this machine may watch.
        """
        for library in ("aiohttp", "websockets"):
            logging.getLogger(library).setLevel(logging.CRITICAL + 1)
        self.serve(page)
        self._inner = inner
        self._protocol = protocol
        self._socket = listening
        self._token = token
        self._cookie = f"dexhand-{listening.getsockname()[1]}"
        self._heartbeat = heartbeat
        self._request_timeout = request_timeout
        self._clients: set[web.WebSocketResponse] = set()
        self._arriving: set[asyncio.BaseProtocol] = set()
        self._silent: set[asyncio.BaseProtocol] = set()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live view gate", daemon=True)
        self._thread.start()
        self._ready.wait()

    def serve(self, page: bytes) -> None:
        """Serve another page from now on."""
        self._page, self._compressed = page, gzip.compress(page)

    def close(self, reason: str = "") -> None:
        """Close all connections, and tell browsers why."""
        self._reason = reason
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    # --- in the gate's thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application(middlewares=[self._check], client_max_size=0)
        app.router.add_get("/", self._answer)
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=15.0, shutdown_timeout=0.5)
        await runner.setup()
        assert runner.server is not None
        server = await self._loop.create_server(partial(self._accept, runner.server), sock=self._socket)
        async with aiohttp.ClientSession() as self._session:
            self._ready.set()
            await self._stop.wait()
            server.close()
            await self._take_leave()
            await runner.shutdown()
            await runner.cleanup()

    async def _take_leave(self) -> None:
        code, reason = aiohttp.WSCloseCode.GOING_AWAY, self._reason.encode()
        goodbyes = (client.close(code=code, message=reason) for client in self._clients if client.prepared)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*goodbyes, return_exceptions=True), LEAVE_TIME)

    def _accept(self, server: web.Server) -> asyncio.BaseProtocol:
        if len(server.connections) + len(self._arriving) >= MAX_CONNECTIONS:
            return _Refusal()
        handler = server()
        self._arriving.add(handler)  # the server counts it from the next turn of the loop on
        self._loop.call_soon(self._arriving.discard, handler)
        self._silent.add(handler)
        self._loop.call_later(self._request_timeout, self._close_if_silent, handler)
        return handler

    def _close_if_silent(self, handler: Any) -> None:
        if handler in self._silent:
            self._silent.discard(handler)
            handler.force_close()

    @web.middleware
    async def _check(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Refuse what no browser showing this page sends."""
        self._silent.discard(request.protocol)
        problem = self._problem_with(request)
        if problem is not None:
            return web.Response(status=403, text=f"{problem}\n", headers=_HEADERS)
        return await handler(request)

    def _problem_with(self, request: web.Request) -> str | None:
        host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
        # any port, since it may be forwarded by ssh; a rebound DNS name is not one of these
        if self._token is None and host.rpartition(":")[0] not in (LOOPBACK, "localhost"):
            return f"This page is at {LOOPBACK} and localhost only"
        is_socket = "Upgrade" in request.headers
        if (is_socket or origin is not None) and origin not in (f"http://{host}", f"https://{host}"):
            return "Other sites may not use this page"
        given = request.query.get("token", request.cookies.get(self._cookie, ""))
        if self._token is not None and not hmac.compare_digest(given.encode(errors="replace"), self._token.encode()):
            return "Open the complete address that was printed, with its token"
        return None

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if "Upgrade" in request.headers:
            return await self._tunnel(request)
        if "token" in request.query and self._token is not None:
            # from here on the cookie is the token, which disappears from the address line
            response = web.Response(status=303, headers={**_HEADERS, "Location": "/"})
            response.set_cookie(self._cookie, self._token, httponly=True, samesite="Lax")
            return response
        packed = "gzip" in request.headers.get("Accept-Encoding", "")
        return web.Response(
            body=self._compressed if packed else self._page,
            content_type="text/html",
            charset="utf-8",
            headers={**_HEADERS, **({"Content-Encoding": "gzip"} if packed else {})},
        )

    async def _tunnel(self, request: web.Request) -> web.StreamResponse:
        if len(self._clients) >= MAX_CLIENTS:
            return web.Response(status=503, text=f"{MAX_CLIENTS} others are watching\n", headers=_HEADERS)
        outer = web.WebSocketResponse(
            protocols=[self._protocol], heartbeat=self._heartbeat, max_msg_size=LARGEST_MESSAGE, compress=False
        )
        self._clients.add(outer)
        try:
            await outer.prepare(request)
            async with self._session.ws_connect(self._inner, protocols=[self._protocol], max_msg_size=0) as inner:
                tasks = [asyncio.create_task(_pass_on(outer, inner)), asyncio.create_task(_pass_back(inner, outer))]
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                if request.transport is not None and not outer.closed:
                    request.transport.abort()  # a browser that does not read would delay an orderly end
            return outer
        finally:
            self._clients.discard(outer)


async def _pass_on(outer: web.WebSocketResponse, inner: aiohttp.ClientWebSocketResponse) -> None:
    """Pass the browser's harmless messages to viser, and drop all others."""
    async for message in outer:
        if message.type == aiohttp.WSMsgType.BINARY and is_harmless(message.data):
            await inner.send_bytes(message.data)


async def _pass_back(inner: aiohttp.ClientWebSocketResponse, outer: web.WebSocketResponse) -> None:
    """Pass viser's messages on as fast as the browser reads; meanwhile viser keeps only the newest state."""
    async for message in inner:
        await outer.send_bytes(message.data)


def is_harmless(data: bytes) -> bool:
    """Tell whether a message moves a viewer's own camera, or uses a control or command of the page.

    viser understands others, which would upload files, publish the page elsewhere or change its other properties.
    """
    try:
        _HARMLESS.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return True


class _Camera(msgspec.Struct, tag_field="type", tag="ViewerCameraMessage", forbid_unknown_fields=True):
    """All fields of viser's message, which it does not check."""

    wxyz: tuple[float, float, float, float]
    position: tuple[float, float, float]
    fov: float
    near: float
    far: float
    image_height: float
    image_width: float
    look_at: tuple[float, float, float]
    up_direction: tuple[float, float, float]


class _Updates(msgspec.Struct, forbid_unknown_fields=True):
    value: Any


class _Control(msgspec.Struct, tag_field="type", tag="GuiUpdateMessage", forbid_unknown_fields=True):
    uuid: str
    updates: _Updates


class _Command(msgspec.Struct, tag_field="type", tag="CommandTriggerMessage", forbid_unknown_fields=True):
    uuid: str


_HARMLESS = msgspec.msgpack.Decoder(_Camera | _Control | _Command)


class _Refusal(asyncio.Protocol):
    """Closes a connection at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
