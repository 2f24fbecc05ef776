"""A service with two cells for each escape, with a namespace and without one; half of them work.

    python -m tests.support.cell_service NAME

It says `ready` once all stand.
"""

import sys
from itertools import product

import anyio
from tests.support.escapes import ESCAPES, order

from nest.cells.cgroups import Cgroups
from nest.cells.limits import Limits
from nest.cells.pool import CellPool
from nest.lifecycle import Context, run_async


async def serve(context: Context) -> None:
    """Keep the cells until asked to stop."""
    trees = list(product(ESCAPES, (True, False)))
    pool = CellPool(context.metrics, Cgroups("test"), places_max=len(trees), idle_seconds=600)
    answered = 0

    async def prompt(place: int, escape: str, makes_namespace: bool) -> None:
        nonlocal answered
        wanted = order(sys.argv[1], escape, makes_namespace=makes_namespace)
        async with pool.lodged(str(place), "", lambda: wanted, Limits()) as lodger:
            await lodger.stdin.send(b"hello\n")
            assert await lodger.lines.next() == b"hello"
            answered += 1
            if answered == len(trees):
                sys.stdout.write("ready\n")
                sys.stdout.flush()
            if place % 4 in (0, 3):
                await anyio.sleep_forever()
            lodger.keep()

    async with pool.attended(), anyio.create_task_group() as tasks:
        for place, tree in enumerate(trees):
            tasks.start_soon(prompt, place, *tree)
        await context.stop.wait()
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    sys.exit(run_async("cells", serve))
