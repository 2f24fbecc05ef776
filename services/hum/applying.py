"""Taking over changed Orchfiles while hum runs: only what changed is touched.

Order: the new files are written beside the old ones; the services that change are stopped; the
files take their names; supervisord reads them and takes over what is new to it; what ran only by
its launch spec is started again. A crash in between leaves services stopped and never one that runs
by an older file than the one beside it; the next time goes on from there.
"""

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from hum import found, ready
from hum.bees import read_bees, read_connections
from hum.plan import Change, Plan, What, plan
from hum.stack import NOTHING_ASSUMED, Stack, compile_stack, read_arguments
from nest.paths import Paths
from nest.settings import load
from nest.supervisor import GOING, Supervisor
from orch.core.orchfile import Orchfile
from orch.core.services import Service
from thrum.errors import DaemonAbsent, LocalError

STOP_SECONDS_MORE = 10.0
"""Beyond a service's own time to end: supervisord kills it then, and has to notice."""
STOP_SECONDS_REMOVED = 60.0
"""For a service whose Orchfile is gone, with its time to end."""
FILE_BYTES_MAX = 1024 * 1024
BESIDE = ".new"


def compiled(
    paths: Paths,
    environ: Mapping[str, str],
    *,
    assuming: Mapping[Path, Orchfile | None] = NOTHING_ASSUMED,
) -> Stack:
    """The Orchfiles as they are now: given the `ARG`s of the start that runs, if one does."""
    settings = load(paths, environ)
    if Supervisor(paths.supervisor_socket).is_there():
        arguments = read_arguments(paths)
        if arguments is not None:
            return compile_stack(
                paths, settings, environ, wanted={}, arguments=arguments, assuming=assuming
            )
    claude = found.look_for_claude(settings.workers.claude, environ)
    wanted = found.wanted(found.look(settings, environ), claude)
    return compile_stack(paths, settings, environ, wanted=wanted, assuming=assuming)


def planned(stack: Stack, paths: Paths, *, only: Collection[str] | None = None) -> Plan:
    """What `apply` would do now. Touches nothing, asks no process."""
    if not paths.supervisor_conf.exists():
        raise DaemonAbsent(
            "hum was never started here: nothing runs to compare with", hint="hum up"
        )
    files = {
        path.name: _content(path)
        for path in paths.supervisor_programs.iterdir()
        if path.suffix in (".conf", ".json", ".starts")
    }
    master = paths.supervisor_conf.read_text("utf-8")
    return plan(stack, files, master=master, only=only)


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(FILE_BYTES_MAX)


def apply(
    decided: Plan, stack: Stack, paths: Paths, *, only: Collection[str] | None = None
) -> tuple[Service, ...]:
    """Make what runs as `decided`; return what was started by it and should get ready.

    Returns once everything that had to end is gone. What an earlier change left half done is
    finished, of the services in `only` if that is given. The caller holds the lock of a start.
    """
    supervisor = Supervisor(paths.supervisor_socket)
    running = {one.name for one in supervisor.programs() if one.state in GOING}
    services = {service.name: service for service in stack.services}
    _write_beside(decided, paths)
    for change in reversed(decided.changes):
        if change.what is not What.ADDED:
            _stop(change.service, supervisor, services)
    for change in decided.changes:
        _put_in_place(change, paths)
    added, changed, removed = supervisor.reread()
    scope = added | changed | removed if only is None else frozenset(only)
    for name in sorted((changed | removed) & scope):
        _stop(name, supervisor, services)
        supervisor.remove(name)
    new = [name for name in services if name in (added | changed) & scope]
    for name in new:
        supervisor.add(name)
    started = [one.service for one in decided.changes if _is_started(one, one.service in running)]
    started += [one for one in new if one not in started and not services[one].disabled]
    for name in started:
        supervisor.start(name)
    return tuple(services[name] for name in started)


def _is_started(change: Change, was_running: bool) -> bool:
    """Whether a service runs from now on: switched on, or started by hand before and not now."""
    if change.what is What.REMOVED:
        return False
    if change.what is What.RESTARTED:
        return was_running
    return not change.is_off or (was_running and change.was_off)


def _stop(name: str, supervisor: Supervisor, services: Mapping[str, Service]) -> None:
    if name not in {one.name for one in supervisor.programs()}:
        return  # an earlier change was cut short
    service = services.get(name)
    within = STOP_SECONDS_REMOVED if service is None else float(service.timeout_stop)
    supervisor.stop(name, within_seconds=within + STOP_SECONDS_MORE)


def _write_beside(decided: Plan, paths: Paths) -> None:
    try:
        for change in decided.changes:
            for name, content in change.write.items():
                (paths.supervisor_programs / (name + BESIDE)).write_bytes(content)
    except OSError as error:
        raise LocalError(
            f"nothing was changed: {error.filename}: {error.strerror}",
            hint=f"df -h {paths.supervisor_programs}",
        ) from error


def _put_in_place(change: Change, paths: Paths) -> None:
    for name in change.write:
        os.replace(paths.supervisor_programs / (name + BESIDE), paths.supervisor_programs / name)
    for name in change.remove:
        (paths.supervisor_programs / name).unlink(missing_ok=True)


def carry_out(
    decided: Plan, stack: Stack, paths: Paths, *, only: Collection[str] | None = None
) -> tuple[ready.Unready, ...]:
    """`apply`, and wait for what that started; those that are not ready when waiting ends."""
    before = read_connections(paths)
    return wait_for(apply(decided, stack, paths, only=only), paths, before=before)


def wait_for(
    services: Collection[Service], paths: Paths, *, before: Collection[str]
) -> tuple[ready.Unready, ...]:
    """Wait until `services` are ready; those that are not when waiting ends.

    `before` has the connections of the processes that they had before: humd may notice their end
    after the new ones have begun, and they count for nothing.
    """
    return ready.wait_ready(
        services,
        programs=Supervisor(paths.supervisor_socket).programs,
        manifests=lambda: read_bees(paths, but=before),
    )
