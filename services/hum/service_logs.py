"""What the services say about themselves: the last lines of their log files.

A line is JSON when the service wrote it and text when something below it did. Foreign text never
reaches the terminal with its control characters.
"""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import click
import orjson

from hum.log_lines import LogFile
from hum.output import data, data_json, printable
from hum.runs import SPAWNED, read_run
from nest.logs import timestamp
from nest.paths import Paths
from thrum.errors import LocalError

LINES = 200
FOLLOW_SECONDS = 0.2
"""Between two looks at files that grow."""

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
    return list(_entries(LogFile(path).tail(lines), service))


def _entries(lines: Iterable[bytes], service: str, at: str = "") -> Iterator[Entry]:
    for line in lines:
        fields = _read_line(line, service)
        at = str(fields.get("ts", at))
        yield Entry(at, fields)


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


class Logs:
    """The logs of one service, or of all, with what supervisord says of their processes."""

    def __init__(self, paths: Paths, service: str | None) -> None:
        """Raises `NoLog` when there is none of `service`."""
        self._directory, self._service = paths.logs, service
        self._files: dict[str, LogFile] = {}
        if service is not None and service not in (known := _files(paths.logs)):
            names = ", ".join(known) or "none yet"
            raise NoLog(f"no log of {service} in {paths.logs}; there are: {names}", hint="hum logs")

    def tail(self, lines: int) -> list[Entry]:
        """The last entries of all together, the newest last."""
        found = [
            entry for name, file in self._new() for entry in self._read(name, file.tail(lines))
        ]
        found.sort(key=attrgetter("at"))
        return found[-lines:]

    def more(self) -> list[Entry]:
        """What came since, also in logs that were not there before.

        A line without a time was written just now.
        """
        self._new()
        now = timestamp(time.time())
        found = [
            entry
            for name, file in self._files.items()
            for entry in self._read(name, file.more(), now)
        ]
        found.sort(key=attrgetter("at"))
        return found

    def _new(self) -> list[tuple[str, LogFile]]:
        """Files that were not known yet; they are known from here on."""
        names = [name for name in _files(self._directory) if self._concerns(name)]
        new = [(name, LogFile(self._directory / f"{name}.log")) for name in names]
        new = [(name, file) for name, file in new if name not in self._files]
        self._files.update(new)
        return new

    def _concerns(self, name: str) -> bool:
        return self._service is None or name in (self._service, SUPERVISOR)

    def _read(self, name: str, lines: list[bytes], at: str = "") -> Iterator[Entry]:
        if name != SUPERVISOR or self._service == SUPERVISOR:
            yield from _entries(lines, name, at)
            return
        for line in lines:
            run = read_run(line.decode("utf-8", "replace"))
            if run is not None and self._service in (None, run["service"]):
                yield Entry(run["ts"], run)


def _print(entries: Iterable[Entry], *, as_json: bool, is_first: bool) -> None:
    """Print entries; where a run begins, an empty line goes before."""
    for entry in entries:
        if as_json:
            data_json(entry.fields)
            continue
        if entry.fields.get("event") == SPAWNED and not is_first:
            data("")
        is_first = False
        data(entry.text)


@click.command
@click.argument("service", required=False)
@click.option("-n", "--lines", default=LINES, show_default=True, type=click.IntRange(1, 100_000))
@click.option("-f", "--follow", is_flag=True, help="Go on with what they say, until interrupted.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def logs(*, service: str | None, lines: int, follow: bool, as_json: bool) -> None:
    """Show what the services say about themselves, the newest last.

    SERVICE is one of them, or supervisord, or orch (changes of state); without it, all together.
    Where a process began and how it ended is shown with them; an empty line parts the runs.
    """
    import os

    found = Logs(Paths.from_environment(os.environ), service)
    entries = found.tail(lines)
    _print(entries, as_json=as_json, is_first=True)
    while follow:
        sys.stdout.flush()
        time.sleep(FOLLOW_SECONDS)
        _print(found.more(), as_json=as_json, is_first=False)
