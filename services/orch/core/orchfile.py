"""An Orchfile as lines that know where they came from.

One directive per line: a word in upper case, then a value that is not empty. Lines are trimmed;
blank ones and those that start with `#` are skipped; nothing continues on the next line and there
are no comments behind a value. Before the first `SERVICE` only `ORCH_VERSION` and `ARG` may stand,
and after it neither. All mistakes of a file are collected; each names its line.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from thrum.errors import SettingsRefused

ORCH_VERSION = "0.2.1"
"""The version of the Orchfile language that this parser reads."""

SERVICE_NAME_MAX = 63
"""Characters of a service's name."""

# fmt: off
SCALARS = frozenset((
    "FROM", "RUN", "ENTRYPOINT", "CMD", "USER", "STOP", "RELOAD", "WORKDIR", "HEALTHCHECK",
    "SOCKET_READY", "READINESS_TIMEOUT", "ONESHOT", "DISABLED", "RECREATE", "RESTART",
    "RESTART_DELAY", "START_LIMIT_BURST", "START_LIMIT_INTERVAL", "TIMEOUT_START", "TIMEOUT_STOP",
    "MEMORY", "CPUS", "CPU_QUOTA", "LIMIT_NOFILE", "LIMIT_NPROC", "TASKS_MAX", "IO_WEIGHT",
    "STDOUT", "STDERR", "OPTIONAL",
))
# fmt: on
"""Directives with one value: the last one wins; `FROM` and `RUN` stand at most once in a file."""

LISTS = frozenset(["ENV", "ENV_FILE", "PUBLISH", "VOLUME", "REQUIRES", "AFTER"])
"""Directives that may be repeated; `CLEAR` empties them."""

_ONCE = frozenset(("FROM", "RUN"))
_SERVICE_NAME = re.compile(r"[a-z][a-z0-9-]*\Z")
_ARG = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One directive where it was written."""

    file: str
    number: int
    directive: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One `SERVICE` with the lines below it."""

    name: str
    at: Line
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Orchfile:
    """One file, checked for form. Values are still text."""

    file: str
    args: tuple[Line, ...]
    """`ARG` lines; the value is `name=default`."""
    blocks: tuple[Block, ...]


class OrchfileRefused(SettingsRefused):
    """Orchfiles that cannot be used: every mistake found, with its place. Nothing was written."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "\n".join(self.problems),
            hint="mend or move the file named; your own are in $XDG_CONFIG_HOME/hum/orch.d",
        )


def problem(line: Line, text: str) -> str:
    """The sentence for a mistake on `line`."""
    return f"{line.file}:{line.number}: {text}"


def parse(file: str, text: str) -> Orchfile:
    """Read one Orchfile; raises `OrchfileRefused` with every mistake of form in it."""
    head: list[Line] = []
    groups: list[tuple[Line, list[Line]]] = []
    problems: list[str] = []
    for line in _lines(file, text):
        if not line.value:
            problems.append(problem(line, f"{line.directive} needs a value"))
        elif line.directive == "SERVICE":
            groups.append((line, []))
        elif not groups:
            head.append(line)
        else:
            groups[-1][1].append(line)
    problems += _head_problems(head)
    problems += _service_problems([at for at, _ in groups])
    for _, lines in groups:
        problems += _line_problems(lines)
    if problems:
        raise OrchfileRefused(problems)
    return Orchfile(
        file=file,
        args=tuple(line for line in head if line.directive == "ARG"),
        blocks=tuple(Block(name=at.value, at=at, lines=tuple(lines)) for at, lines in groups),
    )


def _lines(file: str, text: str) -> Iterator[Line]:
    for number, raw in enumerate(text.split("\n"), 1):
        trimmed = raw.strip()
        if trimmed and not trimmed.startswith("#"):
            directive, _, value = trimmed.partition(" ")
            yield Line(file=file, number=number, directive=directive, value=value.strip())


def arg_of(line: Line) -> tuple[str, str]:
    """Name and default of a checked `ARG` line."""
    name, _, value = line.value.partition("=")
    return name, value


def _head_problems(head: list[Line]) -> Iterator[str]:
    seen_version = False
    for line in head:
        if line.directive == "ORCH_VERSION":
            if seen_version:
                yield problem(line, "ORCH_VERSION stands here a second time")
            elif line.value != ORCH_VERSION:
                yield problem(
                    line, f"ORCH_VERSION is {line.value}, and this hum reads {ORCH_VERSION}"
                )
            seen_version = True
        elif line.directive == "ARG":
            if not _ARG.match(line.value):
                yield problem(line, f"ARG wants name=default, got {line.value}")
        else:
            yield problem(
                line, f"{line.directive} before the first SERVICE; only ORCH_VERSION and ARG may"
            )


def _service_problems(heads: list[Line]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for line in heads:
        if not _SERVICE_NAME.match(line.value) or len(line.value) > SERVICE_NAME_MAX:
            yield problem(
                line,
                f"SERVICE {line.value}: wanted a lower-case letter, then lower-case letters,"
                f" digits and hyphens, at most {SERVICE_NAME_MAX}",
            )
        if line.value in seen:
            yield problem(line, f"SERVICE {line.value} is already on line {seen[line.value]}")
        seen.setdefault(line.value, line.number)


def _line_problems(lines: list[Line]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for line in lines:
        if line.directive in ("ORCH_VERSION", "ARG"):
            yield problem(line, f"{line.directive} belongs before the first SERVICE")
        elif line.directive == "CLEAR":
            for name in line.value.split():
                if name not in LISTS:
                    yield problem(
                        line, f"CLEAR {name}: only {', '.join(sorted(LISTS))} can be emptied"
                    )
        elif line.directive not in SCALARS | LISTS:
            yield problem(line, f"{line.directive} is no directive")
        elif line.directive in _ONCE and line.directive in seen:
            yield problem(
                line, f"{line.directive} is already on line {seen[line.directive]} of this service"
            )
        seen.setdefault(line.directive, line.number)
