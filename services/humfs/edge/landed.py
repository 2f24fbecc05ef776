"""When which place of which file was last edited, shared by every humfs of this user.

A table in a file that all of them map. Two places may share a row, and then the older one is
forgotten: an edit that should have been refused is not; none is refused by mistake. The rows of
one file are used only while its lock is held, and a row that was written by two at once fits
neither.
"""

import errno
import hashlib
import logging
import mmap
import os
import struct
from pathlib import Path

from humfs.core.memory import holders
from humfs.edge.files import take_room
from nest.paths import ensure_private

ROWS = 16_384
"""Places remembered at once."""

log = logging.getLogger(__name__)

_ROW = struct.Struct("=16sQ")
_TABLE_BYTES = ROWS * _ROW.size
_ITSELF, _BELOW = b"=", b"<"


class Landed:
    """The table. Open once per process; safe from any thread."""

    def __init__(self, file: Path) -> None:
        """Map the table, made empty if missing; without room for it, one that nobody shares."""
        ensure_private(file.parent)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(file, flags, 0o600)
        try:
            take_room(handle, _TABLE_BYTES)  # writing to a map without it is a SIGBUS
            self._table = mmap.mmap(handle, _TABLE_BYTES)
        except OSError as trouble:
            if trouble.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            log.warning("edits.not_shared", extra={"file": str(file), "why": str(trouble)})
            self._table = mmap.mmap(-1, _TABLE_BYTES)
        finally:
            os.close(handle)

    def close(self) -> None:
        """Unmap it."""
        self._table.close()

    def mark(self, path: str, key: str, at_ns: int) -> None:
        """Note that a place was edited."""
        self._put(_ITSELF, path, key, at_ns)
        for holder in holders(key):
            self._put(_BELOW, path, holder, at_ns)

    def is_edited_since(self, path: str, key: str, at_ns: int) -> bool:
        """Whether a place, something in it, or what it lies in was edited after a moment."""
        marks = [(_ITSELF, key), (_BELOW, key), *((_ITSELF, one) for one in holders(key))]
        return any(self._get(mark, path, one) > at_ns for mark, one in marks)

    def _put(self, mark: bytes, path: str, key: str, at_ns: int) -> None:
        digest, offset = _row(mark, path, key)
        _ROW.pack_into(self._table, offset, digest, at_ns)

    def _get(self, mark: bytes, path: str, key: str) -> int:
        digest, offset = _row(mark, path, key)
        known: tuple[bytes, int] = _ROW.unpack_from(self._table, offset)
        return known[1] if known[0] == digest else 0


def _row(mark: bytes, path: str, key: str) -> tuple[bytes, int]:
    named = b"\0".join((mark, os.fsencode(path), key.encode("utf-8", "surrogateescape")))
    digest = hashlib.blake2b(named, digest_size=16).digest()
    return digest, int.from_bytes(digest[:8], "little") % ROWS * _ROW.size
