"""Services written down for supervisord and for the launcher.

For each service two files: `hum-<name>.conf`, one `[program:hum-<name>]` section that runs the
launcher and nothing else, and `<name>.json`, the launch spec with everything that supervisord has
no words for. Values reach supervisord only where its syntax cannot be broken by them; commands and
variables travel in the JSON.

Restarting: `startsecs=0`, because supervisord would retry an early exit whatever its status says;
the launcher decides about delays and giving up (`starts`). Status `SETTINGS` and `GAVE_UP` are
never restarted, 0 only under `always`. `priority` orders the forks by `REQUIRES` and `AFTER`; a
service that comes before what it needs waits for it on the bus.
"""

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orch.core.merge import substitute
from orch.core.orchfile import OrchfileRefused
from orch.core.services import Restart, Service, depths

SETTINGS = 78
"""Exit status of a service whose settings cannot be used."""

GAVE_UP = 111
"""Exit status of the launcher for a service that failed too often."""

LOG_BYTES_MAX = 10 * 1024 * 1024
"""Size of one log file of a service."""

LOG_BACKUPS = 3
"""Older log files kept beside the current one."""

PRIORITY_FIRST = 100
PROGRAM_PREFIX = "hum-"

_UNSAFE = re.compile(r"[\x00-\x1f\x7f]|\s;")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where things are, as absolute paths."""

    python: str
    project: str
    """Working directory of a service, and what a relative `WORKDIR` starts from."""
    logs: str
    specs: str
    """Directory of the launch specs."""
    listener: str
    """The event listener's file."""
    mark: str
    """What tells the processes of this hum from another's: the supervisor's directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What one service becomes."""

    service: Service
    section: str
    spec: bytes

    @property
    def files(self) -> Mapping[str, bytes]:
        """The two files of this program by name."""
        name = self.service.name
        return {
            f"{PROGRAM_PREFIX}{name}.conf": self.section.encode(),
            f"{name}.json": self.spec,
        }


def compile_programs(services: Iterable[Service], place: Place) -> tuple[Program, ...]:
    """Write every service for supervisord and the launcher; equal input gives equal bytes.

    Raises `OrchfileRefused` for a path that supervisord's syntax cannot carry.
    """
    known = tuple(services)
    order = depths(known)
    return tuple(
        Program(
            service=service,
            section=_section(service, place, priority=PRIORITY_FIRST + order[service.name]),
            spec=_spec(service, place),
        )
        for service in known
    )


def render_master(text: str, place: Place) -> str:
    """Fill in the master file: `${SUPERVISOR}`, `${LOGS}`, `${PYTHON}`, `${LISTENER}`.

    The result needs no environment. Raises `OrchfileRefused` for a path that it cannot carry.
    """
    values = {
        "SUPERVISOR": conf_value(place.mark),
        "LOGS": conf_value(place.logs),
        "PYTHON": conf_value(shlex.quote(place.python)),
        "LISTENER": conf_value(shlex.quote(place.listener)),
    }
    return substitute(text, values)


def conf_value(text: str) -> str:
    """Make `text` a value in supervisord's file; raises `OrchfileRefused` when it cannot be."""
    if _UNSAFE.search(text):
        raise OrchfileRefused(
            [f"{text!r} cannot stand in supervisord's file: control character or blank before ';'"]
        )
    return text.replace("%", "%%")


def inside(directory: str, path: str) -> str:
    """`path` if it is absolute, else below `directory`."""
    return path if path.startswith("/") else f"{directory}/{path}"


def log_file(service: Service, place: Place) -> str:
    """Where what the service prints goes."""
    return inside(place.logs, service.stdout or f"{service.name}.log")


def _section(service: Service, place: Place, *, priority: int) -> str:
    spec = f"{place.specs}/{service.name}.json"
    launch = (place.python, "-P", "-m", "orch.launch", spec)
    keys = {
        "command": conf_value(" ".join(map(shlex.quote, launch))),
        "autostart": _flag(not service.disabled),
        **_restart_keys(service),
        "startsecs": "0",
        "priority": str(priority),
        "stopsignal": "TERM",
        "stopasgroup": "true",
        "killasgroup": "true",
        "stopwaitsecs": str(service.timeout_stop),
        **_log_keys(service, place),
    }
    lines = [f"[program:{PROGRAM_PREFIX}{service.name}]"]
    lines += [f"{key}={value}" for key, value in keys.items()]
    return "\n".join(lines) + "\n"


def _restart_keys(service: Service) -> dict[str, str]:
    if service.oneshot or service.restart is Restart.NO:
        return {"autorestart": "false", "startretries": "0"}
    done = () if service.restart is Restart.ALWAYS else (0,)
    return {
        "autorestart": "unexpected",
        "exitcodes": ",".join(map(str, (*done, SETTINGS, GAVE_UP))),
        "startretries": "10",
    }


def _log_keys(service: Service, place: Place) -> dict[str, str]:
    stdout = log_file(service, place)
    stderr = inside(place.logs, service.stderr) if service.stderr else stdout
    keys = _log_file_keys("stdout", stdout)
    if stderr == stdout:
        return {**keys, "redirect_stderr": "true"}
    return {**keys, **_log_file_keys("stderr", stderr)}


def _log_file_keys(stream: str, path: str) -> dict[str, str]:
    return {
        f"{stream}_logfile": conf_value(path),
        f"{stream}_logfile_maxbytes": str(LOG_BYTES_MAX),
        f"{stream}_logfile_backups": str(LOG_BACKUPS),
    }


def _spec(service: Service, place: Place) -> bytes:
    inherited = sorted(name for name, value in service.env.items() if value is None)
    given = {name: value for name, value in service.env.items() if value is not None}
    limits = {
        "AS": service.memory,
        "NOFILE": service.limit_nofile,
        "NPROC": service.limit_nproc,
    }
    spec = {
        "argv": list(service.argv),
        "cwd": inside(place.project, service.workdir) if service.workdir else place.project,
        "env": given,
        "env_files": [inside(place.project, path) for path in service.env_files],
        "inherit": inherited,
        "limits": {name: value for name, value in limits.items() if value is not None},
        "mark": place.mark,
        "service": service.name,
        "starts": {
            "burst": service.start_limit_burst,
            "delay": service.restart_delay,
            "file": f"{place.specs}/{service.name}.starts",
            "interval": service.start_limit_interval,
        },
    }
    return json.dumps(spec, indent=1, sort_keys=True, ensure_ascii=True).encode() + b"\n"


def _flag(value: bool) -> str:
    return "true" if value else "false"
