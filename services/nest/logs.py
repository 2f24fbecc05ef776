"""What a process says about itself: one JSON object per line on stderr, and no secret in it.

- Keys: `ts` (RFC 3339, UTC, milliseconds), `level`, `service`, `event` (the message: a fixed text
  such as `bus.reset`), then the fields given as `extra=`; `traceback` when there is one.
- Foreign text goes into fields, never into the message. JSON escapes CR, LF and ESC; the other
  control characters are escaped here, so a line in a terminal is only ever text.
- A field whose name ends in a word such as key, token or password is not shown, and a value given
  to `register_secret` is cut out wherever it appears, in tracebacks too.
- Each line is one write to the descriptor, nothing is buffered: a signal handler may log, and an
  exit loses nothing.
- An event that comes too often is cut short, so that no client can push what others said out of
  the files: its next line has in `missing` how many were not written.
"""

import contextlib
import logging
import os
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson

from nest.bucket import Bucket
from thrum.redaction import REDACTED, SECRET_CHARS_MIN, is_secret_name

STDERR = 2
TEXT_CHARS_MAX = 8_192
"""Characters of one field that are shown."""
DEPTH_MAX = 6
"""Levels of a nested field that are shown."""
ITEMS_MAX = 64
"""Entries of a list or map that are shown."""
FIELD_BYTES_MAX = 32 * 1024
"""Of a list or map as JSON; of a larger one only the beginning is shown, as text."""
LINES_PER_SECOND = 100.0
"""Of one event of one process, in the long run."""
LINES_BURST = 1_000.0
EVENTS_MAX = 256
"""Events whose share is kept; the one silent for longest starts anew."""

LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

_CONTROL = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_OWN_KEYS = ("ts", "level", "service", "event", "traceback")
_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_secrets: list[str] = []
"""The longest first: one that begins another must not leave the rest of it."""


def register_secret(value: str) -> None:
    """Cut `value` out of every line from now on. Whoever reads a secret calls this."""
    if len(value) >= SECRET_CHARS_MIN and value not in _secrets:
        _secrets[:] = sorted([*_secrets, value], key=len, reverse=True)


def timestamp(seconds: float) -> str:
    """Unix seconds as every log has them: RFC 3339, UTC, milliseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def redact(value: object, *, depth: int = DEPTH_MAX) -> object:
    """A copy of `value` fit for a log: plain JSON, bounded, without secrets."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if abs(value) < 1 << 63 else str(value)
    if isinstance(value, str):
        return _clean(value)
    if depth == 0:
        return "…"
    if isinstance(value, Mapping):
        shown = list(value.items())[:ITEMS_MAX]
        return {_clean(str(name)): _field(str(name), item, depth - 1) for name, item in shown}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, depth=depth - 1) for item in list(value)[:ITEMS_MAX]]
    return _clean(str(value))


class JsonLines(logging.Formatter):
    """Turns a record into one line of JSON."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line = {
            "ts": timestamp(record.created),
            "level": record.levelname.lower(),
            "service": self._service,
            "event": _clean(record.getMessage()),
        }
        fields = {
            f"{name}_" if name in _OWN_KEYS else _clean(name): _short(
                _field(name, value, DEPTH_MAX)
            )
            for name, value in vars(record).items()
            if name not in _RECORD_FIELDS
        }
        if record.exc_info:
            fields["traceback"] = _clean(self.formatException(record.exc_info), is_end_first=True)
        text = orjson.dumps({**line, **fields}).decode()
        return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


@dataclass(slots=True)
class _Share:
    bucket: Bucket = field(default_factory=lambda: Bucket(LINES_PER_SECOND, LINES_BURST))
    missing: int = 0
    """Lines not written since the last one that was."""


class DescriptorHandler(logging.Handler):
    """Writes each record to a descriptor, at once. A reader that went away loses lines, not us."""

    def __init__(self, descriptor: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._descriptor, self._clock = descriptor, clock
        self._shares: OrderedDict[tuple[str, str], _Share] = OrderedDict()

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line; what cannot be rendered or written never breaks the caller."""
        share = self._share(record)
        if share.bucket.take(self._clock()):
            share.missing += 1
            return
        if share.missing:
            record.missing, share.missing = share.missing, 0
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001 - a field's own __str__ may raise anything
            line = (
                f'{{"level":"error","event":"logs.unwritable","reason":"{type(error).__name__}"}}'
            )
        rest = memoryview(f"{line}\n".encode())
        with contextlib.suppress(OSError):
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]

    def _share(self, record: logging.LogRecord) -> _Share:
        event = (record.name, str(record.msg))
        share = self._shares.setdefault(event, _Share())
        self._shares.move_to_end(event)
        if len(self._shares) > EVENTS_MAX:
            self._shares.popitem(last=False)
        return share


def setup(service: str, level: str = "info", *, descriptor: int = STDERR) -> None:
    """Send every logger of this process, libraries included, to `descriptor` as JSON lines.

    Call it again to change the level. Python's own warnings become records too.
    """
    handler = DescriptorHandler(descriptor)
    handler.setFormatter(JsonLines(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    logging.captureWarnings(True)


def _field(name: str, value: object, depth: int) -> object:
    if is_secret_name(name) and value is not None and not isinstance(value, bool | int | float):
        return REDACTED
    return redact(value, depth=depth)


def _short(shown: object) -> object:
    """What `redact` made, or the beginning of its JSON when it is too large for a line."""
    if not isinstance(shown, dict | list):
        return shown
    packed = orjson.dumps(shown)
    if len(packed) <= FIELD_BYTES_MAX:
        return shown
    return f"{packed[:TEXT_CHARS_MAX].decode('utf-8', 'ignore')}…"


def _clean(text: str, *, is_end_first: bool = False) -> str:
    """Text without secrets; of a long one the beginning, or with `is_end_first` the end."""
    for secret in _secrets:
        text = text.replace(secret, REDACTED)
    if len(text) > TEXT_CHARS_MAX:
        text = f"…{text[-TEXT_CHARS_MAX:]}" if is_end_first else f"{text[:TEXT_CHARS_MAX]}…"
    return text.encode("utf-8", "backslashreplace").decode()
