"""`hum hive start`, `stop`, `restart`, `enable`, `disable`: one hive and no other's processes."""

import os
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import click

from hum.hive_verbs import JSON

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from hum.plan import Plan
    from hum.ready import Unready
    from nest.paths import Paths
    from orch.core.services import Service


def _known(ctx: click.Context, option: click.Parameter, begun: str) -> "list[CompletionItem]":
    from hum.completing import hives, of_names

    return of_names(hives)(ctx, option, begun)


NAMES = click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=_known)
DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")


@click.command
@NAMES
@DRY_RUN
@JSON
def start(*, names: tuple[str, ...], dry_run: bool, as_json: bool) -> int:
    """Start hives, as their Orchfiles are now, and wait until they are ready.

    NAME is a hive, or one of its services. One that runs is left alone, unless its Orchfile
    changed. Exit status 1 when one does not get ready, 69 when hum does not run.
    """
    return _bring_up(names, dry_run=dry_run, as_json=as_json, again=False)


@click.command
@NAMES
@DRY_RUN
@JSON
def restart(*, names: tuple[str, ...], dry_run: bool, as_json: bool) -> int:
    """Restart hives, as their Orchfiles are now, and wait until they are ready.

    Nobody else is restarted. Exit status 1 when one does not get ready, 69 when hum does not run.
    """
    return _bring_up(names, dry_run=dry_run, as_json=as_json, again=True)


