"""`hum hive`: which hives there are, what each is, and whether an Orchfile can be used."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hum.commands import LazyGroup

if TYPE_CHECKING:
    from hum.hives import Hive
    from nest.supervisor import ProgramState

JSON = click.option("--json", "as_json", is_flag=True, help="For programs; the fields stay.")

VERBS = {
    "list": ("hum.hive_verbs:list_", "Show every hive: where it comes from, and what runs."),
    "show": ("hum.hive_verbs:show", "Show one hive: its services as they are compiled."),
    "check": ("hum.hive_verbs:check", "Say what is wrong with Orchfiles."),
    "start": ("hum.hive_life:start", "Start hives and wait until they are ready."),
    "stop": ("hum.hive_life:stop", "Stop hives; the next start of hum starts them again."),
    "restart": ("hum.hive_life:restart", "Restart hives, as their Orchfiles are now."),
    "enable": ("hum.hive_life:enable", "Switch hives on, now and for every start."),
    "disable": ("hum.hive_life:disable", "Switch hives off, now and for every start."),
    "install": ("hum.hive_install:install", "Build a hive from its folder, and start it."),
    "uninstall": ("hum.hive_install:uninstall", "Remove exactly what an install made."),
}


def _list_without_verb(*, as_json: bool) -> None:
    ctx = click.get_current_context()
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_, as_json=as_json)


hive = LazyGroup(
    name="hive",
    lazy=VERBS,
    callback=_list_without_verb,
    invoke_without_command=True,
    params=[click.Option(["--json", "as_json"], is_flag=True, help="For programs.")],
    help="Show, check, start and stop hives; without a verb, list them.\n\n"
    "A hive is one Orchfile and what it starts.",
)


@click.command("list")
@JSON
def list_(*, as_json: bool) -> None:
    """Show every hive: where it comes from, whether it is on, and what runs."""
    from hum.applying import compiled
    from hum.bee import programs_of
    from hum.hives import hives
    from hum.output import data, data_json, table
    from nest.paths import Paths

    paths = Paths.from_environment(os.environ)
    programs = {one.name: one for one in programs_of(paths)}
    rows = [described(one, programs) for one in hives(compiled(paths, os.environ), paths)]
    if as_json:
        for row in rows:
            data_json(row)
        return
    lines = [("HIVE", "FROM", "ON", "RUNS", "FILE")]
    for row in rows:
        states = ", ".join(_state(service, row["name"]) for service in row["services"])
        lines.append((row["name"], row["from"], "on" if row["on"] else "off", states, row["file"]))
    data(table(lines))


def described(one: "Hive", programs: "dict[str, ProgramState]") -> dict[str, Any]:
    """A hive as `--json` prints it."""
    return {
        "name": one.name,
        "from": one.source,
        "file": one.file,
        "on": one.is_on,
        "services": [
            {
                "name": service.name,
                "on": not service.disabled,
                **_running(programs.get(service.name)),
            }
            for service in one.services
        ],
    }


def _running(program: "ProgramState | None") -> dict[str, Any]:
    if program is None:
        return {"state": None, "pid": None, "exit_status": None}
    ended = program.exit_status if program.state == "EXITED" else None
    return {"state": program.state.lower(), "pid": program.pid or None, "exit_status": ended}


def _state(service: dict[str, Any], hive_name: str) -> str:
    said = service["state"] or "-"
    if service["exit_status"] is not None:
        said += f" ({service['exit_status']})"
    return said if service["name"] == hive_name else f"{service['name']} {said}"


@click.command
@click.argument("name")
@JSON
def show(*, name: str, as_json: bool) -> None:
    """Show the hive NAME: its file, and its services as they are compiled.

    Exit status 1 when there is none of that name.
    """
    from dataclasses import asdict

    from hum.applying import compiled
    from hum.bee import programs_of
    from hum.hives import hive_named, hives
    from hum.output import data, data_json
    from nest.paths import Paths

    paths = Paths.from_environment(os.environ)
    found = hive_named(hives(compiled(paths, os.environ), paths), name)
    row = described(found, {one.name: one for one in programs_of(paths)})
    row["services"] = [
        {**asdict(service), **told}
        for service, told in zip(found.services, row["services"], strict=True)
    ]
    if as_json:
        data_json(row)
        return
    data(f"{row['name']}  {row['from']}, {'on' if row['on'] else 'off'}\n  {row['file']}")
    for service in row["services"]:
        data(f"  {service['name']}  {service['state'] or 'not known to a supervisor'}")
        for key, value in service.items():
            if value not in (None, "", (), {}, False) and key not in ("name", "state", "on"):
                data(f"    {key:<22}{_in_words(value)}")


def _in_words(value: object) -> str:
    if isinstance(value, dict):
        return "  ".join(name if one is None else f"{name}={one}" for name, one in value.items())
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


@click.command
@click.argument("path", required=False, type=click.Path(exists=True, path_type=Path))
@JSON
def check(*, path: Path | None, as_json: bool) -> None:
    """Say everything that is wrong with the Orchfiles, without starting anything.

    With PATH, an Orchfile or a folder that has one, as if it lay among your own. Exit status 78
    when they cannot be used.
    """
    from hum.applying import compiled
    from hum.output import data_json, talk
    from hum.stack import NOTHING_ASSUMED, read_orchfile
    from nest.paths import Paths

    paths = Paths.from_environment(os.environ)
    assuming = NOTHING_ASSUMED
    if path is not None:
        file = path / "Orchfile" if path.is_dir() else path
        place = paths.orch_d / f"{file.absolute().parent.name}.orch"
        place = file.absolute() if file.absolute().parent == paths.orch_d else place
        assuming = {place: read_orchfile(file, foreign=True)}
    stack = compiled(paths, os.environ, assuming=assuming)
    names = [block.name for file in assuming.values() if file for block in file.blocks]
    if as_json:
        data_json({"ok": True, "services": names or [one.name for one in stack.services]})
    else:
        talk(f"the Orchfiles can be used: {', '.join(names) or f'{len(stack.services)} services'}")
