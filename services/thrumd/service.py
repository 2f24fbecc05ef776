"""Wiring of the door: opens its sockets and files, starts and ends its tasks."""

import asyncio
import logging
import resource

import anyio

from nest.bee import Bee, Hello
from nest.identity import load_or_mint_identity
from nest.lifecycle import Context
from nest.version import HUM_VERSION
from thrumd.edge import rendezvous
from thrumd.edge.accept import accept
from thrumd.edge.door import CLIENTS_MAX, Door

SERVICE = "thrumd"
DRAIN_SECONDS = 3.0
"""How long the end may take: once to settle what clients sent, once to write what they are owed."""
SWEEP_SECONDS = 1.0
DESCRIPTORS_SPARE = 256
"""Open files beside the connections."""

log = logging.getLogger(__name__)


async def serve(context: Context, accepts_per_second: float) -> None:
    """Run the door until `context.stop`; then nothing of it is left on disk.

    Clients are let in before humd has answered: they wait for their echoes, not for a socket.
    """
    _raise_descriptors()
    door = _door(context)
    with rendezvous.listen(context.paths) as listener:
        try:
            rendezvous.publish(context.paths)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(door.bee.run, name="door.bee")
                tasks.start_soon(door.receive, name="door.receive")
                tasks.start_soon(_sweep, door, name="door.sweep")
                async with anyio.create_task_group() as letting_in:
                    letting_in.start_soon(
                        accept, listener, door, accepts_per_second, name="door.accept"
                    )
                    await context.stop.wait()
                    letting_in.cancel_scope.cancel()
                await _drain(door)
                tasks.cancel_scope.cancel()
        finally:
            rendezvous.withdraw(context.paths)


def _door(context: Context) -> Door:
    settings = context.settings
    door = Door(
        context.metrics, nest=settings.nest.default, line_bytes_max=settings.humd.frame_bytes_max
    )
    identity = load_or_mint_identity(context.paths.bee_key(SERVICE), prefix="fbee")
    hello = Hello(roles=("door",), hive=SERVICE, version=HUM_VERSION)
    endpoint = context.paths.bus_endpoint
    door.bee = Bee(identity, hello, endpoint, context.metrics, watcher=door, credits_handled=True)
    return door


async def _sweep(door: Door) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await anyio.sleep(SWEEP_SECONDS)
        door.sweep(loop.time())


async def _drain(door: Door) -> None:
    """Take nothing more; settle what was taken; write what clients are owed; close."""
    door.stop()
    with anyio.move_on_after(DRAIN_SECONDS) as settling:
        await door.bee.settled()
    if settling.cancelled_caught:
        log.warning("door.unsettled", extra={"clients": door.client_count})
    door.close()
    with anyio.move_on_after(DRAIN_SECONDS) as writing:
        await door.emptied.wait()
    if writing.cancelled_caught:
        log.warning("door.cut_short", extra={"clients": door.client_count})


def _raise_descriptors() -> None:
    """Take as many descriptors as the system allows, up to what we could use."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CLIENTS_MAX + DESCRIPTORS_SPARE
    most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
