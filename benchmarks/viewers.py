#!/usr/bin/env python3
"""Be so many browsers that watch a live view, for ``benchmarks/view.py``: ``viewers.py URL NUMBER``.

Prints a line when all of them get frames, and reads on until its standard input is closed. 0 = one comes and leaves.
"""

import asyncio
import os
import sys
from importlib.metadata import version

import aiohttp
import msgspec

CAMERA = {
    "type": "ViewerCameraMessage",
    "wxyz": [1, 0, 0, 0],
    "position": [0, 0, 1],
    "look_at": [0, 0, 0],
    "up_direction": [0, 0, 1],
    "fov": 1.0,
    "near": 0.1,
    "far": 10.0,
    "image_height": 100,
    "image_width": 100,
}
FIRST = 20
"""Messages after which a viewer has the whole scene."""


async def watch(session: aiohttp.ClientSession, url: str, has_arrived: asyncio.Semaphore, counts: list[int]) -> None:
    """Read what one browser is sent."""
    protocol, headers = f"viser-v{version('viser')}", {"Origin": url.rstrip("/")}
    async with session.ws_connect(url, headers=headers, protocols=[protocol], max_msg_size=0) as ws:
        await ws.send_bytes(msgspec.msgpack.encode(CAMERA))
        for _ in range(FIRST):
            await ws.receive_bytes()
        has_arrived.release()
        async for _ in ws:
            counts[0] += 1


async def main(url: str, number: int) -> None:
    """Connect all, wait for the end, print how many messages came."""
    has_arrived, counts = asyncio.Semaphore(0), [0]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        tasks = [asyncio.create_task(watch(session, url, has_arrived, counts)) for _ in range(max(number, 1))]
        for _ in tasks:
            await has_arrived.acquire()
        if not number:
            tasks[0].cancel()
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # real viewers' browsers are on other machines
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
        sys.stdout.write(f"{counts[0]}\n")
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
