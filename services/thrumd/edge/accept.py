"""Letting clients in: their user, their rate, their number."""

import asyncio
import logging
import os
import socket

import anyio

from nest.bucket import Bucket
from thrum.errors import Qualifier
from thrumd.core.inbound import error_line
from thrumd.edge.connection import peer_uid
from thrumd.edge.door import CLIENTS_MAX, Door

ACCEPTS_PER_SECOND = 100.0
"""Connections let in per second; what comes faster waits in the backlog and is not refused."""
ACCEPTS_BURST = 100.0
RETRY_SECONDS = 0.1
"""Wait after the system had no descriptor for a connection; it stays in the backlog."""

log = logging.getLogger(__name__)


async def accept(listener: socket.socket, door: Door, accepts_per_second: float) -> None:
    """Let clients in, for ever."""
    loop = asyncio.get_running_loop()
    bucket = Bucket(accepts_per_second, max(ACCEPTS_BURST, accepts_per_second))
    while True:
        if wait := bucket.take(loop.time()):
            await anyio.sleep(wait)
            continue
        try:
            client, _ = await loop.sock_accept(listener)
        except OSError as problem:
            log.error("door.cannot_accept", extra={"reason": problem.strerror})
            door.refused("system")
            await anyio.sleep(RETRY_SECONDS)
            continue
        await _admit(client, door)


async def _admit(client: socket.socket, door: Door) -> None:
    """Serve a connection, or close it."""
    if peer_uid(client) not in (None, os.geteuid()):
        log.warning("door.foreign_user", extra={"uid": peer_uid(client)})
        door.refused("user")
        client.close()
        return
    if door.is_full:
        door.refused("full")
        client.setblocking(False)
        message = f"the door serves {CLIENTS_MAX} connections and has no room for one more"
        _try_send(client, error_line(Qualifier.QUEUE_OVERFLOW, message))
        client.close()
        return
    loop = asyncio.get_running_loop()
    try:
        await loop.connect_accepted_socket(door.connection, client)
    except OSError as problem:
        log.info("door.gone_at_once", extra={"reason": problem.strerror})
        client.close()


def _try_send(client: socket.socket, line: bytes) -> None:
    try:
        client.send(line)
    except OSError as problem:
        log.info("door.gone_at_once", extra={"reason": problem.strerror})
