"""Bodies beside the log, as bytes: a file is a row of records, in the order of their events.

| bytes | what |
|---|---|
| 4 | `hbr1`, or `hbr0` when it was forgotten: then salt and body are zeros |
| 8 | seq of the event; numbers are little-endian |
| 2, 4 | lengths of sid and body; a sid of 65,535 bytes stands for none |
| 32 | salt |
| | sid in UTF-8, then the body in msgpack |

A record has no checksum of its own: its event's line has the digest of salt and body.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from thehum.core.keeping import SALT_BYTES, Aside
from thrum.errors import LocalError

HEAD = struct.Struct(f"<4sQHI{SALT_BYTES}s")
MAGIC, GONE = b"hbr1", b"hbr0"
SALT_AT = HEAD.size - SALT_BYTES
"""Offset of the salt within a record."""
NO_SID = 0xFFFF
"""Stands for no sid; a longer sid is cut to one byte less, in characters as they are found."""

Read = Callable[[int, int], bytes]
"""Bytes of a file by offset and length; fewer at its end."""


class BrokenRecord(LocalError):
    """A file of bodies that does not hold what was written."""


@dataclass(frozen=True, slots=True)
class Record:
    """Where one body is in its file."""

    seq: int
    sid: str | None
    salt: bytes
    offset: int
    """Of the record."""
    body_offset: int
    body_bytes: int
    is_gone: bool
    """Whether it was forgotten."""

    @property
    def end(self) -> int:
        """Offset of the next record."""
        return self.body_offset + self.body_bytes


def pack(aside: Aside) -> bytes:
    """The record of a body."""
    sid = _sid_bytes(aside.sid)
    length = NO_SID if sid is None else len(sid)
    head = HEAD.pack(MAGIC, aside.seq, length, len(aside.raw), aside.salt)
    return b"".join((head, sid or b"", aside.raw))


def is_of(record: Record, sid: str) -> bool:
    """Whether a record belongs to the conversation `sid`."""
    raw = _sid_bytes(sid)
    return record.sid is not None and record.sid.encode() == raw


def is_filed(record: Record, sid: str | None) -> bool:
    """Whether a record is filed under the sid of its event, which may be none."""
    return record.sid is None if sid is None else is_of(record, sid)


def _sid_bytes(sid: str | None) -> bytes | None:
    if sid is None:
        return None
    return sid.encode()[: NO_SID - 1].decode(errors="ignore").encode()


def read_records(read: Read, size: int, offset: int = 0) -> Iterator[Record]:
    """The records of a file of `size` bytes from `offset` on, by their heads.

    Raises `BrokenRecord` at the first place where none begins, or one that is not whole.
    """
    while offset < size:
        head = read(offset, HEAD.size)
        if len(head) < HEAD.size or head[: len(MAGIC)] not in (MAGIC, GONE):
            raise BrokenRecord(f"no body begins at byte {offset}")
        magic, seq, sid_bytes, body_bytes, salt = HEAD.unpack(head)
        has_sid = sid_bytes != NO_SID
        begin = offset + HEAD.size
        body_offset = begin + (sid_bytes if has_sid else 0)
        if body_offset + body_bytes > size:
            raise BrokenRecord(f"the body of event {seq}, at byte {offset}, is not whole")
        sid = read(begin, sid_bytes).decode(errors="replace") if has_sid else None
        yield Record(seq, sid, salt, offset, body_offset, body_bytes, magic == GONE)
        offset = body_offset + body_bytes
