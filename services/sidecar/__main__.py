"""`python -m sidecar`: health, metrics and administration until asked to stop."""

import secrets
import sys

import anyio

from nest.bee import Bee, Hello
from nest.guard import Guard, allowed_at
from nest.identity import load_or_mint_identity
from nest.lifecycle import Context, run_async
from nest.listeners import listen, serve
from nest.private import mint_private, read_private
from nest.supervisor import Supervisor
from nest.version import HUM_VERSION
from sidecar.app import build
from sidecar.bus import Bus

DRAIN_SECONDS = 5
TOKEN_BYTES = 32


async def main(context: Context) -> None:
    settings, paths = context.settings.sidecar, context.paths
    sockets = listen(settings.host, settings.port, setting="sidecar.port")
    port: int = sockets[0].getsockname()[1]
    mint_private(paths.sidecar_token, secrets.token_urlsafe(TOKEN_BYTES).encode())
    token = read_private(paths.sidecar_token).decode().strip()
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
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bee.run, name="sidecar.bee")
        tasks.start_soon(bus.listen, name="sidecar.answers")
        guarded = Guard(app, allowed_at(port))
        await serve(guarded, sockets, context.stop, drain_seconds=DRAIN_SECONDS)
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    sys.exit(run_async("sidecar", main))
