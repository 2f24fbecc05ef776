"""Waiting until every service is ready, or saying which one is not and why.

A service is ready when supervisord runs it, humd knows its bee (`SOCKET_READY`) and its
`HEALTHCHECK` answers; one that has neither, when its process did not end at once. One that ended
for good is not waited for. A URL with port 0 is asked at the port that the bee says it has.
"""

import http.client
import shlex
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from hum.bees import address
from nest.paths import Paths
from nest.supervisor import ProgramState
from orch.core.programs import GAVE_UP, SETTINGS
from orch.core.services import Service
from thrum.errors import LocalError

AGAIN_SECONDS = 2
"""How long supervisord may take to start what ended again, on a busy machine."""
SETTLED_SECONDS = 1.0
"""How long a process without a check is looked at: one that cannot work ends within that."""
POLL_SECONDS = 0.05
"""Between two looks. Each costs supervisord under a millisecond."""

PROBE_SECONDS = 2.0
"""How long one health check may take."""
ROUTER = "humd"

_GOING = frozenset(("STARTING", "RUNNING", "BACKOFF"))

Manifests = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unready:
    """A service that is not ready, and why."""

    service: str
    reason: str
    hopeless: bool = False
    """It ended and nobody starts it again."""
    settings: bool = False
    """It ended because its settings cannot be used."""
    optional: bool = False
    """The others do without it."""


def wait_ready(
    services: Iterable[Service],
    *,
    programs: Callable[[], Iterable[ProgramState]],
    manifests: Callable[[], Manifests],
) -> tuple[Unready, ...]:
    """Wait until all `services` are ready; return those that are not when waiting ends.

    Waiting ends for each service at its own deadline or when it is hopeless, and for all of them
    when that happens to one that is not optional; that one comes last. Who was ready and ends while
    others are waited for is not ready.
    """
    watched, ready = list(services), set[str]()
    without: list[Unready] = []
    seen: dict[str, tuple[int, float]] = {}
    started = time.monotonic()
    while True:
        states = {program.name: program for program in programs()}
        known, is_waiting = manifests(), False
        for service in tuple(watched):
            name, program = service.name, states.get(service.name)
            found = _ended(service, program) if name in ready else look(service, program, known)
            late = time.monotonic() - started > service.ready_within_seconds
            if found is None and (late or _has_settled(service, program, seen)):
                ready.add(name)
            elif not late and (found is None or not found.hopeless):
                ready.discard(name)
                is_waiting = True
            elif found is not None:
                watched.remove(service)
                without.append(found)
                if not service.optional:
                    return tuple(without)
        if not is_waiting:
            return tuple(without)
        time.sleep(POLL_SECONDS)


def look_now(
    services: Iterable[Service], programs: Mapping[str, ProgramState], paths: Paths
) -> dict[str, Unready | None]:
    """What each service lacks at this moment. Nobody is known to a humd that does not answer."""
    from nest.visit import ask_humd  # here, because only this needs a socket of the bus

    known, silence = {}, ""
    try:
        bees = ask_humd(paths, {"ask": "bees"}, within_seconds=PROBE_SECONDS)["bees"]
        known = {bee["name"]: bee for bee in bees if bee["connected"]}
    except LocalError as problem:
        silence = problem.message
    found = {one.name: look(one, programs.get(one.name), known) for one in services}
    if silence and ROUTER in found and found[ROUTER] is None:
        found[ROUTER] = Unready(service=ROUTER, reason=silence)
    return found


def look(service: Service, program: ProgramState | None, manifests: Manifests) -> Unready | None:
    """Whether `service` is ready now: None, or what it lacks."""
    ended = _ended(service, program)
    if ended is not None or (program is not None and program.state == "EXITED"):
        return ended
    if program is not None and (program.state != "RUNNING" or service.oneshot):
        return _unready(service, f"it is {program.state.lower()}")
    if service.socket_ready and service.socket_ready not in manifests:
        return _unready(service, f"humd does not know the bee {service.socket_ready}")
    if service.healthcheck:
        said = probe(service, manifests)
        return _unready(service, said) if said else None
    return None


def _ended(service: Service, program: ProgramState | None) -> Unready | None:
    """What a service lacks whose process ended; None when it has one, or was to run only once."""
    if program is None:
        return _unready(service, "supervisord does not know it", hopeless=True)
    if service.oneshot and program.state == "EXITED" and program.exit_status == 0:
        return None
    if program.state not in _GOING:
        settings = program.state == "EXITED" and program.exit_status == SETTINGS
        is_final = not _may_return(program)
        return _unready(service, ending(program), hopeless=is_final, settings=settings)
    return None


def _unready(
    service: Service, reason: str, *, hopeless: bool = False, settings: bool = False
) -> Unready:
    return Unready(
        service=service.name,
        reason=reason,
        hopeless=hopeless,
        settings=settings,
        optional=service.optional,
    )


def _has_settled(
    service: Service, program: ProgramState | None, seen: dict[str, tuple[int, float]]
) -> bool:
    """Whether a service that looks ready can be believed; `seen` has pids, and since when."""
    if program is None or service.oneshot or service.socket_ready or service.healthcheck:
        return True
    now = time.monotonic()
    pid, since = seen.setdefault(service.name, (program.pid, now))
    if pid != program.pid:
        seen[service.name] = (program.pid, now)
        return False
    return now - since >= SETTLED_SECONDS or program.uptime_seconds > SETTLED_SECONDS


def _may_return(program: ProgramState) -> bool:
    """Whether it ended a moment ago, and supervisord may be about to start it again."""
    is_final = program.exit_status in (SETTINGS, GAVE_UP)
    is_fresh = program.now - program.stopped_at <= AGAIN_SECONDS
    return program.state == "EXITED" and is_fresh and not is_final


def ending(program: ProgramState) -> str:
    """Why a process does not run, for a person."""
    if program.state == "EXITED" and program.exit_status == SETTINGS:
        return "its settings cannot be used (exit status 78)"
    if program.state == "EXITED" and program.exit_status == GAVE_UP:
        return "it ended too often (exit status 111)"
    if program.state == "EXITED":
        return f"it ended with exit status {program.exit_status}"
    return f"it is {program.state.lower()}"


def probe(service: Service, manifests: Manifests) -> str:
    """Run the health check once: empty when it is content, else what it said."""
    check = service.healthcheck
    try:
        if not check.startswith("http://"):
            done = subprocess.run(
                shlex.split(check), capture_output=True, check=False, timeout=PROBE_SECONDS
            )
            return f"its health check exits {done.returncode}" if done.returncode else ""
        parts = urlsplit(check)
        at = address(manifests.get(service.name), parts.hostname or "", parts.port or 0)
        link = http.client.HTTPConnection(at.host, parts.port or at.port, timeout=PROBE_SECONDS)
        try:
            link.request("GET", parts.path or "/")
            status = link.getresponse().status
        finally:
            link.close()
    except (OSError, ValueError, subprocess.SubprocessError, http.client.HTTPException) as error:
        return f"its health check fails: {error}"
    return "" if 200 <= status < 300 else f"its health check answers {status}"
