"""What the services say about themselves: the last lines of their log files.

A line is JSON when the service wrote it and text when something below it did. Foreign text never
reaches the terminal with its control characters.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import click
import orjson

from hum.output import data, data_json, printable
from nest.paths import Paths
from thrum.errors import LocalError

TAIL_BYTES_MAX = 1024 * 1024
"""How much of the end of one file is read."""

LINES = 200

SUPERVISOR = "supervisord"
"""Its lines carry no time of the kind that the others are sorted by; orch says the same."""

_COMPLAINTS = frozenset(("warning", "error"))

_FIRST = ("ts", "level", "service", "event", "traceback")


class NoLog(LocalError):
    """There is no log file of that name."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of one log."""

    at: str
    """Time in RFC 3339, or that of the line before for a line without one."""
    fields: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The line for a person."""
        fields = self.fields
        rest = " ".join(f"{k}={_shown(v)}" for k, v in fields.items() if k not in _FIRST)
        head = " ".join(str(fields[name]) for name in _FIRST[:4] if name in fields)
        lines = [f"{head} {rest}".rstrip()]
        if "traceback" in fields:
            lines.append(str(fields["traceback"]))
        return printable("\n".join(lines))


def read_tail(path: Path, *, service: str, lines: int) -> list[Entry]:
    """The last `lines` entries of the file; none when there is no such file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES_MAX))
            raw = file.read(TAIL_BYTES_MAX).splitlines()
    except FileNotFoundError:
        return []
    if size > TAIL_BYTES_MAX:
        raw = raw[1:]
    entries: list[Entry] = []
    at = ""
    for line in raw[-lines:]:
        fields = _read_line(line, service)
        at = str(fields.get("ts", at))
        entries.append(Entry(at, fields))
    return entries


def last_reason(paths: Paths, service: str) -> str:
    """What the newest process of `service` last complained of; empty when it did not."""
    reason = ""
    for entry in read_tail(paths.logs / f"{service}.log", service=service, lines=LINES):
        fields = entry.fields
        if fields.get("event") == "lifecycle.started":
            reason = ""
        elif fields.get("level") in _COMPLAINTS and isinstance(fields.get("reason"), str):
            reason = printable(fields["reason"])
    return reason


def _read_line(line: bytes, service: str) -> Mapping[str, Any]:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        found = None
    if isinstance(found, dict):
        return found
    return {"service": service, "event": "text", "text": line.decode("utf-8", "replace")}


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if text and " " not in text else json.dumps(text, ensure_ascii=False)


def _files(directory: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(directory.glob("*.log"))}


def _selected(paths: Paths, service: str | None) -> Iterable[tuple[str, Path]]:
    files = _files(paths.logs)
    if service is None:
        return [(name, path) for name, path in files.items() if name != SUPERVISOR]
    if service not in files:
        known = ", ".join(files) or "none yet"
        raise NoLog(f"no log of {service} in {paths.logs}; there are: {known}", hint="hum logs")
    return ((service, files[service]),)


@click.command
@click.argument("service", required=False)
@click.option("-n", "--lines", default=LINES, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def logs(*, service: str | None, lines: int, as_json: bool) -> None:
    """Show what the services say about themselves, the newest last.

    SERVICE is one of them, or supervisord, or orch (changes of state); without it, all together.
    """
    import os

    paths = Paths.from_environment(os.environ)
    entries = [
        entry
        for name, path in _selected(paths, service)
        for entry in read_tail(path, service=name, lines=lines)
    ]
    entries.sort(key=attrgetter("at"))
    for entry in entries[-lines:]:
        if as_json:
            data_json(entry.fields)
        else:
            data(entry.text)
