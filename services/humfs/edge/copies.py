"""Work of one call, shared with copies of this process: Python lets one thread work at a time.

A copy is a fork that does parts of it, says what it found through a pipe, and is gone. It touches
nothing of the bus: every descriptor but the roots and its pipe is closed first, the garbage
collector is off, and no handler or clean-up of the parent's runs in it. It is killed with the
thread that made it. One that dies, or says too much, leaves its parts to that thread.

The other threads of the process do not exist in a copy, so it must take no lock that one of them
may hold: its work reads files and computes, and imports nothing that is not there yet.
"""

import contextlib
import gc
import os
import select
import signal
import struct
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

import msgpack

from humfs.edge.watch import Watch
from nest.cells.kernel import die_with_parent

COPIES_MAX = 3
"""Copies at a time, of all calls together; never more than there are further processors."""
SAID_BYTES_MAX = 32 * 1024 * 1024
"""The longest answer of a copy."""
LOOK_SECONDS = 0.05
"""Between two looks whether the call was cancelled."""
GRACE_LOOKS = 40
"""Looks after the time is over: a copy has the same clock, and says what it has."""

Part = TypeVar("Part")
Said = list[Any]
"""What a part of the work brings: lists, texts, numbers, bytes; nothing else passes a pipe."""

_HEAD = struct.Struct("=Q")
_LIMITS = dict.fromkeys(("max_str_len", "max_array_len", "max_map_len"), SAID_BYTES_MAX)
_READ_BYTES = 1024 * 1024


def processors() -> int:
    """How many processors this process may use for one call."""
    if sys.platform != "linux":
        return 1
    return min(1 + COPIES_MAX, len(os.sched_getaffinity(0)))


_free = threading.BoundedSemaphore(max(1, processors() - 1))


def shared(
    parts: Sequence[Part], work: Callable[[Part], Said], *, keep: Sequence[int], watch: Watch
) -> list[Said]:
    """What `work` brings for each part, in order. Whoever is free takes the next: here, or a copy.

    At most 256 parts. `keep` are the descriptors the work needs. Raises what `work` raises
    here, and `Refusal` when the call is cancelled; no copy is left then.
    """
    numbers = _numbers(len(parts)) if len(parts) > 1 else -1
    if numbers < 0:
        return [work(part) for part in parts]
    copies: list[_Copy] = []
    try:
        for _ in parts[1:]:
            if not _free.acquire(blocking=False):
                break
            copies.append(_Copy(lambda: _done(numbers, parts, work), [*keep, numbers]))
        said = dict(_done(numbers, parts, work))
        for copy in copies:
            said |= dict(copy.said(watch) or [])
        return [said[at] if at in said else work(part) for at, part in enumerate(parts)]
    finally:
        os.close(numbers)
        for copy in copies:
            copy.close()


def _numbers(count: int) -> int:
    """A pipe that holds the numbers of the parts, a byte each: who reads one has that part.

    -1 where there can be none.
    """
    try:
        reader, writer = os.pipe()
    except OSError:
        return -1
    try:
        os.write(writer, bytes(range(count)))
    finally:
        os.close(writer)
    return reader


def _done(numbers: int, parts: Sequence[Part], work: Callable[[Part], Said]) -> Said:
    """Do parts as long as there are any; their numbers, each with what was brought."""
    said: Said = []
    while number := os.read(numbers, 1):
        said.append([number[0], work(parts[number[0]])])
    return said


class _Copy:
    """A fork at work. Holds a place of `_free` until closed."""

    def __init__(self, work: Callable[[], Said], keep: Sequence[int]) -> None:
        reader = writer = -1
        try:
            reader, writer = os.pipe()
            parent = os.getpid()
            self.pid = os.fork()
        except OSError:
            for handle in (reader, writer):
                if handle >= 0:
                    os.close(handle)
            self.pid, self._reader = -1, -1
            return
        if self.pid == 0:
            _be_the_copy(writer, parent, work, keep)
        os.close(writer)
        self._reader = reader

    def said(self, watch: Watch) -> Said | None:
        """Wait for what it says; None when it says nothing whole. Raises `Refusal` on a cancel."""
        if self._reader < 0:
            return None
        content, looks = bytearray(), 0
        while looks < GRACE_LOOKS and len(content) <= SAID_BYTES_MAX:
            watch.check()
            if not select.select([self._reader], [], [], LOOK_SECONDS)[0]:
                looks += watch.left == 0
                continue
            block = os.read(self._reader, _READ_BYTES)
            if not block:
                return _unpacked(bytes(content))
            content += block
        return None

    def close(self) -> None:
        """End it, wherever it is."""
        if self._reader >= 0:
            os.close(self._reader)
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        _free.release()


def _unpacked(content: bytes) -> Said | None:
    """What a copy said, if that is whole."""
    if len(content) < _HEAD.size or _HEAD.unpack_from(content)[0] != len(content) - _HEAD.size:
        return None
    said: Said = msgpack.unpackb(content[_HEAD.size :], unicode_errors="surrogateescape", **_LIMITS)
    return said


def _be_the_copy(
    writer: int, parent: int, work: Callable[[], Said], keep: Sequence[int]
) -> NoReturn:
    """Be the child, to the end of the process: nothing of the parent's may run here."""
    try:
        gc.disable()
        die_with_parent()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        _close_all_but({*keep, writer})
        if os.getppid() == parent:
            said = msgpack.packb(work(), unicode_errors="surrogateescape")
            whole = memoryview(_HEAD.pack(len(said)) + said)
            while whole:
                whole = whole[os.write(writer, whole) :]
    except BaseException:  # noqa: BLE001 - the parent does this part again, and says what is wrong
        os._exit(1)
    os._exit(0)


def _close_all_but(kept: set[int]) -> None:
    """Locks, pipes and sockets of other calls are theirs alone."""
    start = 0
    for handle in sorted(kept):
        os.closerange(start, handle)
        start = handle + 1
    with contextlib.suppress(OSError):
        os.closerange(start, os.sysconf("SC_OPEN_MAX"))
