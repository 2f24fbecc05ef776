"""`hum status`: what runs, since when and in how much memory.

Asks supervisord and humd, reads files and listens for the door's first word; nothing is logged.
"""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from hum.log_head import log_head, read_trouble
from hum.output import data, data_json, duration, megabytes, printable, table
from hum.rendezvous import door_path, read_runtime, silence_of
from nest.paths import Paths
from nest.supervisor import ProgramState, Supervisor
from thrum.errors import LocalError

DOOR, ROUTER = "thrumd", "humd"
"""The services that listen at the door and on the bus."""
LOG_SECONDS = 3.0
"""How long humd may take to find out how the log is."""

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(*, as_json: bool) -> None:
    """Show what runs, since when and in how much memory.

    Exit status 69 when hum does not run, 1 when a service that should run does not, or the log
    holds back what it is offered.
    """
    healthy = show_status(Paths.from_environment(os.environ), as_json=as_json)
    if not healthy:
        click.get_current_context().exit(1)


def show_status(paths: Paths, *, as_json: bool) -> bool:
    """Print the status; return whether everything that was started runs and can be logged."""
    found = read_status(paths)
    if as_json:
        data_json(found)
    else:
        for line in _lines(found):
            data(line)
    return bool(found["healthy"])


def read_status(paths: Paths) -> dict[str, Any]:
    """Everything that `--json` prints; raises `DaemonAbsent` when nobody supervises."""
    supervisor = Supervisor(paths.supervisor_socket)
    programs = supervisor.programs()
    pid = supervisor.pid()
    services = [_service(program) for program in programs]
    door = door_path(paths, os.environ)
    has_door = any(one.name == DOOR and one.state == "RUNNING" for one in programs)
    silence = silence_of(door) if has_door else ""
    runtime = read_runtime(paths)
    is_served = any(one.name == ROUTER and one.state == "RUNNING" for one in programs)
    holding = read_holding(paths) if is_served else None
    total = _rss_bytes(pid) + sum(service["rss_bytes"] for service in services)
    return {
        "healthy": not silence
        and read_trouble(paths.thehum) is None
        and (holding is None or holding["state"] == "ok")
        and not any(_is_failed(program) for program in programs),
        "services": services,
        "supervisor": {"pid": pid, "rss_bytes": _rss_bytes(pid)},
        "rss_bytes_total": total,
        "sockets": {
            "door": {**_socket(door), "silence": silence or None},
            "bus": _socket(paths.bus_socket),
            "supervisor": _socket(paths.supervisor_socket),
        },
        "runtime": runtime and runtime.described(),
        "log": {
            "directory": str(paths.thehum),
            "head": log_head(paths),
            "read_only": read_trouble(paths.thehum),
            "holding": holding,
        },
        "supervisor_conf": str(paths.supervisor_conf),
    }


def read_holding(paths: Paths) -> dict[str, Any]:
    """Whether the log holds back what it is offered: what humd says, or `unknown` and why."""
    from nest.visit import ask_humd

    try:
        told = ask_humd(paths, {"ask": "log"}, within_seconds=LOG_SECONDS)
        return dict(told["log"])
    except LocalError as problem:
        why, mend = problem.message, problem.hint
        return {"state": "unknown", "since_ms": None, "why": why, "mend": mend}


def _is_failed(program: ProgramState) -> bool:
    ended = program.state == "EXITED" and program.exit_status != 0
    return ended or program.state in ("FATAL", "BACKOFF", "UNKNOWN")


def _service(program: ProgramState) -> dict[str, Any]:
    return {
        "name": program.name,
        "state": program.state.lower(),
        "pid": program.pid or None,
        "rss_bytes": _rss_bytes(program.pid),
        "uptime_seconds": program.uptime_seconds,
        "exit_status": program.exit_status if program.state == "EXITED" else None,
        "log": program.log,
    }


def _socket(path: Path) -> dict[str, Any]:
    return {"path": str(path), "there": path.exists()}


def _rss_bytes(pid: int) -> int:
    """Resident memory of `pid`; 0 for a process that is gone."""
    if not pid:
        return 0
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0 if Path("/proc/self").exists() else _rss_bytes_elsewhere(pid)


def _rss_bytes_elsewhere(pid: int) -> int:
    import psutil  # slow to import, and only systems without /proc need it

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _lines(found: Mapping[str, Any]) -> Sequence[str]:
    rows = [("SERVICE", "STATE", "PID", "MEMORY", "UP")]
    for service in found["services"]:
        state = service["state"]
        if service["exit_status"] is not None:
            state = f"{state} ({service['exit_status']})"
        up = duration(service["uptime_seconds"]) if service["pid"] else "-"
        memory = megabytes(service["rss_bytes"]) if service["pid"] else "-"
        rows.append((service["name"], state, str(service["pid"] or "-"), memory, up))
    head = found["log"]["head"]
    events = "no log yet" if head is None else f"event {head}"
    if (trouble := found["log"]["read_only"]) is not None:
        events += f", READ-ONLY ({trouble['kind']}): {printable(trouble['reason'])}"
        events += f"\n        {trouble['hint']}"
    elif (holding := found["log"]["holding"]) is not None and holding["state"] != "ok":
        events += f", {_held(holding)}"
    door = found["sockets"]["door"]
    return [
        table(rows),
        "",
        f"memory  {megabytes(found['rss_bytes_total'])} with supervisord",
        f"door    {door['path']}{' (' + door['silence'] + ')' if door['silence'] else ''}",
        f"log     {found['log']['directory']}, {events}",
    ]


def _held(holding: Mapping[str, Any]) -> str:
    """What the log holds back, for how long, why, and what mends it."""
    since_ms, length = holding["since_ms"], ""
    if since_ms is not None:
        length = f" for {duration(max(0, time.time_ns() // 1_000_000 - since_ms) / 1_000)}"
    state = str(holding["state"]).upper()
    return printable(f"{state}{length}: {holding['why']}") + f"\n        {holding['mend']}"