@click.command
@NAMES
@DRY_RUN
@JSON
def stop(*, names: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Stop hives, and return once their processes are gone.

    The next start of hum starts them again; `hum hive disable` is for good. Exit status 69 when hum
    does not run.
    """
    from hum.applying import STOP_SECONDS_MORE, STOP_SECONDS_REMOVED, compiled
    from hum.hives import hives, services_of
    from hum.locked import locked
    from nest.paths import Paths
    from nest.supervisor import Supervisor

    paths = Paths.from_environment(os.environ)
    supervisor = Supervisor(paths.supervisor_socket)
    known = {one.name: one for one in supervisor.programs()}
    picked = list(dict.fromkeys(names))
    if not known.keys() >= set(picked):  # a broken Orchfile must not keep a service going
        stack = compiled(paths, os.environ)
        picked = [one.name for one in services_of(hives(stack, paths), names)]
    stopped = [name for name in reversed(picked) if name in known and known[name].pid]
    if not dry_run:
        with locked(paths):
            for name in stopped:
                supervisor.stop(name, within_seconds=STOP_SECONDS_REMOVED + STOP_SECONDS_MORE)
    _report({"stopped": stopped}, dry_run=dry_run, as_json=as_json)


@click.command
@NAMES
@DRY_RUN
@JSON
def enable(*, names: tuple[str, ...], dry_run: bool, as_json: bool) -> int:
    """Switch hives on: they are started now, if hum runs, and at every start.

    That is written into hives.orch beside hum.json, and beats every other Orchfile. Exit status 1
    when one does not get ready.
    """
    return _switch(names, on=True, dry_run=dry_run, as_json=as_json)


@click.command
@NAMES
@DRY_RUN
@JSON
def disable(*, names: tuple[str, ...], dry_run: bool, as_json: bool) -> int:
    """Switch hives off: they are stopped now, if hum runs, and no start starts them.

    That is written into hives.orch beside hum.json, and beats every other Orchfile.
    """
    return _switch(names, on=False, dry_run=dry_run, as_json=as_json)


def _bring_up(names: Sequence[str], *, dry_run: bool, as_json: bool, again: bool) -> int:
    from hum.applying import STOP_SECONDS_MORE, apply, compiled, planned, wait_for
    from hum.bees import read_connections
    from hum.hives import hives, services_of
    from hum.locked import locked
    from nest.paths import Paths
    from nest.supervisor import Supervisor

    paths = Paths.from_environment(os.environ)
    supervisor = Supervisor(paths.supervisor_socket)
    programs = {one.name: one for one in supervisor.programs()}
    stack = compiled(paths, os.environ)
    services = services_of(hives(stack, paths), names)
    named = {service.name for service in services}
    decided = planned(stack, paths, only=named)
    if dry_run:
        fresh = [one.name for one in services if again or not running(programs, one)]
        _report({"changed": changes(decided), "started": fresh}, dry_run=True, as_json=as_json)
        return 0
    with locked(paths):
        connected = read_connections(paths)
        done = {service.name for service in apply(decided, stack, paths, only=named)}
        for service in reversed(services) if again else ():
            if service.name not in done and running(programs, service):
                within = service.timeout_stop + STOP_SECONDS_MORE
                supervisor.stop(service.name, within_seconds=within)
        for service in services:
            if again or service.name in done or not running(programs, service):
                done.add(service.name)
                supervisor.start(service.name)
        bees = {one.socket_ready or one.name for one in services if one.name in done}
        before = {key for key, bee in connected.items() if bee["name"] in bees}
        late = wait_for(services, paths, before=before)
    started = [service.name for service in services if service.name in done]
    return finish({"changed": changes(decided), "started": started}, late, as_json=as_json)


def running(programs: dict[str, Any], service: "Service") -> bool:
    """Whether a service had a process when `programs` were asked for."""
    return service.name in programs and bool(programs[service.name].pid)


def _switch(names: Sequence[str], *, on: bool, dry_run: bool, as_json: bool) -> int:
    from hum.applying import compiled
    from hum.hives import hives, services_of
    from hum.switches import switched, write_switches
    from nest.paths import Paths

    paths = Paths.from_environment(os.environ)
    services = services_of(hives(compiled(paths, os.environ), paths), names)
    wanted = {service.name: on for service in services}
    text = switched(paths, wanted)
    report = {"switched": "on" if on else "off", "services": list(wanted)}
    if dry_run:
        _report({**report, "writes": str(paths.hives_orch)}, dry_run=True, as_json=as_json)
        return 0
    return take_over(
        paths,
        only=wanted,
        first=lambda: write_switches(paths, text),
        report=report,
        as_json=as_json,
    )


def take_over(
    paths: "Paths",
    *,
    only: Collection[str],
    first: Callable[[], None],
    report: dict[str, Any],
    as_json: bool,
) -> int:
    """Do `first`, then have what runs follow its Orchfiles; only `first` while hum is down."""
    from hum.applying import carry_out, compiled, planned
    from hum.locked import locked
    from nest.supervisor import Supervisor

    if not Supervisor(paths.supervisor_socket).is_there():
        first()
        return finish({**report, "running": False}, (), as_json=as_json)
    with locked(paths):
        first()
        stack = compiled(paths, os.environ)
        decided = planned(stack, paths, only=only)
        late = carry_out(decided, stack, paths, only=only)
    return finish({**report, "changed": changes(decided)}, late, as_json=as_json)


def changes(decided: "Plan") -> list[dict[str, Any]]:
    """A plan as `--json` prints it."""
    return [
        {
            "service": change.service,
            "what": change.what.value,
            "files": [*change.write, *change.remove],
        }
        for change in decided.changes
    ]


def finish(report: dict[str, Any], late: "Sequence[Unready]", *, as_json: bool) -> int:
    """Print what was done; 1 when one that others need is not ready."""
    not_ready = [{"service": one.service, "reason": one.reason} for one in late]
    _report({**report, "not_ready": not_ready}, dry_run=False, as_json=as_json)
    return 1 if any(not one.optional for one in late) else 0


def _report(report: dict[str, Any], *, dry_run: bool, as_json: bool) -> None:
    from hum.output import data_json, talk

    if as_json:
        data_json({"dry_run": dry_run, **report})
        return
    for key, value in report.items():
        if key == "not_ready":
            for one in value:
                talk(f"{one['service']} is not ready: {one['reason']}")
                talk(f"  hum logs {one['service']}")
        elif key == "changed":
            for one in value:
                talk(f"{one['what']}  {one['service']}  ({', '.join(one['files'])})")
        elif key == "running":
            talk("hum does not run: it holds from the next start")
        elif key == "needs_restart":
            talk(f"supervisord itself {'changed: humctl restart' if value else 'did not change'}")
        else:
            said = ", ".join(value) if isinstance(value, list) else str(value)
            talk(f"{'would be ' if dry_run else ''}{key}: {said or 'nothing'}")
