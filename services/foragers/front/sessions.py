"""Which sid a conversation has.

A conversation that has a name has the sid that follows from it. Any other is found by what was said
in it so far (`foragers.core.trails`): the request must repeat, word for word, what one conversation
of the same key has come to. Whoever finds it holds it until its turn is over; a second request that
repeats the same gets a sid of its own. So conversations that only begin alike never meet.

What conversations have come to is appended to a file, digests and sids alone, so that they go on
after a restart. The file may be deleted: then they go on under a new sid. While it cannot be
written it is behind; it is written anew once that goes again.
"""

import errno
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from foragers.core.trails import DIGEST_BYTES, SID_PREFIX, Trail
from nest.metrics import Registry
from nest.paths import ensure_private
from nest.private import read_private, replace_private

SESSIONS_MAX = 8_192
"""Conversations without a name that can be gone on with; the one idle for longest is forgotten."""
RETIRED_MAX = 1_024
"""Named conversations whose sid could not be used again; the oldest is forgotten."""
FILE_LINES_MAX = 4 * SESSIONS_MAX
"""Lines of the file; then it is written anew with those that count."""
FILE_BYTES_MAX = FILE_LINES_MAX * 256
"""Bytes read of it."""
RETRY_SECONDS = 5.0
"""Between two tries to write a file anew that could not be written."""

log = logging.getLogger(__name__)

Trails = tuple[bytes, ...]
"""All digests that lead to one conversation: by what was said, by the answer that it ended with."""


class Sessions:
    """The conversations of this process. Nobody else writes the file."""

    def __init__(
        self,
        metrics: Registry,
        path: Path | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """With a `path`, what it holds is known again. Raises `SettingsRefused`."""
        self._trails: OrderedDict[str, Trails] = OrderedDict()
        self._sids: dict[bytes, list[str]] = {}
        self._retired: OrderedDict[str, int] = OrderedDict()
        self._gauge = metrics.gauge(
            "hum_front_sessions", "Conversations without a name that can be gone on with."
        )
        self._forgotten = metrics.counter(
            "hum_front_sessions_forgotten_total", "Conversations forgotten to make room."
        )
        self._path = path
        self._now = now
        self._handle: int | None = None
        """None before it is opened, and while the file cannot be written."""
        self._retry_at = 0.0
        self._lines = 0
        if path is not None:
            self._load(path)

    def begin(self, trail: Trail, after: bytes | None, fresh: str) -> tuple[str, Trails]:
        """The sid of the conversation at `trail`, and what leads to it; `fresh` names a new one.

        `after` is the trail of the answer that the request says it follows. The caller holds the
        conversation now, and gives it back with `keep`.
        """
        if trail.sid is not None:
            number = self._retired.get(trail.sid, 0)
            return (f"{trail.sid}-{number}" if number else trail.sid), ()
        for digest in (after, trail.known):
            if digest is not None and (sids := self._sids.get(digest)):
                sid = sids[-1]
                return sid, self._take(sid)
        return f"{SID_PREFIX}{fresh}", ()

    def keep(self, sid: str, trails: Trails) -> None:
        """The conversation is free again; it has come to `trails`. None: it cannot be found."""
        self._take(sid)
        if not trails:
            return
        self._put(sid, trails)
        self._append(sid, trails)

    def retire(self, sid: str) -> None:
        """A turn of this sid did not end: a conversation with its name goes on under another."""
        self._take(sid)
        base, _, number = sid.removeprefix(SID_PREFIX).partition("-")
        name = SID_PREFIX + base
        self._retired[name] = int(number or 0) + 1
        self._retired.move_to_end(name)
        if len(self._retired) > RETIRED_MAX:
            self._retired.popitem(last=False)

    def close(self) -> None:
        """Close the file. What is kept later is not written."""
        self._path = None
        self._let_go()

    def _let_go(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _put(self, sid: str, trails: Trails) -> None:
        self._trails[sid] = trails
        for digest in trails:
            self._sids.setdefault(digest, []).append(sid)
        if len(self._trails) > SESSIONS_MAX:
            self._take(next(iter(self._trails)))
            self._forgotten.inc()
        self._gauge.set(len(self._trails))

    def _take(self, sid: str) -> Trails:
        trails = self._trails.pop(sid, ())
        for digest in trails:
            sids = self._sids[digest]
            sids.remove(sid)
            if not sids:
                del self._sids[digest]
        return trails

    def _load(self, path: Path) -> None:
        ensure_private(path.parent)
        try:
            lines = read_private(path, bytes_max=FILE_BYTES_MAX).split(b"\n")
        except FileNotFoundError:
            lines = []
        for line in lines:
            if (found := _read(line)) is not None:
                sid, trails = found
                self._take(sid)
                self._put(sid, trails)
        with self._unless_full():
            self._rewrite(path)

    def _append(self, sid: str, trails: Trails) -> None:
        """A crash loses nothing of it; a crash of the machine may."""
        if self._path is None or (self._handle is None and self._now() < self._retry_at):
            return
        with self._unless_full():
            if self._handle is None or self._lines >= FILE_LINES_MAX:
                self._rewrite(self._path)
                return
            line = _line(sid, trails)
            if os.write(self._handle, line) != len(line):
                raise OSError(errno.ENOSPC, "some of a line found no room")
            self._lines += 1

    @contextmanager
    def _unless_full(self) -> Iterator[None]:
        """Go on without the file for a while when it cannot be written."""
        try:
            yield
        except OSError as problem:
            log.warning("sessions.not_kept", extra={"reason": problem.strerror})
            self._let_go()
            self._retry_at = self._now() + RETRY_SECONDS

    def _rewrite(self, path: Path) -> None:
        self._let_go()
        lines = b"".join(_line(sid, trails) for sid, trails in self._trails.items())
        replace_private(path, lines)
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._lines = len(self._trails)


def _line(sid: str, trails: Trails) -> bytes:
    return f"{sid} {' '.join(digest.hex() for digest in trails)}\n".encode()


def _read(line: bytes) -> tuple[str, Trails] | None:
    """One line; None when it was torn, or is none of ours."""
    sid, *digests = line.decode("ascii", "replace").split(" ")
    try:
        trails = tuple(bytes.fromhex(digest) for digest in digests)
    except ValueError:
        return None
    is_whole = trails and all(len(digest) == DIGEST_BYTES for digest in trails)
    return (sid, trails) if is_whole and sid.startswith(SID_PREFIX) else None
