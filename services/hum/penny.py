"""`hum penny`: tokens and turns over the whole life of this hum, from `penny.json`."""

import os

import click

from hum.output import data, data_json, printable, table
from nest.paths import Paths

FILE_BYTES_MAX = 1024 * 1024


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def penny(*, as_json: bool) -> None:
    """Show the lifetime counters: turns (blooms), tokens and more.

    humd writes them down every ten seconds while they change, and when it stops; they never go
    down. Works without a daemon.
    """
    import orjson

    from humd.core.penny import Penny

    path = Paths.from_environment(os.environ).penny_json
    try:
        with path.open("rb") as file:
            stored = orjson.loads(file.read(FILE_BYTES_MAX))
    except (OSError, orjson.JSONDecodeError):
        stored = None
    counters = Penny(stored if isinstance(stored, dict) else {}).counters
    if as_json:
        data_json({"path": str(path), "counters": counters})
    elif not counters:
        data(f"no counters yet in {path}")
    else:
        data(table([(printable(name), f"{value:>16,}") for name, value in counters.items()]))
