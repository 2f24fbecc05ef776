"""What both edit tools do around an edit: who may, what is remembered, what is answered."""

import hashlib
import time
from dataclasses import dataclass

from humfs.core import views
from humfs.core.edits import report
from humfs.core.edits.lines import newline_of, unified, with_newlines
from humfs.core.memory import WHOLE, Memory
from humfs.core.text import Encoding, Span, Text, decode, is_binary
from humfs.edge import files
from humfs.edge.landed import Landed
from humfs.edge.lease_file import LeaseFile
from humfs.edge.roots import Place, Roots
from humfs.edge.watch import Watch
from humfs.edge.writes import Held, Writer
from humfs.errors import Code, Refusal
from humfs.tools.lease import reserved
from humfs.tools.tool import Call, Result
from thrum.tones import Body

TOO_LARGE = "Nothing was written. Change it with a program for that, by humfs_bash."
SHOWN_CHARS_MAX = 3_000
"""Of the present text that a stale edit is answered with."""


@dataclass(frozen=True, slots=True)
class Changes:
    """The parts that the edit tools share with each other and with `humfs_read`."""

    roots: Roots
    writer: Writer
    memory: Memory
    landed: Landed
    leases: LeaseFile

    def require_unleased(self, call: Call, asked: str, path: str) -> None:
        """Raise `Refusal` (`reserved`) when another session has leased a path."""
        lease = self.leases.read().against(call.sid, path)
        if lease is not None:
            raise reserved(asked, lease, self.leases.now_ms())

    def content(self, held: Held, *, bytes_max: int) -> tuple[bytes, Text]:
        """A held file; raises `Refusal` for one that is never edited."""
        content = files.read_whole(held.opened, bytes_max=bytes_max, hint=TOO_LARGE)
        if is_binary(content):
            raise Refusal(
                Code.ENCODING,
                f"{held.asked} is binary; it is never edited.",
                hint="It can be moved and removed as a whole.",
            )
        return content, decode(content)

    def require_fresh(self, call: Call, held: Held, key: str, text: Text, span: Span) -> None:
        """Raise `Refusal` (`stale`) when others changed a place since the session saw it.

        The refusal shows the present text, and that counts as shown.
        """
        path, content = held.place.path, text.source[span.start : span.end]
        if not (
            self.landed.is_edited_since(path, key, call.received_ns)
            or self.memory.is_stale(call.sid, path, key, content)
        ):
            return
        self.memory.showed(call.sid, path, key, content)
        shown = views.numbered_span(text, span) if text.lines else ""
        what = f"{key} of {held.asked}" if key else held.asked
        raise Refusal(
            Code.STALE,
            f"{what} has changed since you saw it; nothing was written. It is now:\n"
            f"{shown[:SHOWN_CHARS_MAX]}",
            hint="Make the edit again from this text.",
        )

    def require_fresh_file(self, call: Call, held: Held, content: bytes, text: Text) -> None:
        """The same for a whole file, which is known by the digest of its bytes."""
        path = held.place.path
        if not (
            self.landed.is_edited_since(path, WHOLE, call.received_ns)
            or self.memory.is_stale(call.sid, path, WHOLE, content)
        ):
            return
        self.memory.showed(call.sid, path, WHOLE, content)
        shown = views.numbered(text, 1, text.lines)[:SHOWN_CHARS_MAX]
        raise Refusal(
            Code.STALE,
            f"{held.asked} has changed since you saw it; nothing was written. It is now:\n{shown}",
            hint="Make the edit again from this text.",
        )

    def require_fresh_bytes(self, call: Call, held: Held, watch: Watch) -> None:
        """The same for a file of any size and kind, of which nothing is shown."""
        path, known = held.place.path, self.memory.whole(call.sid, held.place.path)
        is_edited = self.landed.is_edited_since(path, WHOLE, call.received_ns)
        if not is_edited and known is None:
            return
        now = bytes.fromhex(files.digest(held.opened, watch)[0] or "")  # none is no match
        if not is_edited and now == known:
            return
        self.memory.showed_digest(call.sid, path, WHOLE, now)
        raise Refusal(
            Code.STALE,
            f"{held.asked} has changed since you saw it; it is still there.",
            hint="Read it again; a second call goes ahead.",
        )

    def write(self, call: Call, held: Held, key: str, old: bytes, new: bytes) -> None:
        """Replace a held file, and remember that."""
        self.writer.replace(held, new)
        self.landed.mark(held.place.path, key, time.time_ns())
        if key == WHOLE:
            self.memory.showed(call.sid, held.place.path, WHOLE, new)
        else:
            self.memory.wrote(call.sid, held.place.path, old=old, new=new)

    def create(self, call: Call, asked: str, content: bytes) -> Place:
        """Make a file, and remember that."""
        place = self.writer.create(asked, call.cwd, content)
        self.landed.mark(place.path, WHOLE, time.time_ns())
        self.memory.showed(call.sid, place.path, WHOLE, content)
        return place

    def move(self, call: Call, held: Held, new_path: str) -> Result:
        """Give a held file another path."""
        old = held.place
        new = self.writer.move(held, new_path, call.cwd)
        self.landed.mark(old.path, WHOLE, time.time_ns())
        metadata = _of_file(new, "move", held.opened.status.st_size)
        metadata |= {"from": views.clean_name(old.path)}
        output = f"Moved {held.asked} to {new_path}"
        return Result(output=views.clean_name(output), title=held.asked, metadata=metadata)

    def remove(self, call: Call, held: Held, watch: Watch) -> Result:
        """Take a held file away, unless others changed it since the session saw it."""
        self.require_fresh_bytes(call, held, watch)
        size = held.opened.status.st_size
        self.writer.remove(held, call.cwd)
        self.landed.mark(held.place.path, WHOLE, time.time_ns())
        output = views.clean_name(f"Removed {held.asked} ({size} bytes)")
        metadata = _of_file(held.place, "remove", size)
        return Result(output=output, title=held.asked, metadata=metadata)


