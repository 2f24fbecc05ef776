"""The state as it is at one moment, written by a copy of this process while routing goes on.

`fork` copies nothing: the kernel gives both processes the same memory and copies a page when one of
them changes it. So a state of any size is taken at once, and the router never waits for it to be
written (docs/decisions/0012-snapshots-are-forked.md). The copy touches nothing but memory and one
pipe: every other descriptor is closed first, and it is killed with its parent.
"""

import gc
import logging
import os
import signal
import struct
from collections.abc import Callable
from dataclasses import dataclass

from humd.core.snapshot import LeafLines, first_line
from humd.core.state import State
from nest.cells.kernel import die_with_parent
from thrum.redaction import KnownSecrets

NICENESS = 10
"""The copy takes what the router leaves over."""
CHUNK_BYTES = 64 * 1024
log = logging.getLogger("humd.snapshots")
_TRAILER = struct.Struct(">32sQQ")
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Written:
    """What the copy says when everything is written."""

    root: bytes
    leaves: int
    prompts_seq: int
    """The oldest event that a leaf needs; 0 when none does."""


class Copy:
    """One copy of this process, and the pipe on which it writes a snapshot up to its leaves."""

    def __init__(
        self, state: State, *, at_seq: int, at_ms: int, secrets: Callable[[], KnownSecrets]
    ) -> None:
        """Take the state now. Raises `OSError` when the system has no room for a process."""
        reads, writes = os.pipe2(os.O_CLOEXEC)
        parent = os.getpid()
        try:
            self._pid = os.fork()
        except OSError:
            os.close(reads)
            os.close(writes)
            raise
        if self._pid == 0:
            _write_and_end(writes, parent, state, at_seq, at_ms, secrets)
        os.close(writes)
        os.set_blocking(reads, False)
        self.descriptor = reads
        self._held = b""
        self._is_whole = False

    def read(self, size: int) -> bytes | None:
        """At most `size` bytes of what it wrote; None when it has yet to write, b"" at its end."""
        while len(self._held) < size + _TRAILER.size and not self._is_whole:
            try:
                chunk = os.read(self.descriptor, CHUNK_BYTES)
            except BlockingIOError:
                break
            self._is_whole = not chunk
            self._held += chunk
        ready = min(size, len(self._held) - _TRAILER.size)
        if ready <= 0:
            return b"" if self._is_whole else None
        taken, self._held = self._held[:ready], self._held[ready:]
        return taken

    @property
    def written(self) -> Written | None:
        """What it said at its end; None when it did not come to it."""
        if not self._is_whole or len(self._held) != _TRAILER.size:
            return None
        root, leaves, prompts_seq = _TRAILER.unpack(self._held)
        return Written(root, leaves, prompts_seq)

    def close(self) -> None:
        """End it, wherever it is, and leave no process behind."""
        if self.descriptor < 0:
            return
        os.close(self.descriptor)
        self.descriptor = -1
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def _write_and_end(
    writes: int,
    parent: int,
    state: State,
    at_seq: int,
    at_ms: int,
    secrets: Callable[[], KnownSecrets],
) -> None:
    """The life of the copy. It never returns, whatever happens."""
    status = 1
    try:
        gc.disable()  # looking for cycles would copy every page
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        die_with_parent()
        os.closerange(3, writes)
        os.closerange(writes + 1, os.sysconf("SC_OPEN_MAX"))
        os.nice(NICENESS)
        with os.fdopen(writes, "wb", CHUNK_BYTES) as pipe:
            if os.getppid() == parent:
                lines = LeafLines(state, secrets())
                pipe.write(first_line(at_seq, at_ms))
                pipe.writelines(lines)
                pipe.write(_TRAILER.pack(lines.root(), lines.count, lines.prompts_seq))
                status = 0
    except Exception:
        log.exception("snapshot.copy_failed")
    finally:
        os._exit(status)
