"""`python -m sidecar`: health, metrics and administration until asked to stop."""

import logging
import secrets
import socket
import sys
from collections.abc import Iterable
from functools import partial
from urllib.parse import urlsplit

import anyio

from nest.bee import Bee, Hello
from nest.guard import App, Guard, allowed_at
from nest.identity import load_or_mint_identity
from nest.lifecycle import Context, run_async
from nest.listeners import listen, serve
from nest.private import mint_private, read_token
from nest.stop import Stop
from nest.supervisor import Supervisor
from nest.version import HUM_VERSION
from sidecar.app import build, only_metrics
from sidecar.bus import Bus
from thrum.errors import SettingsRefused

DRAIN_SECONDS = 5
TOKEN_BYTES = 32

log = logging.getLogger(__name__)


def collectors_listen(address: str) -> list[socket.socket]:
    """Sockets at `address` (host:port of this machine), for metrics alone.

    Empty when `address` is, and when it cannot be had: that is logged, and the rest goes on.
    """
    if not address:
        return []
    parts = urlsplit(f"//{address}")
    try:
        return listen(parts.hostname or "", parts.port or 0, setting="humd.metricsAddr")
    except SettingsRefused as refusal:
        log.warning("sidecar.metrics_addr", extra={"reason": str(refusal)})
        return []


async def main(context: Context) -> None:
    settings, paths = context.settings.sidecar, context.paths
    sockets = listen(settings.host, settings.port, setting="sidecar.port")
    port: int = sockets[0].getsockname()[1]
    mint_private(paths.sidecar_token, secrets.token_urlsafe(TOKEN_BYTES).encode())
    token = read_token(paths.sidecar_token)
    release = HUM_VERSION
    bind = {"host": settings.host, "port": port, "scheme": "http"}
    hello = Hello(roles=("sidecar",), hive="sidecar", version=release, bind=bind)
    identity = load_or_mint_identity(paths.bee_key("sidecar"), prefix="fbee")
    bee = Bee(identity, hello, paths.bus_endpoint, context.metrics)
    bus = Bus(bee)
    app = build(
        bus,
        context.metrics,
        Supervisor(paths.supervisor_socket),
        paths,
        token=token,
        version=release,
    )
    served: list[tuple[App, list[socket.socket]]] = [(app, sockets)]
    if second := collectors_listen(context.settings.humd.metrics_addr):
        served.append((only_metrics(app), second))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bee.run, name="sidecar.bee")
        tasks.start_soon(bus.listen, name="sidecar.answers")
        await serve_all(served, context.stop)
        tasks.cancel_scope.cancel()


async def serve_all(served: Iterable[tuple[App, list[socket.socket]]], stop: Stop) -> None:
    """Serve each application on its sockets, behind the guard, until `stop`."""
    async with anyio.create_task_group() as tasks:
        for app, sockets in served:
            guarded = Guard(app, allowed_at(sockets[0].getsockname()[1]))
            one = partial(serve, guarded, sockets, stop, drain_seconds=DRAIN_SECONDS)
            tasks.start_soon(one, name="sidecar.listener")


if __name__ == "__main__":
    sys.exit(run_async("sidecar", main))