def _of_file(place: Place, operation: str, size: int) -> Body:
    return {"path": views.clean_name(place.path), "operation": operation, "bytes": size}


def answer(
    first: str, *, diff: str = "", notes: tuple[str, ...] = (), title: str, metadata: Body
) -> Result:
    """The answer of an edit: what was done, what changed, what to know about it."""
    parts = [views.clean_name(first), *([diff] if diff else []), *(f"note: {one}" for one in notes)]
    return Result(
        output="\n".join(parts)[: views.OUTPUT_CHARS_MAX],
        title=views.clean_name(title),
        metadata=metadata | {"notes": list(notes)},
    )


def sha256(content: bytes) -> str:
    """The digest that `humfs_read` shows of a file."""
    return hashlib.sha256(content).hexdigest()


def line_range(text: Text, span: Span) -> Body:
    """A span as `metadata.before` and `metadata.after` tell it."""
    first, last = report.lines_of(text, span)
    return {"start": first, "end": last}


def rewritten(new: str, text: Text) -> tuple[bytes, tuple[str, ...]]:
    """The content a whole-file edit leaves, with the line ends of the old one, and notes."""
    source = to_bytes(new, text)
    fitted = with_newlines(unified(source), newline_of(text.source)) if text.source else source
    return fitted, ("line ends converted to those of the file",) if fitted != source else ()


def to_bytes(new: str, text: Text) -> bytes:
    """Text that goes into a file; raises `Refusal` when the file cannot hold it."""
    if text.encoding is Encoding.BYTES and not new.isascii():
        raise Refusal(
            Code.ENCODING,
            "The file is not UTF-8: only ASCII can be put into it; nothing was written.",
            hint="Convert the file to UTF-8 first.",
        )
    return new.encode()
