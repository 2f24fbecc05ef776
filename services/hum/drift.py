"""`hum drift`: how long each step of a turn took, from the records that humd keeps by day."""

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from hum.output import data, data_json, printable, table
from nest.paths import Paths

DAYS = 1
TURNS_MAX = 10_000
"""Turns that are summed up, the newest ones."""


@click.command
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON: one object, or one for each turn."
)
@click.option("--days", type=click.IntRange(1, 366), default=DAYS, show_default=True,
              help="How many days back, counting only days with a turn.")  # fmt: skip
@click.option("--sid", help="Only turns of this conversation.")
@click.option("-n", "--turns", type=click.IntRange(1, TURNS_MAX), help="List the newest N turns.")
def drift(*, as_json: bool, days: int, sid: str | None, turns: int | None) -> None:
    """Show how long turns took: count, median and 95th percentile of each step, in ms.

    The phases front, queue, worker and stream follow one another and sum to the total; the steps
    after them lie within it. The step tools adds up calls, which may run side by side, so it may be
    more than the total. Works without a daemon.
    """
    records = newest(Paths.from_environment(os.environ).drift, days=days, sid=sid)
    if turns is None:
        _print_sums(records, as_json=as_json)
    else:
        _print_turns(records[-turns:], as_json=as_json)


def newest(folder: Path, *, days: int, sid: str | None = None) -> list[dict[str, Any]]:
    """The records of the newest days, oldest first; at most `TURNS_MAX`, the newest."""
    kept: deque[dict[str, Any]] = deque(maxlen=TURNS_MAX)
    for path in sorted(folder.glob("????-??-??.ndjson"))[-days:]:
        kept.extend(record for record in _records(path) if sid in (None, record.get("sid")))
    return list(kept)


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """What is readable in one file; a torn line is passed over."""
    import orjson

    with path.open("rb") as file:
        for line in file:
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if isinstance(record, dict):
                yield record


def _print_sums(records: list[dict[str, Any]], *, as_json: bool) -> None:
    from humd.core.drift import PHASES, aggregate

    sums = aggregate(records)
    if as_json:
        data_json({"turns": len(records), "ms": sums})
        return
    if not sums:
        data("no turn was timed yet")
        return
    first = [name for name in ("total", *PHASES) if name in sums]
    rows = [("STEP", "TURNS", "P50 MS", "P95 MS")]
    for name in [*first, *sorted(set(sums) - set(first))]:
        found = sums[name]
        rows.append((printable(name), f"{found['n']}", f"{found['p50']:g}", f"{found['p95']:g}"))
    data(table(rows))


def _print_turns(records: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        for record in records:
            data_json(record)
        return
    from humd.core.drift import PHASES

    rows = [("SID", "MODEL", "ENDED WITH", "TOTAL MS", *(name.upper() for name in PHASES))]
    for record in records:
        phases = record.get("phases") or {}
        said = [str(record.get(key) or "-") for key in ("sid", "model", "outcome", "total_ms")]
        rows.append((*map(printable, said), *(str(phases.get(name, "-")) for name in PHASES)))
    data(table(rows))
