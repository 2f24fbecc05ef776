"""The command: takes turns between two addresses, so that both see the same machine."""

import asyncio
import os
import sys
from collections.abc import Mapping
from typing import Any

from hum.bench.figures import Row, Times, compare
from hum.bench.probe import BenchFailed, Target, ask
from hum.clients import front_address
from hum.output import data, data_json, table, talk
from nest.paths import Paths

WARM_REQUESTS = 20
"""Requests to each address that are not counted."""


def compare_addresses(
    *,
    against: str,
    url: str | None,
    model: str,
    key_env: str | None,
    against_key_env: str | None,
    as_json: bool,
    **plan: Any,
) -> None:
    """Do it, and print the figures."""
    ours = Target.parse("--url" if url else "hum", url or _own_url(), _key(key_env))
    theirs = Target.parse("--against", against, _key(against_key_env))
    conditions = _conditions(plan)
    if not as_json:
        talk(", ".join(f"{name} {value}" for name, value in conditions.items()))
    rows = asyncio.run(_measure(ours, theirs, model, **plan))
    if as_json:
        data_json({"conditions": conditions, "figures": [_told(row) for row in rows]})
    else:
        data(table([_HEAD, *map(_line, rows)]))


_HEAD = ("", "hum", "other", "difference", "")


async def _measure(
    ours: Target,
    theirs: Target,
    model: str,
    *,
    connections: int,
    rounds: int,
    singles: int,
    seconds: float,
) -> list[Row]:
    found = {target: Times() for target in (ours, theirs)}
    if len(found) == 1:
        raise BenchFailed("both addresses are the same", hint="name another with --url")
    for target in found:
        await ask(
            target, target.request(model, is_stream=False), connections=1, count=WARM_REQUESTS
        )
    for number in range(rounds):
        for target, times in found.items():
            whole = target.request(model, is_stream=False)
            stream = target.request(model, is_stream=True)
            times.single += (await ask(target, whole, connections=1, count=singles)).samples
            times.streamed += (await ask(target, stream, connections=1, count=singles)).samples
            times.add_load(await ask(target, whole, connections=connections, seconds=seconds))
        talk(f"round {number + 1} of {rounds}", dim=True)
    return compare(found[ours], found[theirs])


def _own_url() -> str:
    return front_address(Paths.from_environment(os.environ), os.environ).url


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    if key := os.environ.get(variable, "").strip():
        return key
    raise BenchFailed(f"{variable} is not set", hint=f"export {variable}=..., or leave it out")


def _conditions(plan: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": sys.version.split()[0],
        **plan,
    }


def _line(row: Row) -> tuple[str, ...]:
    digits = 0 if row.unit == "requests/s" else 3
    numbers = (f"{value:.{digits}f}" for value in (row.ours, row.theirs))
    return (row.name, *numbers, f"{row.difference:+.{digits}f}", row.unit)


def _told(row: Row) -> dict[str, Any]:
    return {
        "name": row.name, "unit": row.unit, "ours": round(row.ours, 4),
        "theirs": round(row.theirs, 4), "difference": round(row.difference, 4),
    }  # fmt: skip
