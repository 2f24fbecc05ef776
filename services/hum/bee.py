"""`hum bee`: who is connected, what each bee offers, and what supervisord says about it.

Two sources are put side by side: `bees.json`, which humd computes from its log, and supervisord. A
bee may be in one of them only: started by hand, or started and not connected.
"""

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from hum.output import data, data_json, printable
from nest.paths import Paths
from nest.supervisor import ProgramState, Supervisor
from thrum.errors import DaemonAbsent, LocalError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

WITHOUT_MANIFEST = frozenset({"humd", "thehum"})
"""The router and its log: what bees connect to, and no bees themselves."""
CONNECTED, UNMANAGED, ABSENT, STOPPED = (
    "connected",
    "connected, unmanaged",
    "running, not connected",
    "stopped",
)
_CRASHED = frozenset({"BACKOFF", "FATAL"})
_TEXTS = ("hid", "version", "proto_version", "source")


class NoBee(LocalError):
    """Nobody of that name."""


def _known(ctx: click.Context, option: click.Parameter, begun: str) -> "list[CompletionItem]":
    from hum.completing import bees, of_names

    return of_names(bees)(ctx, option, begun)


@click.command
@click.argument("name", required=False, shell_complete=_known)
@click.option("--list", "_listed", is_flag=True, help="List all of them; the default.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each bee.")
def bee(*, name: str | None, _listed: bool, as_json: bool) -> None:
    """Show who is connected, and what each bee offers. NAME picks one.

    Exit status 69 when hum does not run.
    """
    paths = Paths.from_environment(os.environ)
    from hum.bees import read_manifests

    found = listing(read_manifests(paths), programs_of(paths))
    if not found:
        raise DaemonAbsent("no bee is connected, and nobody supervises", hint="hum up")
    picked = [one for one in found if name in (None, one["name"], one["hid"])]
    if not picked:
        known = ", ".join(one["name"] for one in found)
        raise NoBee(f"no bee {name!r}; there are: {known}", hint="hum bee")
    for one in picked:
        if as_json:
            data_json(one)
        else:
            data(_paragraph(one))


def programs_of(paths: Paths) -> tuple[ProgramState, ...]:
    """What supervisord runs; nothing when there is no supervisord."""
    try:
        return Supervisor(paths.supervisor_socket).programs()
    except DaemonAbsent:
        return ()


def listing(
    manifests: Iterable[Mapping[str, Any]], programs: Iterable[ProgramState]
) -> list[dict[str, Any]]:
    """Every bee that is connected or supervised, by name; the fields of `--json`."""
    supervised = {one.name: one for one in programs if one.name not in WITHOUT_MANIFEST}
    found = [_row(manifest, supervised.get(str(manifest["name"]))) for manifest in manifests]
    known = {row["name"] for row in found}
    found += [_row({"name": name}, one) for name, one in supervised.items() if name not in known]
    return sorted(found, key=lambda row: (row["name"], row["hid"] or ""))


def _row(manifest: Mapping[str, Any], program: ProgramState | None) -> dict[str, Any]:
    propensity = manifest.get("propensity")
    row: dict[str, Any] = {
        "name": manifest["name"],
        "state": state_of(program, is_connected="nestlerId" in manifest),
        **{key: _text(manifest.get(key)) for key in _TEXTS},
        "roles": _texts(manifest.get("bee")),
        "models": _texts(manifest.get("models")),
        "tools": [str(tool.get("name")) for tool in _maps(manifest.get("tools"))],
        "provides": _texts(manifest.get("provides")),
        "wire": _text(propensity.get("wire")) if isinstance(propensity, dict) else None,
        "roots": [
            f"{root.get('path')} ({root.get('mode')})" for root in _maps(manifest.get("roots"))
        ],
        "bind": manifest.get("bind"),
        "service": program
        and {
            "state": program.state.lower(),
            "pid": program.pid or None,
            "exit_status": program.exit_status if not program.pid else None,
        },
    }
    return row


def state_of(program: ProgramState | None, *, is_connected: bool) -> str:
    """How a bee is, in a few words."""
    if program is None:
        return UNMANAGED
    failed = program.state == "EXITED" and program.exit_status not in (0, 78)
    if program.state in _CRASHED or failed:
        return f"⚠ crash-looping (exit {program.exit_status})"
    if is_connected:
        return CONNECTED
    return ABSENT if program.pid else STOPPED


def _paragraph(row: Mapping[str, Any]) -> str:
    """A bee for a person."""
    service = row["service"]
    bind = row["bind"]
    facts = {
        "hid": row["hid"],
        "role": "+".join(row["roles"]),
        "models": ", ".join(row["models"]),
        "tools": f"{len(row['tools'])}: {', '.join(row['tools'])}" if row["tools"] else "",
        "provides": ", ".join(row["provides"]),
        "roots": ", ".join(row["roots"]),
        "wire": row["wire"],
        "at": f"{bind.get('host')}:{bind.get('port')}" if isinstance(bind, dict) else "",
        "version": row["version"],
        "source": row["source"],
        "service": service and f"{service['state']}, pid {service['pid'] or '-'}",
    }
    lines = [f"• {row['name']}  {row['state']}"]
    lines += [f"    {key:<9}{value}" for key, value in facts.items() if value]
    return printable("\n".join(lines))


def _maps(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []
