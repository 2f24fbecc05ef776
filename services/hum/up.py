"""`hum up`: check, compile, start, wait, report.

Everything that can be wrong is looked at first; until then nothing is started and nothing changed.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NoReturn

from hum import checks, found, ready
from hum.bees import address, read_bees
from hum.down import sweep
from hum.ensemble import own_id
from hum.errors import NotReady, TryAgain
from hum.locked import locked
from hum.output import data, data_json, talk
from hum.service_logs import last_reason, read_tail
from hum.stack import Stack, compile_stack, write_stack
from hum.status import show_status
from nest.paths import Paths
from nest.settings import ServiceKind, Settings, load
from nest.supervisor import Supervisor
from orch.core.environment import allowed
from orch.core.services import Service
from thrum.errors import LocalError, SettingsRefused

UMASK = 0o077

SUPERVISOR_SECONDS = 20.0
"""How long supervisord may take until it answers."""

LOG_LINES_SHOWN = 8
"""Lines of a service's log in the complaint that it is not ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A start that was looked at and may happen."""

    paths: Paths
    settings: Settings
    stack: Stack
    environ: Mapping[str, str]
    services: Mapping[ServiceKind, found.Found]
    claude: found.Program


def bring_up(*, roots: tuple[str, ...], foreground: bool, as_json: bool) -> None:
    """Start everything and wait until it is ready."""
    os.umask(UMASK)
    begun = time.monotonic()
    paths = Paths.from_environment(os.environ)
    if Supervisor(paths.supervisor_socket).is_there():
        with locked(paths):  # refused while that start still waits for its services
            _complain(paths, _wait(paths, _running(paths)))
        talk("hum is running already.")
        show_status(paths, as_json=as_json)
        return
    plan = prepare(paths, os.environ, roots=roots)
    checks.require_private(paths)
    with locked(paths):
        if Supervisor(paths.supervisor_socket).is_there():
            raise TryAgain("another hum up was a moment faster", hint="hum status")
        checks.require_ports(plan.settings, paths)
        sweep(paths)
        write_stack(plan.stack, paths)
        found.leave_keys(plan.services, paths)
        if foreground:
            _report_foreground(plan)
            _become_supervisord(plan)
        _start_supervisord(plan)
        without = _wait(paths, plan.stack.started)
    seconds = time.monotonic() - begun
    _complain(paths, without)
    _report(plan, without, seconds=seconds, as_json=as_json)


def prepare(paths: Paths, environ: Mapping[str, str], *, roots: tuple[str, ...]) -> Plan:
    """Look at everything that a start needs; changes nothing, raises `SettingsRefused`."""
    absolute = tuple(str(paths.expand(root).absolute()) for root in roots)
    checks.require_roots(absolute)
    if absolute:
        earlier = environ.get("HUM_ROOTS")
        every = os.pathsep.join((*((earlier,) if earlier else ()), *absolute))
        environ = {**environ, "HUM_ROOTS": every}
    settings = load(paths, environ)
    services = found.look(settings, environ)
    claude = found.look_for_claude(settings.workers.claude, environ)
    wanted = found.wanted(services, claude)
    stack = compile_stack(paths, settings, environ, wanted=wanted)
    checks.require_sockets(paths)
    checks.require_room(paths)
    checks.require_ports(settings, paths)
    return Plan(
        paths=paths,
        settings=settings,
        stack=stack,
        environ=environ,
        services=services,
        claude=claude,
    )


def _supervisord(plan: Plan) -> list[str]:
    conf = str(plan.paths.supervisor_conf)
    return [sys.executable, "-P", "-m", "orch.supervisord", "-c", conf]


def _supervisor_environ(plan: Plan) -> dict[str, str]:
    return allowed(plan.environ, plan.stack.inherited)


def _become_supervisord(plan: Plan) -> NoReturn:
    sys.stdout.flush()
    command = [*_supervisord(plan), "-n"]
    os.execve(command[0], command, _supervisor_environ(plan))  # noqa: S606 - no second process


def _start_supervisord(plan: Plan) -> None:
    """Return once supervisord answers; raises `LocalError` with what it said when it does not."""
    done = subprocess.run(
        _supervisord(plan),
        env=_supervisor_environ(plan),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=SUPERVISOR_SECONDS,
        text=True,
    )
    supervisor = Supervisor(plan.paths.supervisor_socket)
    deadline = time.monotonic() + SUPERVISOR_SECONDS
    while done.returncode == 0 and time.monotonic() < deadline:
        if supervisor.is_there():
            return
        time.sleep(ready.POLL_SECONDS)
    said = (done.stderr or done.stdout).strip() or "it does not answer at its socket"
    raise LocalError(
        f"supervisord did not start: {said}", hint=f"cat {plan.paths.logs}/supervisord.log"
    )


