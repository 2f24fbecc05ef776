"""Lines with types: what a service is, checked as a whole.

`read_services` gives every value its type, then checks what no single line can show: exactly one of
`FROM` and `RUN`, no container directive beside `RUN`, known requirements, no cycle in `REQUIRES`
and `AFTER`. What hum cannot keep is refused here with the reason and never ignored. All mistakes
are collected.
"""

import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter

from orch.core.merge import CONTAINER_ONLY
from orch.core.orchfile import Block, OrchfileRefused, problem

REFUSED: Mapping[str, str] = {
    "FROM": "hum runs processes, not containers; start the container engine's own command with RUN",
    "USER": "every service runs as the user who called hum up; start hum as that user",
    "STOP": "a service is stopped with SIGTERM to its process group; drain there",
    "RELOAD": "a service is restarted to take new settings: hum ctl restart <service>",
    "CPUS": "a share of the processor needs a cgroup, which hum does not make",
    "CPU_QUOTA": "a share of the processor needs a cgroup, which hum does not make",
    "TASKS_MAX": "a limit on tasks needs a cgroup, which hum does not make; see LIMIT_NPROC",
    "IO_WEIGHT": "a share of the disk needs a cgroup, which hum does not make",
}
"""Directives that are understood and cannot be kept, with the reason."""


class Restart(StrEnum):
    """When a service that ended is started again. Never after exit status 78 or when it gave up."""

    NO = "no"
    ALWAYS = "always"
    ON_FAILURE = "on-failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service as its Orchfiles say it, with the language's defaults for the rest."""

    name: str
    argv: tuple[str, ...]
    """The command, split as a shell would and not expanded: `${HOME}` is still there."""
    workdir: str = ""
    env: Mapping[str, str | None] = field(default_factory=dict)
    """Variables; None is inherited from whoever called `hum up`, if set there."""
    env_files: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    healthcheck: str = ""
    """URL (2xx) or command (exit 0) that says that the service is ready; empty: none."""
    socket_ready: str = ""
    """Ready once humd knows a bee of this name; empty: none."""
    readiness_timeout: int = 90
    optional: bool = False
    """Whether a start goes on, with a warning, when this service is not ready in time."""
    oneshot: bool = False
    disabled: bool = False
    restart: Restart = Restart.NO
    restart_delay: int = 1
    start_limit_burst: int = 5
    start_limit_interval: int = 10
    timeout_start: int = 90
    timeout_stop: int = 10
    memory: int | None = None
    limit_nofile: int | None = None
    limit_nproc: int | None = None
    stdout: str = ""
    """Log file; relative to the log directory. Empty: the service's own."""
    stderr: str = ""
    """Log file; empty: the same as `stdout`."""

    @property
    def ready_within_seconds(self) -> int:
        """How long whoever starts this service waits for it."""
        return min(self.readiness_timeout, self.timeout_start)


def read_services(blocks: Iterable[Block]) -> tuple[Service, ...]:
    """Give the merged `blocks` their types; raises `OrchfileRefused` with every mistake found."""
    problems: list[str] = []
    services: list[Service] = []
    named = {block.name: block for block in blocks}
    for block in named.values():
        service, found = _read_service(block)
        problems += found
        if service is not None:
            services.append(service)
    problems += _unknown_requirements(named)
    if not problems:
        problems += _cycles(services)
    if problems:
        raise OrchfileRefused(problems)
    return tuple(services)


def depths(services: Iterable[Service]) -> dict[str, int]:
    """How many services stand before each one in `REQUIRES` and `AFTER`, along the longest way."""
    edges = _edges(services)
    result: dict[str, int] = {}
    for name in TopologicalSorter(edges).static_order():
        result[name] = max((result[before] + 1 for before in edges[name]), default=0)
    return result


def _edges(services: Iterable[Service]) -> dict[str, tuple[str, ...]]:
    known = {service.name: service for service in services}
    return {
        name: tuple(dict.fromkeys(n for n in (*service.requires, *service.after) if n in known))
        for name, service in known.items()
    }


def _cycles(services: Iterable[Service]) -> list[str]:
    try:
        TopologicalSorter(_edges(services)).prepare()
    except CycleError as error:
        names = " before ".join(error.args[1])
        return [f"REQUIRES and AFTER go in a circle: {names}"]
    return []


def _unknown_requirements(named: Mapping[str, Block]) -> list[str]:
    return [
        problem(line, f"REQUIRES {line.value}: there is no such service")
        for block in named.values()
        for line in block.lines
        if line.directive == "REQUIRES" and line.value not in named
    ]


