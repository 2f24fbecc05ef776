"""Tiles on disk: a file for each level, `tiles/0` to `tiles/6`, with 32 bytes for each entry.

Bytes 8192 n to 8192 (n + 1) of a file are tile `n` of its level. `tiles/0` grows by whole tiles,
and nothing in it changes again. Nothing is synced as it comes: what a crash or the disk spoils does
not lead to the signed root, and is then computed anew from the segments. Before segments are
dropped all of it is synced. Of a very long log the oldest leaf hashes are dropped: a hole in
`tiles/0`.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from thehum.core.names import TILES_DIR
from thehum.core.tiles import TILE_HASHES, whole
from thehum.edge.disk import (
    allocated,
    make_folder,
    open_private,
    punch,
    sync_data,
    sync_folder,
    told_apart,
    write_all,
)
from thrum.merkle import HASH_BYTES, perfect_root

GONE = bytes(HASH_BYTES)
"""What is read of a leaf hash that was dropped."""
LEVELS = 7
"""256^7 is more than there will be events."""


class Tiles:
    """The folder of the tiles of a log. One writer."""

    def __init__(self, root: Path) -> None:
        self._folder = root / TILES_DIR
        self.size = 0
        """How many leaves are in whole tiles."""

    def open(self, size: int) -> bool:
        """Keep what belongs to the first `size` leaves; whether all of their whole tiles are there.

        When not, the tiles are empty. Raises `DiskFull`, `WriteFailed`, `SettingsRefused`.
        """
        if self._folder.exists():
            make_folder(self._folder)
        size = whole(size)
        is_whole = all(
            self._cut(level, size >> 8 * level) >= (size >> 8 * level) for level in range(LEVELS)
        )
        if not is_whole:
            size = 0
            for level in range(LEVELS):
                self._cut(level, 0)
        self.size = size
        return is_whole

    def add(self, leaves: Sequence[bytes]) -> bytes:
        """Write the next tile of leaf hashes and what it completes above; return its root.

        Raises `DiskFull`, after which it can be called again.
        """
        index = self.size // TILE_HASHES
        if index == 0:
            make_folder(self._folder)
        self._write(0, self.size, b"".join(leaves))
        root = node = perfect_root(leaves)
        for level in range(1, LEVELS):
            self._write(level, index, node)
            index += 1
            entries = None if index % TILE_HASHES else self.read(level, index - TILE_HASHES)
            if entries is None:
                break
            index, node = index // TILE_HASHES - 1, perfect_root(entries)
        self.size += TILE_HASHES
        return root

    def read(self, level: int, start: int, count: int = TILE_HASHES) -> list[bytes] | None:
        """Entries of a level, unverified; None when they are not all there, or were dropped."""
        with self.reading() as read:
            return read(level, start, count)

    @contextmanager
    def reading(self) -> Iterator[Callable[[int, int, int], list[bytes] | None]]:
        """`read` for whoever reads often: what it opens stays open until the end."""
        handles: dict[int, int] = {}

        def read(level: int, start: int, count: int) -> list[bytes] | None:
            if level not in handles:
                try:
                    handles[level] = open_private(self._path(level))
                except FileNotFoundError:
                    return None
            return _entries(handles[level], level, start, count)

        try:
            yield read
        finally:
            for handle in handles.values():
                os.close(handle)

    def sync(self) -> None:
        """Return once what was added is on disk: it can no longer be computed anew.

        Raises `WriteFailed`.
        """
        for level in range(LEVELS):
            try:
                handle = open_private(self._path(level))
            except FileNotFoundError:
                continue
            try:
                sync_data(handle)
            finally:
                os.close(handle)
        sync_folder(self._folder)

    def drop(self, leaves: int) -> bool:
        """Give the room of so many of the first leaf hashes back; False where that cannot be.

        The levels above stay. Raises `WriteFailed`.
        """
        length = whole(leaves) * HASH_BYTES
        if not length:
            return True
        handle = open_private(self._path(0), write=True)
        try:
            return punch(handle, length)
        finally:
            os.close(handle)

    @property
    def disk_bytes(self) -> int:
        """What the tiles take on disk."""
        return sum(allocated(self._path(level)) for level in range(LEVELS))

    def _path(self, level: int) -> Path:
        return self._folder / str(level)

    def _write(self, level: int, index: int, data: bytes) -> None:
        handle = open_private(self._path(level), create=True, write=True)
        try:
            write_all(handle, data, index * HASH_BYTES)
        finally:
            os.close(handle)

    def _cut(self, level: int, entries: int) -> int:
        """Cut a level to this many entries; how many it has then."""
        try:
            handle = open_private(self._path(level), write=True)
        except FileNotFoundError:
            return 0
        try:
            found = os.fstat(handle).st_size
            if found > entries * HASH_BYTES:
                with told_apart("cutting the tiles"):
                    os.ftruncate(handle, entries * HASH_BYTES)
            return min(found // HASH_BYTES, entries)
        finally:
            os.close(handle)


def _entries(handle: int, level: int, start: int, count: int) -> list[bytes] | None:
    data = os.pread(handle, count * HASH_BYTES, start * HASH_BYTES)
    if len(data) < count * HASH_BYTES:
        return None
    entries = [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]
    return None if level == 0 and GONE in entries else entries
