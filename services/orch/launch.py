"""The only thing supervisord runs: prepares a process, then becomes the service.

`python -P -m orch.launch SPEC.json`. In order: umask 077; wait or give up, as the earlier starts
say (`core.starts`); build the environment from nothing (`core.environment`); set resource limits;
change directory; execve. No second process remains, so signals and exit statuses are the service's
own. `HUM_PARENT_PID` tells the service whom to outlive by not a moment; `HUM_SUPERVISOR` marks it
and its children as belonging to this hum.

Exit status: 78 when the spec cannot be used, 111 when the service failed too often. It runs
before every start, so it imports little and nothing but the standard library.
"""

import errno
import json
import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from orch.core.environment import allowed, expand, read_env_file
from orch.core.starts import STARTS_KEPT_MAX, Policy, Start, wait_seconds

SETTINGS = 78
GAVE_UP = 111
UMASK = 0o077
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
UNNOTED_SECONDS = 5.0
"""Least wait before a start that could not be noted for want of room on the disk."""

PARENT_PID = "HUM_PARENT_PID"
MARK = "HUM_SUPERVISOR"

_LIMITS = {
    "AS": resource.RLIMIT_AS,
    "NOFILE": resource.RLIMIT_NOFILE,
    "NPROC": resource.RLIMIT_NPROC,
}


def main(argv: Sequence[str]) -> NoReturn:
    """Become the service that the spec named in `argv` describes; never returns."""
    os.umask(UMASK)
    if len(argv) != 1:
        _stop(2, "usage: python -m orch.launch SPEC.json")
    try:
        # allowed: our own 0600 file, and nothing but the standard library here
        spec = json.loads(_read(argv[0]))  # noqa: TID251
        _hold_back(spec["service"], spec["starts"])
        environ = _environment(spec)
        _set_limits(spec["limits"])
        os.chdir(spec["cwd"])
        command = [expand(word, environ) for word in spec["argv"]]
        os.execvpe(command[0], command, environ)  # noqa: S606 - that is the point
    except OSError as error:
        _stop(SETTINGS, f"cannot start {argv[0]}: {error.filename}: {error.strerror}")
    except (KeyError, ValueError) as error:
        _stop(SETTINGS, f"cannot start {argv[0]}: {error!r}; hum up writes it anew")


def _stop(status: int, sentence: str) -> NoReturn:
    sys.stderr.write(f"orch.launch: {sentence}\n")
    raise SystemExit(status)


def _environment(spec: Mapping[str, Any]) -> dict[str, str]:
    environ = allowed(os.environ, spec["inherit"])
    given: dict[str, str] = {}
    for path in spec["env_files"]:
        given.update(read_env_file(_read(path)))
    given.update(spec["env"])
    expanded = {name: expand(value, environ) for name, value in given.items()}
    return {**environ, **expanded, PARENT_PID: str(os.getppid()), MARK: spec["mark"]}


def _set_limits(limits: Mapping[str, int]) -> None:
    """Set each limit, at most to what the system lets this user have."""
    for name, wanted in limits.items():
        _, hard = resource.getrlimit(_LIMITS[name])
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(_LIMITS[name], (value, hard))


def _hold_back(service: str, starts: Mapping[str, Any]) -> None:
    """Wait as long as the earlier starts say and note this one, or exit `GAVE_UP`."""
    history: str = starts["file"]
    now = time.monotonic()
    earlier = _read_starts(history, now)
    policy = Policy(starts["delay"], starts["burst"], starts["interval"])
    wait = wait_seconds(earlier, policy, now=now, jitter=_jitter())
    if wait is None:
        _stop(
            GAVE_UP,
            f"{service} was started {policy.burst} times within {policy.interval} s and gave up;"
            f" read its log, then: hum ctl start {service}",
        )
    try:
        _write_starts(history, [*earlier, Start(now, wait)][-STARTS_KEPT_MAX:])
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        wait = max(wait, UNNOTED_SECONDS)  # a service must come back when the disk is full, too
    if wait:
        sys.stderr.write(f"orch.launch: {service} waits {wait:.1f} s before its next start\n")
        time.sleep(wait)


def _jitter() -> float:
    """A random number in [-1, 1]; the random module would cost more than all the rest here."""
    return int.from_bytes(os.urandom(4), "big") / 2**31 - 1.0


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def _write_starts(history: str, starts: Sequence[Start]) -> None:
    beside = f"{history}.tmp"
    with open(beside, "w", encoding="ascii") as file:
        file.writelines(f"{start.at} {start.waited}\n" for start in starts)
    os.replace(beside, history)


def _read_starts(history: str, now: float) -> list[Start]:
    """The starts in `history`, without those of another boot: their times lie ahead.

    A history that a crash left in pieces is none: it must not keep a service from starting.
    """
    try:
        starts = [Start(*map(float, line.split(" "))) for line in _read(history).splitlines()]
    except (FileNotFoundError, TypeError, ValueError):
        return []
    return [start for start in starts if start.at <= now]


if __name__ == "__main__":
    main(sys.argv[1:])
