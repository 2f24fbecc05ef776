"""`hum ensemble`: this hum among others, as far as files tell: nothing is asked, nothing is made.

There is no service yet that speaks to other machines, and this says so.
"""

import os
from typing import TYPE_CHECKING, Any

import click

from thrum.errors import LocalError

if TYPE_CHECKING:
    from nest.paths import Paths

PEERS_BYTES_MAX = 4 * 1024 * 1024
ALONE = "no service of this version speaks to other machines: nobody is dialled, nobody may come in"


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def ensemble(*, as_json: bool) -> int:
    """Show who this hum is, and which peers are written down.

    Files are read and nothing else: no key is made, no peer is asked. Exit status 1 when peers are
    written down, which nobody dials.
    """
    from hum.output import data, data_json, printable, table
    from nest.paths import Paths

    paths = Paths.from_environment(os.environ)
    peers = read_peers(paths)
    identity = own_id(paths)
    if as_json:
        data_json({"id": identity, "peers": peers, "connected": [], "why": ALONE})
        return 1 if peers else 0
    rows = [
        ("identity", identity or "none yet: it is minted at the first start"),
        ("peers", f"{len(peers)} in {paths.peers_json}" if peers else "none are written down"),
        ("mesh", ALONE),
    ]
    data(table(rows))
    for peer in peers:
        data(printable(f"  {peer}"))
    return 1 if peers else 0


def own_id(paths: "Paths") -> str | None:
    """Who this hum is, as its log says; None before its first start."""
    import orjson

    try:
        return str(orjson.loads(paths.thehum_author.read_bytes())["hid"])
    except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError):
        return None


def read_peers(paths: "Paths") -> list[Any]:
    """The rows of peers.json, as far as its form goes; none when there is no such file."""
    import orjson

    try:
        with paths.peers_json.open("rb") as file:
            content = file.read(PEERS_BYTES_MAX)
    except FileNotFoundError:
        return []
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise LocalError(
            f"{paths.peers_json}: no JSON: {error}", hint="mend it, or remove it"
        ) from error
    rows = found.get("peers") if isinstance(found, dict) else found
    if not isinstance(rows, list):
        raise LocalError(
            f"{paths.peers_json}: wanted an object with a list of peers",
            hint='write {"peers": []} into it',
        )
    return rows
