"""Wiring of the front: the port, the connection to humd, and the order in which they end."""

import socket

import anyio

from foragers.front.app import Front, refusal_body
from foragers.front.catalogue import Catalogue
from foragers.front.exchanges import Exchanges
from foragers.front.keys import Keys
from foragers.front.sessions import Sessions
from foragers.front.spool import Spool
from foragers.front.turns import Turns
from nest.bee import Bee, Hello
from nest.guard import Guard, Refusal, allowed_at
from nest.identity import load_or_mint_identity
from nest.lifecycle import Context
from nest.listeners import listen, serve
from nest.settings import is_loopback
from nest.version import HUM_VERSION
from thrum.chi import Chi, LinkChi
from thrum.errors import SettingsRefused

HIVE = "front"
PORT_SETTING = "front.port"
DRAIN_SECONDS = 10
"""How long requests in flight may take once we are told to stop."""
SETTLE_SECONDS = 2
"""How long humd may then take to have our last words on disk."""
EXPIRE_SECONDS = 5
"""How often turns are looked for whose client did not come back."""


async def serve_front(context: Context) -> None:
    """Serve until told to stop.

    Raises `SettingsRefused` when the port is taken, or when others may come and nobody has a key.
    """
    settings = context.settings.front
    is_local = is_loopback(settings.host)
    keys = Keys(
        context.paths.front_keys, context.metrics, is_needed=settings.require_key or not is_local
    )
    if not is_local and not keys.count:
        raise SettingsRefused(
            f"front.host is {settings.host}, which other machines reach, and nobody has a key",
            hint="make a key: hum key create; or set front.host to 127.0.0.1",
        )
    sockets = listen(settings.host, settings.port, setting=PORT_SETTING)
    port: int = sockets[0].getsockname()[1]
    sockets += _listen_for_ollama(context)
    ports = list(dict.fromkeys(one.getsockname()[1] for one in sockets))
    identity = load_or_mint_identity(context.paths.bee_key(HIVE), prefix="fbee")
    hello = Hello(
        roles=("forager",),
        hive=HIVE,
        version=HUM_VERSION,
        provides=("session",),
        chis=_CHIS,
        propensity={"statefulness": "stateless", "richness": "medium", "wire": "openai/chat"},
        bind={"host": settings.host, "port": port, "scheme": "http"},
    )
    bee = Bee(identity, hello, context.paths.bus_endpoint, context.metrics)
    catalogue = Catalogue(bee)
    async with anyio.create_task_group() as tasks:
        sessions = Sessions(context.metrics, context.paths.front_sessions)
        spool = Spool(context.paths.attachments, context.metrics)
        turns = Turns(bee, tasks, sessions, context.metrics)
        exchanges = Exchanges(
            bee, turns, sessions, spool, catalogue, context.metrics,
            frame_bytes_max=context.settings.humd.frame_bytes_max, tools=settings.tools,
        )  # fmt: skip
        front = Front(keys, exchanges, catalogue, context.metrics)
        refusals = context.metrics.counter(
            "hum_front_refusals_total", "Requests that the guard refused.", ("code",)
        )

        def count(refusal: Refusal) -> None:
            refusals.labels(refusal.code).inc()

        names = (settings.host, *settings.names)
        allowed = allowed_at(*ports, hosts=names, loose="/api/")
        guard = Guard(front, allowed, refusal_body, count)
        tasks.start_soon(bee.run, name="front.bee")
        tasks.start_soon(_listen_to_humd, bee, catalogue, name="front.inbox")
        tasks.start_soon(_expire, turns, name="front.expire")
        told = {"host": settings.host, "port": port, "also": ports[1:]}
        context.log.info("front.listening", extra=told)
        await serve(guard, sockets, context.stop, drain_seconds=DRAIN_SECONDS)
        turns.abort_all("shutdown")
        with anyio.move_on_after(SETTLE_SECONDS):
            await bee.settled()
        tasks.cancel_scope.cancel()
    sessions.close()


def _listen_for_ollama(context: Context) -> list[socket.socket]:
    """The further port, when one is set and it is free; what holds it otherwise is in the log."""
    settings = context.settings.front
    if settings.ollama_port is None:
        return []
    try:
        return listen(settings.host, settings.ollama_port, setting="front.ollamaPort")
    except SettingsRefused as refused:
        context.log.warning("front.ollama_port_taken", extra={"reason": refused.message})
        return []


async def _listen_to_humd(bee: Bee, catalogue: Catalogue) -> None:
    """Take what no turn claims: answers about bees. The rest is from turns that are over."""
    async for tone in bee.inbox:
        if tone.chi == LinkChi.VITALS:
            catalogue.take(tone)


async def _expire(turns: Turns) -> None:
    while True:
        await anyio.sleep(EXPIRE_SECONDS)
        turns.expire()


_CHIS = (
    Chi.HELLO,
    Chi.PROMPT,
    Chi.CANCEL,
    Chi.TOOL_RESULT,
    Chi.CHUNK,
    Chi.FINISH,
    Chi.SESSION_READY,
    Chi.TOOL_CALL,
    Chi.ERROR,
)
