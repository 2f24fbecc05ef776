"""One event of the log: what it holds, the bytes that are hashed and signed, the line on disk.

A stored line is the canonical JSON of nine keys and a newline. In key order `sig` stands just
before `ts_ms`, so each line ends `,"sig":<null or "128 hex">,"ts_ms":<digits>}`. The **canonical
bytes** are the line without its newline and without the `,"sig":...` segment; hash and signature
are taken over them. Verifiers cut that segment out of the stored bytes and never write an event
again, so it does not matter who laid out the floats of a body.

Inside a commit group `sig` is null; the last event of the group is signed, and because each hash
covers its predecessor that signature covers everything before it.
"""

import hashlib
import re
from dataclasses import dataclass

import orjson

from thrum.canonical import dumps
from thrum.errors import LocalError

ZERO_HASH = "0" * 64
"""What the first event of a chain names as its predecessor."""

SIG_NULL = b',"sig":null'
SIG_BYTES = len(b',"sig":""') + 128
_TAIL = re.compile(rb'(,"sig":(?:null|"[0-9a-f]{128}"))(,"ts_ms":[0-9]{1,15}\})\Z')
_SIG = re.compile(r"[0-9a-f]{128}")
TS_MS_MAX = 10**15
EVENT_KEYS = {"author", "body", "chi", "prev_hash", "rid", "seq", "sid", "sig", "ts_ms"}


class MalformedEvent(LocalError):
    """Bytes that are not a line of the log."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain stands: its last event."""

    seq: int = 0
    hash: str = ZERO_HASH
    ts_ms: int = 0


GENESIS = Head()
"""The empty chain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event. Made by `read_event` from a line, or by hand in tests."""

    author: str
    body: bytes
    """Canonical JSON of an object, as it stands in the line."""
    chi: str
    prev_hash: str
    rid: str
    seq: int
    sid: str | None
    sig: str | None
    """128 hex digits on the last event of a commit group, otherwise None."""
    ts_ms: int


def opening(author: str) -> bytes:
    """The bytes of a line before the body."""
    return b'{"author":' + dumps(author) + b',"body":'


def closing(ts_ms: int) -> bytes:
    """The bytes of a line after the signature, without the newline."""
    return b',"ts_ms":%d}' % ts_ms


def stored_line(event: Event) -> bytes:
    """The line on disk, with its newline."""
    return b"".join(
        (
            opening(event.author), event.body,
            b',"chi":', dumps(event.chi),
            b',"prev_hash":"', event.prev_hash.encode(),
            b'","rid":', dumps(event.rid),
            b',"seq":', b"%d" % event.seq,
            b',"sid":', dumps(event.sid),
            SIG_NULL if event.sig is None else b',"sig":"' + event.sig.encode() + b'"',
            closing(event.ts_ms), b"\n",
        )
    )  # fmt: skip


def hash_of(canonical: bytes) -> str:
    """The event hash: 64 hex digits."""
    return hashlib.sha256(canonical).hexdigest()


def split_line(line: bytes) -> tuple[bytes, str | None]:
    """Canonical bytes and signature of a stored line (without newline).

    Looks at the end of the line only. Raises `MalformedEvent` when it does not end like one.
    """
    match = _TAIL.search(line[-(SIG_BYTES + 32) :])
    if match is None:
        raise MalformedEvent("a line that does not end in sig and ts_ms")
    sig, tail = match[1], match[2]
    canonical = line[: len(line) - len(sig) - len(tail)] + tail
    return canonical, None if sig == SIG_NULL else sig[8:-1].decode()


def read_event(line: bytes) -> Event:
    """Read a stored line (without newline); raises `MalformedEvent` unless it has the nine keys.

    Reads the layout, not the chain: whether the event is genuine is for `core.verify`.
    """
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError as problem:
        raise MalformedEvent(f"not JSON: {problem}") from problem
    if type(fields) is not dict or fields.keys() != EVENT_KEYS:
        raise MalformedEvent("not the nine keys of an event")
    if not has_types(fields) or len(fields["prev_hash"]) != len(ZERO_HASH):
        raise MalformedEvent("a key of an event has the wrong type")
    event = Event(**{**fields, "body": b""})
    before, after = opening(event.author), stored_line(event)[len(opening(event.author)) : -1]
    if not line.startswith(before) or not line.endswith(after):
        raise MalformedEvent("not in canonical form")
    body = line[len(before) : len(line) - len(after)]
    return Event(**{**fields, "body": body})


def has_types(fields: dict[str, object]) -> bool:
    """Whether there are nine keys and each value has its type."""
    sid, sig, seq, ts_ms = fields["sid"], fields["sig"], fields["seq"], fields["ts_ms"]
    return (
        len(fields) == len(EVENT_KEYS)
        and type(fields["author"]) is str
        and type(fields["body"]) is dict
        and type(fields["chi"]) is str
        and type(fields["rid"]) is str
        and type(fields["prev_hash"]) is str
        and type(seq) is int
        and seq >= 1
        and (sid is None or type(sid) is str)
        and (sig is None or (type(sig) is str and _SIG.fullmatch(sig) is not None))
        and type(ts_ms) is int
        and 0 <= ts_ms < TS_MS_MAX
    )
