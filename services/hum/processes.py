"""The processes that belong to this hum, told apart from every other's.

supervisord and all that descends from it, and whatever carries the launcher's mark in its
environment: a process that lost its parent is found by that. A process is its pid and the time it
was created, so that a pid that was given away again is never touched.
"""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

POLL_SECONDS = 0.02

MARK = "HUM_SUPERVISOR"
"""Variable that the launcher sets to the supervisor's directory."""


def of_this_hum(supervisor_pid: int | None, directory: Path) -> set[psutil.Process]:
    """Every living process of the hum whose supervisor's directory is `directory`.

    Never this process nor one it descends from: a `hum down` that an agent runs inside hum would
    otherwise end itself first.
    """
    found: set[psutil.Process] = set()
    if supervisor_pid is not None:
        try:
            supervisor = psutil.Process(supervisor_pid)
            found |= {supervisor, *supervisor.children(recursive=True)}
        except psutil.NoSuchProcess:
            pass
    found |= {process for process in psutil.process_iter() if _is_marked(process, str(directory))}
    return found - _own_line(supervisor_pid)


def end(
    processes: Iterable[psutil.Process],
    *,
    within_seconds: float,
    killed: Callable[[psutil.Process], None],
    kill_seconds: float,
) -> list[psutil.Process]:
    """Wait for `processes` to end, then kill those that did not; return whoever is left then."""
    alive = _wait(processes, within_seconds)
    for process in alive:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
        killed(process)
    return _wait(alive, kill_seconds)


def _wait(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait at most `seconds` for `processes` to end; return those that did not."""
    deadline = time.monotonic() + seconds
    alive = [process for process in processes if is_alive(process)]
    while alive and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        alive = [process for process in alive if is_alive(process)]
    return alive


def is_alive(process: psutil.Process) -> bool:
    """Whether `process` still does anything: one that only waits for its parent's look is gone."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_marked(process: psutil.Process, directory: str) -> bool:
    try:
        return (
            process.uids().effective == os.geteuid()
            and process.environ().get(MARK) == directory
            and is_alive(process)
        )
    except (psutil.Error, OSError):
        return False


def _own_line(supervisor_pid: int | None) -> set[psutil.Process]:
    """This process and those it descends from, up to supervisord and without it."""
    line = psutil.Process()
    own = {line}
    for ancestor in line.parents():
        if ancestor.pid == supervisor_pid:
            break
        own.add(ancestor)
    return own