def _running(paths: Paths) -> Iterable[Service]:
    """The services of a start that nobody waits for: it was killed, or is in the foreground."""
    programs = Supervisor(paths.supervisor_socket).programs()
    names = {program.name for program in programs if program.state != "STOPPED"}
    stack = compile_stack(paths, load(paths, os.environ), os.environ, wanted={})
    return [service for service in stack.services if service.name in names]


def _complain(paths: Paths, without: Iterable[ready.Unready]) -> None:
    for late in without:
        reason = last_reason(paths, late.service) or late.reason
        talk(f"{late.service} is not ready yet: {reason}; see: hum logs {late.service}")


def _wait(paths: Paths, services: Iterable[Service]) -> tuple[ready.Unready, ...]:
    """Return once all of them are ready, with the optional ones that are not.

    Raises `NotReady`, or `SettingsRefused`, for a service that the others need.
    """
    supervisor = Supervisor(paths.supervisor_socket)
    without = ready.wait_ready(
        services,
        programs=supervisor.programs,
        manifests=lambda: read_bees(paths),
    )
    needed = next((late for late in without if not late.optional), None)
    if needed is None:
        return without
    entries = read_tail(
        paths.logs / f"{needed.service}.log", service=needed.service, lines=LOG_LINES_SHOWN
    )
    lines = "".join(f"\n    {entry.text}" for entry in entries)
    kind = SettingsRefused if needed.settings else NotReady
    raise kind(
        f"{needed.service} is not ready: {needed.reason}. Its log ends with:{lines or ' nothing'}",
        hint=f"mend it, then: hum ctl restart {needed.service}; or stop everything: hum down",
    )


def _report(
    plan: Plan, without: tuple[ready.Unready, ...], *, seconds: float, as_json: bool
) -> None:
    report = _described(plan)
    if as_json:
        late = [each.service for each in without]
        data_json({"ready": True, "seconds": round(seconds, 3), "not_ready": late, **report})
        return
    count = len(plan.stack.started) - len(without)
    talk(f"hum is ready: {count} services after {seconds:.1f} s.")
    for line in _lines(report, plan):
        data(line)


def _report_foreground(plan: Plan) -> None:
    talk("hum starts in the foreground; end it with ctrl-c or SIGTERM.")
    for line in _lines(_described(plan), plan):
        talk(line)


def _described(plan: Plan) -> dict[str, Any]:
    paths, settings = plan.paths, plan.settings
    manifests = read_bees(paths)
    front = address(manifests.get("front"), settings.front.host, settings.front.port)
    sidecar = address(manifests.get("sidecar"), settings.sidecar.host, settings.sidecar.port)
    return {
        "urls": {
            "openai": f"{front.url}/v1",
            "anthropic": front.url,
            "ollama": front.url,
            "admin": f"{sidecar.url}/",
        },
        "identity": own_id(paths),
        "log": str(paths.thehum),
        "log_keeps": settings.humd.thehum.bound,
        "door": str(paths.thrum_socket),
        "roots": [f"{root.path} ({root.mode})" for root in settings.fs.all_roots],
        "services": [service.name for service in plan.stack.started],
        "found": {
            kind: {"base_url": service.place, "key": service.has_key}
            for kind, service in plan.services.items()
            if service.wanted
        }
        | ({"claude": {"path": plan.claude.path}} if plan.claude.wanted else {}),
    }


def _lines(report: Mapping[str, Any], plan: Plan) -> Iterator[str]:
    yield f"  OpenAI clients     {report['urls']['openai']}"
    yield f"  Anthropic, Ollama  {report['urls']['anthropic']}"
    yield f"  admin              {report['urls']['admin']} (token in {plan.paths.sidecar_token})"
    yield f"  identity           {report['identity'] or 'minted at the first start'}"
    yield f"  signed log         {report['log']} (keeps {report['log_keeps']})"
    if report["roots"]:
        yield f"  file tools         {', '.join(report['roots'])}"
    else:
        yield "  file tools         no folder yet; add one: hum down && hum up --root ~/code"
    for label, line in zip_longest(
        ("models",), found.sentences(plan.services, plan.claude), fillvalue=""
    ):
        yield f"  {label:<19}{line}"
    yield '  try                hum ask "say hi"'
