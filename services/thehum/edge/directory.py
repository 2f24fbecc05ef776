"""The folder of the log: who may write, whose log it is, which segments there are.

What a crash can leave behind here: `spare.ndjson` half filled (made anew at the next start), a
`.seq.bin.*.tmp` (nobody reads it), a remembered head that is behind the segments (they win),
segments before the base (the next start removes them).
"""

import fcntl
import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from nest.private import mint_private, read_private, replace_private
from thehum.core import names
from thehum.core.base import Base, dump_base, read_base
from thehum.core.keys import KeyChain
from thehum.core.mending import Gap, read_gaps
from thehum.core.notes import EPOCH
from thehum.core.trouble import Trouble, dump_trouble
from thehum.edge.disk import (
    NO_ROOM,
    allocated,
    make_folder,
    open_private,
    sync_folder,
    told_apart,
)
from thehum.errors import DiskFull
from thrum.canonical import dumps
from thrum.errors import SettingsRefused

AUTHOR = "author.json"
LOCK = "lock"
SEQ = "seq.bin"
PID_BYTES_MAX = 32
GAPS_BYTES_MAX = 4 * 1024 * 1024


class LogDirectory:
    """The writer's hold on the folder, from construction to `close`."""

    def __init__(self, root: Path, *, author: str, public: bytes) -> None:
        """Take the folder, made when missing.

        Raises `SettingsRefused` when another writer has it, others may look into it, or it is the
        log of another key.
        """
        self.root = root
        make_folder(root)
        self._lock = _lock(root / LOCK)
        try:
            _claim(root / AUTHOR, author, public)
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Let others write."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def segments(self) -> list[int]:
        """First seqs of all segments, ascending."""
        return segments_in(self.root)

    def segment(self, first_seq: int) -> Path:
        """Where the segment that starts with `first_seq` is."""
        return self.root / names.segment_name(first_seq)

    def segment_bytes(self, first_seq: int) -> int:
        """What a segment takes on disk, in both its forms."""
        packed = self.root / names.packed_name(first_seq)
        return allocated(self.segment(first_seq)) + allocated(packed)

    @property
    def spare(self) -> Path:
        """Where the next segment is laid out."""
        return self.root / names.SPARE

    def base(self, keys: KeyChain) -> Base | None:
        """Where the log begins; None when its first event is there. Raises `BadNote`."""
        try:
            data = read_private(self.root / names.BASE)
        except FileNotFoundError:
            return None
        return read_base(data, public=keys.first, later=keys.events)

    def gaps(self) -> tuple[Gap, ...]:
        """The events that are known to be lost, ascending. Raises `LocalError`."""
        try:
            data = read_private(self.root / names.GAPS, bytes_max=GAPS_BYTES_MAX)
        except FileNotFoundError:
            return ()
        return read_gaps(data)

    def epoch(self) -> int:
        """Which life of the log this is; its owner begins another with an older copy."""
        return int(self._author().get("epoch", EPOCH))

    def life_seq(self) -> int:
        """The event that says which life this is; 0 in the first one."""
        return int(self._author().get("life_seq", 0))

    def begin_epoch(self, epoch: int, seq: int) -> None:
        """Write down that another life begins with event `seq`; once this returns it is on disk."""
        path = self.root / AUTHOR
        fields = {**self._author(), "epoch": epoch, "life_seq": seq}
        with told_apart(f"writing {path}"):
            replace_private(path, dumps(fields) + b"\n")

    def _author(self) -> dict[str, Any]:
        fields: dict[str, Any] = orjson.loads(read_private(self.root / AUTHOR))
        return fields

    def tell(self, trouble: Trouble | None) -> None:
        """Leave a note for others why the log is not written; none when it is.

        Raises `WriteFailed`.
        """
        path = self.root / names.TROUBLE
        with suppress(DiskFull), told_apart(f"writing {path}"):
            if trouble is not None:
                replace_private(path, dump_trouble(trouble))
            elif path.exists():
                path.unlink()

    def move_base(self, base: Base) -> None:
        """Let the log begin behind `base`; once this returns that is on disk.

        Raises `DiskFull`, `WriteFailed`.
        """
        with told_apart(f"writing {self.root / names.BASE}"):
            replace_private(self.root / names.BASE, dump_base(base))

    def remove(self, first_seqs: Sequence[int]) -> None:
        """Remove these segments, the first one first; once this returns that is on disk.

        Raises `WriteFailed`. A crash leaves the last of them.
        """
        for first_seq in first_seqs:
            for name in (names.segment_name(first_seq), names.packed_name(first_seq)):
                with told_apart(f"removing {name}"):
                    (self.root / name).unlink(missing_ok=True)
        sync_folder(self.root)

    def remembered_seq(self) -> int:
        """The last seq known to be durable when it was last written down; 0 when it never was."""
        try:
            return int.from_bytes(read_private(self.root / SEQ)[:8], "big")
        except FileNotFoundError:
            return 0

    def remember(self, seq: int) -> None:
        """Write down that everything up to `seq` is durable. Raises `DiskFull`, `WriteFailed`."""
        with told_apart(f"writing {self.root / SEQ}"):
            replace_private(self.root / SEQ, seq.to_bytes(8, "big"))

    def quarantine(self, kind: str, after_seq: int, data: bytes) -> Path:
        """Keep a copy of `data`, found behind `after_seq`; once this returns it is on disk.

        Raises `DiskFull`, `WriteFailed`.
        """
        folder = self.root / names.QUARANTINE_DIR
        make_folder(folder)
        digest = hashlib.sha256(data).hexdigest()
        path = folder / names.quarantine_name(kind, after_seq, digest)
        with told_apart(f"writing {path}"):
            replace_private(path, data)
        sync_folder(self.root)
        return path


def segments_in(root: Path) -> list[int]:
    """First seqs of all segments in a folder, ascending."""
    found = {names.segment_seq(name) for name in os.listdir(root)}
    return sorted(seq for seq in found if seq is not None)


def _lock(path: Path) -> int:
    handle = open_private(path, create=True, write=True)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as problem:
        holder = os.pread(handle, PID_BYTES_MAX, 0).decode("ascii", "replace").strip()
        os.close(handle)
        raise SettingsRefused(
            f"the log has a writer already: pid {holder or 'unknown'} holds {path}",
            hint="one writer per log; stop it first: hum down",
        ) from problem
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    except OSError as problem:
        if problem.errno not in NO_ROOM:  # without room the lock counts, and nobody's pid is in it
            os.close(handle)
            raise
    return handle


def _claim(path: Path, author: str, public: bytes) -> None:
    """Write down whose log this is, or see that it is ours."""
    mint_private(path, dumps({"hid": author, "pubkey": public.hex()}) + b"\n")
    try:
        found = orjson.loads(read_private(path))
        hid, pubkey = found["hid"], found["pubkey"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as problem:
        raise SettingsRefused(f"{path} does not name an author", hint=f"cat {path}") from problem
    if (hid, pubkey) != (author, public.hex()):
        raise SettingsRefused(
            f"{path.parent} is the log of {hid}, and our key is that of {author}",
            hint=f"bring back the old humd.key, or begin anew: mv {path.parent} {path.parent}.old",
        )
