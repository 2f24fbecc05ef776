"""What `hum doctor` finds running: supervisord, services, door, bees, sandbox, complaints."""

import os
import secrets
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from hum import checks
from hum.bee import UNMANAGED, listing
from hum.bees import read_bees, read_manifests
from hum.door import open_door
from hum.findings import Finding
from hum.ready import ending, look
from hum.rendezvous import door_path, read_runtime, silence_of
from hum.sandbox import sandbox
from hum.service_logs import read_tail
from hum.stack import compile_stack
from nest.paths import Paths
from nest.settings import load
from nest.supervisor import ProgramState, Supervisor
from nest.version import HUM_VERSION
from orch.core.services import Service
from thrum.errors import DaemonAbsent, HumError, LocalError
from thrum.tones import Tone

HELLO_SECONDS = 1.0
"""From a hello to its echo, which comes once the log has it."""
COMPLAINTS_MAX = 15
COMPLAINT_LINES = 60
"""Lines at the end of each log that are looked through."""
WELL = frozenset(("RUNNING", "STARTING", "STOPPING", "STOPPED"))


def running(paths: Paths, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Every check that looks at processes, in the order they are shown."""
    try:
        programs = Supervisor(paths.supervisor_socket).programs()
    except DaemonAbsent as error:
        yield Finding(
            section="running", what="supervisord", said=error.message, ok=False, mend="hum up"
        )
        programs = ()
    except LocalError as error:
        yield Finding(
            section="running", what="supervisord", said=error.message, ok=False, mend="hum down"
        )
        programs = ()
    yield from _services(paths, environ, programs)
    if not programs:
        yield from _ports(paths, environ)
    yield from _door(paths, environ, is_expected=bool(programs))
    yield from _bees(paths, programs)
    yield from sandbox(paths, environ)


def _services(
    paths: Paths, environ: Mapping[str, str], programs: tuple[ProgramState, ...]
) -> Iterator[Finding]:
    """Whether each process runs, each bee is connected and each health check is content."""
    expected = _expected(paths, environ)
    connected = read_bees(paths)
    for program in programs:
        service = expected.get(program.name)
        is_done = program.state == "EXITED" and program.exit_status == 0
        said, ok = f"{program.state.lower()}, pid {program.pid or '-'}", True
        if program.state not in WELL and not is_done:
            said, ok = ending(program), False
        elif service and program.state == "RUNNING" and (late := look(service, program, connected)):
            ok = program.uptime_seconds <= service.ready_within_seconds
            said = f"runs for {program.uptime_seconds} s and is not ready: {late.reason}"
        yield Finding(
            section="running",
            what=program.name,
            said=said,
            ok=ok,
            mend=f"hum logs {program.name}; then: hum ctl restart {program.name}",
        )


def _expected(paths: Paths, environ: Mapping[str, str]) -> dict[str, Service]:
    """The services as they should be; none when nobody can tell."""
    try:
        stack = compile_stack(paths, load(paths, environ), environ, wanted={})
    except HumError:
        return {}
    return {service.name: service for service in stack.services}


def _ports(paths: Paths, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whether a start would get its ports."""
    try:
        settings = load(paths, environ)
        checks.require_ports(settings, paths)
    except HumError as error:
        if "port" in error.message:
            yield Finding(
                section="running", what="ports", said=error.message, ok=False, mend=error.hint
            )
        return
    yield Finding(section="running", what="ports", said="are free")


def _door(paths: Paths, environ: Mapping[str, str], *, is_expected: bool) -> Iterator[Finding]:
    """The rendezvous file, the links, and a real hello."""
    told = read_runtime(paths)
    if told is None:
        is_there = os.path.lexists(paths.runtime_json)
        said = "is not readable as one" if is_there else "is not there"
        yield _rendezvous(f"{paths.runtime_json} {said}", ok=not (is_expected or is_there))
    elif told.is_stale:
        yield _rendezvous(f"stale: it names pid {told.pid}, which is gone", ok=False)
    else:
        age = max(0, int(time.time() - told.bound_at_ms / 1000))
        same = told.version == HUM_VERSION
        said = f"pid {told.pid}, hum {told.version}, for {age} s"
        said += "" if same else f"; this is hum {HUM_VERSION}"
        yield Finding(
            section="door", what="runtime.json", said=said, ok=same, mend="humctl restart"
        )
    yield from _links(paths)
    path = door_path(paths, environ)
    silence = silence_of(path)
    if silence and not is_expected and not path.exists():
        return
    if not silence:
        yield from _socket_mode(path)
        silence = _hello(path)
    yield Finding(
        section="door",
        what="hello",
        said=silence or f"answered at {path}, and on disk",
        ok=not silence,
        mend="hum status; hum logs humd; hum logs thehum",
    )


def _rendezvous(said: str, *, ok: bool) -> Finding:
    return Finding(section="door", what="runtime.json", said=said, ok=ok, mend="hum up")


def _links(paths: Paths) -> Iterator[Finding]:
    """Links to the door where other clients look."""
    for link in paths.socket_links():
        if link.is_symlink() and (silence := silence_of(link)):
            said = f"{link} leads to nobody: {silence}"
            yield Finding(section="door", what="link", said=said, ok=False, mend=f"rm {link}")


def _socket_mode(path: Path) -> Iterator[Finding]:
    mode = stat.S_IMODE(os.stat(path).st_mode)
    if mode & 0o077:
        said = f"{path} is open to other users (mode {mode:04o})"
        yield Finding(section="door", what="socket", said=said, ok=False, mend=f"chmod 600 {path}")


def _hello(path: Path) -> str:
    """Say a hello without a name, which registers nothing; why it was not echoed in time."""
    rid = f"doctor-{secrets.token_hex(4)}"
    hello = Tone(chi="hello", rid=rid, sid="hum-doctor-probe", body={"bee": ["worker"]})
    try:
        with open_door(path) as door:
            door.send(hello)
            echo = door.echo(rid, within_seconds=HELLO_SECONDS)
    except HumError as error:
        return f"a hello is not answered: {error.message}"
    return "" if echo.body.get("ok") is True else str(echo.text("error"))


def _bees(paths: Paths, programs: tuple[ProgramState, ...]) -> Iterator[Finding]:
    """Who is connected, as far as somebody should look at it."""
    rows = listing(read_manifests(paths), programs)
    owners: dict[str, list[str]] = {}
    for row in rows:
        if row["state"].startswith("connected"):
            for tool in row["tools"]:
                owners.setdefault(tool, []).append(row["name"])
            note = "" if row["hid"] else ", without a hid: it is new at every connection"
            note += ", started by hand" if row["state"] == UNMANAGED else ""
            yield Finding(section="bees", what=row["name"], said=f"connected{note}")
    for tool, names in sorted(owners.items()):
        if len(set(names)) > 1:
            said = f"offered by {', '.join(sorted(set(names)))}"
            yield Finding(section="bees", what=f"tool {tool}", said=said)


def complaints(paths: Paths) -> list[str]:
    """The newest warnings and errors that services wrote, the newest last; none when hidden."""
    try:
        logs = sorted(paths.logs.glob("*.log"))
    except OSError:
        return []
    entries = [
        entry
        for path in logs
        for entry in read_tail(path, service=path.stem, lines=COMPLAINT_LINES)
        if entry.fields.get("level") in ("warning", "error", "critical")
    ]
    entries.sort(key=lambda entry: entry.at)
    return [entry.text.split("\n", 1)[0] for entry in entries[-COMPLAINTS_MAX:]]