def _read_service(block: Block) -> tuple[Service | None, list[str]]:
    problems: list[str] = []
    values: dict[str, object] = {}
    env: dict[str, str | None] = {}
    lists: dict[str, list[str]] = {"ENV_FILE": [], "REQUIRES": [], "AFTER": []}
    for line in block.lines:
        if line.directive in REFUSED:
            problems.append(
                problem(line, f"{line.directive} cannot be kept: {REFUSED[line.directive]}")
            )
            continue
        try:
            if line.directive == "ENV":
                name, value = _env(line.value)
                env[name] = value
            elif line.directive in lists:
                lists[line.directive].append(line.value)
            elif line.directive in _READERS:
                name, read = _READERS[line.directive]
                values[name] = read(line.value)
        except ValueError as error:
            problems.append(problem(line, f"{line.directive}: {error}"))
    problems += _mode_problems(block)
    if problems:
        return None, problems
    service = Service(
        name=block.name,
        env=env,
        env_files=tuple(lists["ENV_FILE"]),
        requires=tuple(lists["REQUIRES"]),
        after=tuple(lists["AFTER"]),
        **values,  # type: ignore[arg-type]  # each reader of the table returns its field's type
    )
    return service, []


def _mode_problems(block: Block) -> list[str]:
    written = {line.directive: line for line in block.lines}
    if "FROM" in written and "RUN" in written:
        return [problem(written["RUN"], f"SERVICE {block.name} has both FROM and RUN; keep one")]
    if "FROM" in written:
        return []
    if "RUN" not in written:
        return [problem(block.at, f"SERVICE {block.name} has no RUN")]
    return [
        problem(line, f"{line.directive} is for containers, and this service has RUN")
        for line in block.lines
        if line.directive in CONTAINER_ONLY - {"RECREATE"}
    ]


# --- readers of one value: the text in, the typed value out, ValueError with what was wanted


def _seconds(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,6})([sm])", text)
    if match is None:
        raise ValueError(f"got {text}, wanted seconds or minutes like 90s or 2m")
    return int(match[1]) * (60 if match[2] == "m" else 1)


def _bytes(text: str) -> int:
    match = re.fullmatch(r"([1-9][0-9]{0,8})([KMG])", text)
    if match is None:
        raise ValueError(f"got {text}, wanted a size like 64K, 512M or 2G")
    return int(match[1]) << {"K": 10, "M": 20, "G": 30}[match[2]]


def _count(text: str) -> int:
    if re.fullmatch(r"[1-9][0-9]{0,8}", text) is None:
        raise ValueError(f"got {text}, wanted a whole number from 1")
    return int(text)


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"got {text}, wanted true or false")
    return text == "true"


def _restart(text: str) -> Restart:
    if text not in {policy.value for policy in Restart}:
        raise ValueError(f"got {text}, wanted {', '.join(Restart)}")
    return Restart(text)


def _command(text: str) -> tuple[str, ...]:
    argv = shlex.split(text)
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    if any(set(token) <= set("|&;<>()") for token in lexer):
        raise ValueError(
            "there is no shell between; for pipes and redirections write /bin/sh -c '...'"
        )
    return tuple(argv)


def _env(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is None:
        raise ValueError(f"got {text}, wanted KEY=value, or KEY alone to inherit it")
    return name, value if equals else None


_READERS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "RUN": ("argv", _command),
    "WORKDIR": ("workdir", str),
    "HEALTHCHECK": ("healthcheck", str),
    "SOCKET_READY": ("socket_ready", str),
    "OPTIONAL": ("optional", _flag),
    "READINESS_TIMEOUT": ("readiness_timeout", _seconds),
    "ONESHOT": ("oneshot", _flag),
    "DISABLED": ("disabled", _flag),
    "RESTART": ("restart", _restart),
    "RESTART_DELAY": ("restart_delay", _seconds),
    "START_LIMIT_BURST": ("start_limit_burst", _count),
    "START_LIMIT_INTERVAL": ("start_limit_interval", _seconds),
    "TIMEOUT_START": ("timeout_start", _seconds),
    "TIMEOUT_STOP": ("timeout_stop", _seconds),
    "MEMORY": ("memory", _bytes),
    "LIMIT_NOFILE": ("limit_nofile", _count),
    "LIMIT_NPROC": ("limit_nproc", _count),
    "STDOUT": ("stdout", str),
    "STDERR": ("stderr", str),
}
