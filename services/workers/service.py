"""Wiring that every worker shares: identity, bus, prompts, and the ending."""

import anyio

from nest.bee import Bee, Hello
from nest.identity import load_or_mint_identity
from nest.lifecycle import Context
from nest.version import HUM_VERSION
from thrum.tones import Body
from workers.turns import Agent
from workers.worker import CHIS, Worker

DRAIN_SECONDS = 8.0
"""Turns in flight get this long when the process is asked to stop."""


async def offer(
    context: Context,
    agent: Agent,
    *,
    hive: str,
    models: tuple[str, ...],
    propensity: Body,
    drain_seconds: float = DRAIN_SECONDS,
) -> None:
    """Have `agent` answer prompts for `models` until the process is asked to stop; then drain."""
    hello = Hello(
        roles=("worker",),
        hive=hive,
        version=HUM_VERSION,
        models=models,
        chis=CHIS,
        propensity=propensity,
    )
    identity = load_or_mint_identity(context.paths.bee_key(hive), prefix="wbee")
    bee = Bee(identity, hello, context.paths.bus_endpoint, context.metrics)
    worker = Worker(bee, agent, context.metrics)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bee.run, name="workers.bee")
        tasks.start_soon(worker.serve, name="workers.serve")
        await context.stop.wait()
        await worker.drain(drain_seconds)
        tasks.cancel_scope.cancel()
