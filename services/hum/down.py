"""`hum down`: end supervisord and see that no process of this hum is left.

supervisord stops its programs first, each with SIGTERM and within its own time. Whoever is still
there after `STOP_SECONDS` is killed.
"""

import os
import stat
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import click

from hum.errors import StillThere
from hum.output import data_json, talk
from nest.paths import Paths
from nest.supervisor import Supervisor, SupervisorFault
from thrum.errors import DaemonAbsent

STOP_SECONDS = 60.0
"""How long everything may take to end by itself. Longer than any service drains."""

WAKE_SECONDS = 0.05
"""Between two connections that wake supervisord."""

KILL_SECONDS = 5.0
"""How long the system may take to end what was killed."""


@dataclass(slots=True)
class Ended:
    """What a `down` did."""

    was_running: bool
    stopped: list[str] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def down(*, as_json: bool) -> None:
    """Stop everything and see that nothing is left. Fine when nothing runs."""
    ended = stop_all(Paths.from_environment(os.environ))
    if as_json:
        data_json(
            {"was_running": ended.was_running, "stopped": ended.stopped, "killed": ended.killed}
        )
    elif not ended.was_running:
        talk("hum was not running.")
    else:
        killed = f" {len(ended.killed)} had to be killed." if ended.killed else ""
        talk(f"hum is stopped: {len(ended.stopped)} services ended.{killed}")


def stop_all(paths: Paths) -> Ended:
    """End every process of this hum and remove what it left; raises `StillThere`."""
    import psutil

    from hum import processes

    supervisor = Supervisor(paths.supervisor_socket)
    pid, services = _ask_to_stop(supervisor, paths)
    ended = Ended(was_running=False, stopped=services)
    alive = processes.of_this_hum(pid, paths.supervisor)
    within = STOP_SECONDS
    while alive:
        ended.was_running = True
        if pid is None:
            # Nobody supervises these; they were told by the kernel, and once more by us.
            for process in alive:
                with suppress(psutil.NoSuchProcess):
                    process.terminate()
        else:
            _wake_until_gone(supervisor)
        left = processes.end(
            alive,
            within_seconds=within,
            kill_seconds=KILL_SECONDS,
            killed=lambda process: ended.killed.append(process.pid),
        )
        if left:
            names = ", ".join(str(process.pid) for process in left)
            raise StillThere(f"processes that do not end: {names}", hint=f"kill -9 {names}")
        # Whoever was started while the others ended.
        alive = processes.of_this_hum(None, paths.supervisor)
        pid, within = None, KILL_SECONDS
    from nest.settings import SERVICE_KINDS

    sweep(paths)
    for kind in SERVICE_KINDS:
        paths.worker_key(kind).unlink(missing_ok=True)
    return ended


def _wake_until_gone(supervisor: Supervisor) -> None:
    """Keep supervisord's loop turning while it ends: by itself it looks once a second."""
    deadline = time.monotonic() + STOP_SECONDS
    while supervisor.is_there() and time.monotonic() < deadline:
        time.sleep(WAKE_SECONDS)


def _ask_to_stop(supervisor: Supervisor, paths: Paths) -> tuple[int | None, list[str]]:
    """Tell supervisord to end; return its pid and the services that ran, none without it."""
    try:
        pid = supervisor.pid()
        services = [program.name for program in supervisor.programs() if program.pid]
        supervisor.shut_down()
    except DaemonAbsent:
        return None, []
    except SupervisorFault:
        # It is ending already, or hangs; then its processes are waited for and killed.
        return _pid_in(paths.supervisor_pid), []
    return pid, services


def _pid_in(path: Path) -> int | None:
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdecimal() else None


def sweep(paths: Paths) -> None:
    """Remove sockets and rendezvous files of processes that are gone. Nothing runs now."""
    for path in (paths.supervisor_socket, paths.thrum_socket, paths.bus_socket):
        if _is_socket(path):
            path.unlink(missing_ok=True)
    for path in (paths.supervisor_pid, paths.runtime_json, paths.bees_json):
        path.unlink(missing_ok=True)


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:
        return False
