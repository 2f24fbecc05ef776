"""Waiting until every service is ready, or saying which one is not and why.

A service is ready when supervisord runs it, humd knows its bee (`SOCKET_READY`) and its
`HEALTHCHECK` answers. One that ended for good is not waited for. A URL with port 0 is asked at the
port that the bee says it has.
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
from nest.supervisor import ProgramState
from orch.core.programs import GAVE_UP, SETTINGS
from orch.core.services import Service

AGAIN_SECONDS = 2
"""How long supervisord may take to start what ended again, on a busy machine."""
POLL_SECONDS = 0.05
"""Between two looks. Each costs supervisord under a millisecond."""

PROBE_SECONDS = 2.0
"""How long one health check may take."""

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
    when that happens to one that is not optional; that one comes last.
    """
    pending = list(services)
    without: list[Unready] = []
    started = time.monotonic()
    while pending:
        states = {program.name: program for program in programs()}
        known = manifests()
        still = []
        for service in pending:
            found = look(service, states.get(service.name), known)
            if found is None:
                continue
            late = time.monotonic() - started > service.ready_within_seconds
            if not late and not found.hopeless:
                still.append(service)
                continue
            without.append(found)
            if not service.optional:
                return tuple(without)
        pending = still
        if pending:
            time.sleep(POLL_SECONDS)
    return tuple(without)


def look(service: Service, program: ProgramState | None, manifests: Manifests) -> Unready | None:
    """Whether `service` is ready now: None, or what it lacks."""

    def unready(reason: str, *, hopeless: bool = False, settings: bool = False) -> Unready:
        return Unready(
            service=service.name,
            reason=reason,
            hopeless=hopeless,
            settings=settings,
            optional=service.optional,
        )

    if program is None:
        return unready("supervisord does not know it", hopeless=True)
    if service.oneshot and program.state == "EXITED" and program.exit_status == 0:
        return None
    if program.state not in _GOING:
        settings = program.state == "EXITED" and program.exit_status == SETTINGS
        return unready(ending(program), hopeless=not _may_return(program), settings=settings)
    if program.state != "RUNNING" or service.oneshot:
        return unready(f"it is {program.state.lower()}")
    if service.socket_ready and service.socket_ready not in manifests:
        return unready(f"humd does not know the bee {service.socket_ready}")
    if service.healthcheck:
        said = probe(service, manifests)
        return unready(said) if said else None
    return None


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
