"""`hum nest`: what is supervised and whether it is ready; what would be; and making it so."""

import os
from typing import TYPE_CHECKING, Any

import click

from hum.commands import LazyGroup
from hum.hive_life import DRY_RUN
from hum.hive_verbs import JSON

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hum.ready import Unready
    from nest.supervisor import ProgramState
    from orch.core.services import Service

VERBS = {
    "status": ("hum.nest_verbs:status", "Show every service: whether it runs and is ready."),
    "render": ("hum.nest_verbs:render", "Print what the Orchfiles are compiled to."),
    "plan": ("hum.nest_verbs:plan_", "Say what taking over the Orchfiles would change."),
    "apply": ("hum.nest_verbs:apply_", "Take over the Orchfiles; only what changed is touched."),
    "paths": ("hum.nest_verbs:paths_", "Print where everything is."),
}


def _status_without_verb(*, as_json: bool) -> object:
    ctx = click.get_current_context()
    return ctx.invoke(status, as_json=as_json) if ctx.invoked_subcommand is None else None


nest = LazyGroup(
    name="nest",
    lazy=VERBS,
    callback=_status_without_verb,
    invoke_without_command=True,
    params=[click.Option(["--json", "as_json"], is_flag=True, help="For programs.")],
    help="Show what is supervised; take over changed Orchfiles. Without a verb: status.",
)


@click.command
@JSON
def status(*, as_json: bool) -> int:
    """Show every service: whether it runs, whether it is ready, and what it needs.

    Exit status 1 when one that should run is not ready, 69 when hum does not run.
    """
    from hum.applying import compiled
    from hum.output import data, data_json, table
    from hum.ready import look_now
    from nest.paths import Paths
    from nest.supervisor import Supervisor

    paths = Paths.from_environment(os.environ)
    programs = {one.name: one for one in Supervisor(paths.supervisor_socket).programs()}
    stack = compiled(paths, os.environ)
    lacks = look_now(stack.services, programs, paths)
    rows = [
        _row(service, programs.get(service.name), lacks[service.name], stack.origins)
        for service in stack.services
    ]
    if as_json:
        for row in rows:
            data_json(row)
    else:
        lines = [("SERVICE", "STATE", "PID", "READY", "NEEDS")]
        lines += [
            (
                row["service"],
                row["state"] or "-",
                str(row["pid"] or "-"),
                "yes" if row["ready"] else row["why"] or "off",
                " ".join(row["needs"]),
            )
            for row in rows
        ]
        data(table(lines))
    lacking = [row for row in rows if row["on"] and not row["ready"] and not row["optional"]]
    return 1 if lacking else 0


def _row(
    service: "Service",
    program: "ProgramState | None",
    late: "Unready | None",
    origins: "Mapping[str, str]",
) -> dict[str, Any]:
    is_meant = not service.disabled or bool(program and program.pid)
    return {
        "service": service.name,
        "on": not service.disabled,
        "optional": service.optional,
        "state": program and program.state.lower(),
        "pid": (program and program.pid) or None,
        "exit_status": program.exit_status if program and program.state == "EXITED" else None,
        "ready": late is None,
        "why": late.reason if late is not None and is_meant else None,
        "needs": [*service.requires, *service.after],
        "file": origins[service.name],
    }


@click.command
@click.argument("names", nargs=-1, metavar="[NAME]...")
@JSON
def render(*, names: tuple[str, ...], as_json: bool) -> None:
    """Print what the Orchfiles are compiled to: for supervisord, and for the launcher.

    With NAME only these hives or services. Nothing is written; equal Orchfiles give equal bytes.
    """
    from hum.applying import compiled
    from hum.hives import hives, services_of
    from hum.output import data, data_json
    from nest.paths import Paths

    paths = Paths.from_environment(os.environ)
    stack = compiled(paths, os.environ)
    picked = {one.name for one in services_of(hives(stack, paths), names)}
    files = {
        str(paths.supervisor_programs / name): content.decode()
        for program in stack.programs
        if not names or program.service.name in picked
        for name, content in program.files.items()
    }
    if not names:
        files = {str(paths.supervisor_conf): stack.master, **files}
    if as_json:
        data_json({"arguments": stack.arguments, "files": files})
        return
    for path, content in files.items():
        data(f"--- {path}\n{content}")


@click.command("plan")
@JSON
def plan_(*, as_json: bool) -> int:
    """Say what taking over the Orchfiles would change. Asks no service, changes nothing.

    Exit status 1 when there is a difference, 69 when hum was never started.
    """
    from hum.applying import compiled, planned
    from nest.paths import Paths

    paths = Paths.from_environment(os.environ)
    decided = planned(compiled(paths, os.environ), paths)
    _report_plan(decided, as_json=as_json)
    return 1 if decided.changes or decided.master else 0


def _report_plan(decided: Any, *, as_json: bool) -> None:
    from hum.hive_life import changes
    from hum.output import data, data_json

    rows = changes(decided)
    if as_json:
        data_json({"changes": rows, "needs_restart": decided.master})
        return
    for row in rows:
        data(f"{row['what']:<10}{row['service']:<20}{', '.join(row['files'])}")
    if decided.master:
        data("supervisord's own file changed: humctl restart")
    if not rows and not decided.master:
        data("nothing changed")


@click.command("apply")
@DRY_RUN
@JSON
def apply_(*, dry_run: bool, as_json: bool) -> int:
    """Take over the Orchfiles as they are now; a service that did not change is not touched.

    Exit status 1 when one does not get ready, 69 when hum does not run.
    """
    from hum.applying import carry_out, compiled, planned
    from hum.hive_life import changes, finish
    from hum.locked import locked
    from nest.paths import Paths
    from nest.supervisor import Supervisor

    paths = Paths.from_environment(os.environ)
    Supervisor(paths.supervisor_socket).pid()  # raises when nobody is there
    stack = compiled(paths, os.environ)
    decided = planned(stack, paths)
    if dry_run:
        _report_plan(decided, as_json=as_json)
        return 0
    with locked(paths):
        late = carry_out(decided, stack, paths)
    report = {"changed": changes(decided), "needs_restart": decided.master}
    return finish(report, late, as_json=as_json)


@click.command("paths")
@JSON
def paths_(*, as_json: bool) -> None:
    """Print where everything is, also what is not there yet."""
    from hum.output import data, data_json, table
    from hum.places import places
    from nest.paths import Paths

    found = places(Paths.from_environment(os.environ))
    if as_json:
        data_json({place.name: str(place.path) for place in found})
        return
    rows = [
        (place.name, str(place.path), "" if place.path.exists() else "(not there)")
        for place in found
    ]
    data(table(rows))
