"""What each session was last shown of a file, or wrote there; and which edits overlap.

A session that edits something it has read must not undo what others did to it meanwhile. So the
text of what was shown is remembered (as a digest), and an edit of the same thing is refused as
`stale` when the text is another one now. What was never shown is never stale.

Two edits overlap when the second was received before the first had landed. Every place is known by
a path of names; edits collide when the path of one is, or begins, that of the other. The whole file
is the empty path.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

SESSIONS_MAX = 256
"""Sessions remembered; the one that was quiet for longest is forgotten first."""
SHOWN_MAX = 4_096
"""Places remembered of one session; the oldest is forgotten first."""
WHOLE = ""
"""The key of a whole file."""

_Shown = OrderedDict[tuple[str, str], bytes]


@dataclass(slots=True)
class Memory:
    """What sessions have seen. Safe from any thread."""

    sessions_max: int = SESSIONS_MAX
    shown_max: int = SHOWN_MAX
    _sessions: OrderedDict[str, _Shown] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def showed(self, sid: str | None, path: str, key: str, content: bytes) -> None:
        """Note that a session knows this content of a place of a file."""
        self.showed_digest(sid, path, key, _digest(content))

    def showed_digest(self, sid: str | None, path: str, key: str, digest: bytes) -> None:
        """The same for content of which only the SHA-256 is at hand."""
        if sid is None:
            return
        with self._lock:
            shown = self._sessions.setdefault(sid, OrderedDict())
            self._sessions.move_to_end(sid)
            shown[path, key] = digest
            shown.move_to_end((path, key))
            while len(shown) > self.shown_max:
                shown.popitem(last=False)
            while len(self._sessions) > self.sessions_max:
                self._sessions.popitem(last=False)

    def is_stale(self, sid: str | None, path: str, key: str, content: bytes) -> bool:
        """Whether a session was shown another content of this place."""
        known = self._known(sid, path, key)
        return known is not None and known != _digest(content)

    def whole(self, sid: str | None, path: str) -> bytes | None:
        """The SHA-256 of the whole file that a session was shown; None when it was not."""
        return self._known(sid, path, WHOLE)

    def wrote(self, sid: str | None, path: str, *, old: bytes, new: bytes) -> None:
        """Note the new content of a whole file, when the session knew the old one."""
        if self._known(sid, path, WHOLE) == _digest(old):
            self.showed(sid, path, WHOLE, new)

    def _known(self, sid: str | None, path: str, key: str) -> bytes | None:
        with self._lock:
            shown = self._sessions.get(sid or "")
            return shown.get((path, key)) if shown is not None else None


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def holders(key: str) -> Iterator[str]:
    """The paths that begin `key`, without itself: what it lies in. The whole file is the last."""
    while key:
        key = key.rpartition(".")[0]
        yield key
