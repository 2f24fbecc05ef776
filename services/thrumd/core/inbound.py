"""What becomes of a line from a client (docs/wire.md, sections 2.1 and 2.3).

A line is a tone for humd, or it goes no further: then it is counted under a `Reason`, and some are
answered. An echo for a forwarded tone is not made here: it waits until humd has settled the tone
(`receipts`).
"""

from dataclasses import dataclass
from enum import StrEnum

from thrum.chi import THRUM_VERSION, Chi
from thrum.errors import MalformedId, MalformedTone, Qualifier
from thrum.frames import BODY_BYTES_MAX, pack_body
from thrum.ids import parse_hid
from thrum.lines import read_line, write_line
from thrum.tones import Tone, is_past_dusk

PACKED_GROWTH_MAX = 2.25
"""How much longer a body can get on the bus: `1.5,` has four bytes, a packed float nine."""
LOG_BYTES_MAX = 8 * 1024
"""Of the line of a `log` tone."""
NAME_CHARS_MAX = 4_096
"""Characters of `chi`, `rid`, `sid`, `from` and `to`."""

_KNOWN: frozenset[str] = frozenset(Chi)


class Reason(StrEnum):
    """Why a line went no further; the label of its metric."""

    MALFORMED = "malformed"
    TOO_LARGE = "too-large"
    PAST_DUSK = "past-dusk"
    UNKNOWN_CHI = "unknown-chi"
    RECEIPT = "receipt"
    """An `echo`: for nobody."""
    TALK = "talk"
    """A `log` that is too long, or one of too many."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A line that humd does not get: why, and the line that answers it, if any."""

    reason: Reason
    reply: bytes = b""


_BLANKS = b" \t\r\n"
_MALFORMED = Kept(Reason.MALFORMED)


def decide(line: bytes, now_ms: int) -> Tone | Kept | None:
    """The tone to forward, or why not; None for a blank line, which means nothing."""
    if not line.rstrip(_BLANKS).endswith(b"}"):  # most garbage, at a tenth of the price
        return None if not line.strip(_BLANKS) else _MALFORMED
    try:
        tone = read_line(line)
    except MalformedTone:
        return _MALFORMED
    if tone is None:
        return None
    if _is_wordy(tone):
        message = f"a name in the envelope has more than {NAME_CHARS_MAX} characters"
        return Kept(Reason.MALFORMED, error_line(Qualifier.TONE_MALFORMED, message))
    if is_past_dusk(tone.dusk, now_ms):
        return Kept(Reason.PAST_DUSK, _echo_of(tone, "past dusk"))
    if tone.chi == Chi.ECHO:
        return Kept(Reason.RECEIPT)
    if tone.chi == Chi.LOG and len(line) > LOG_BYTES_MAX:
        return Kept(Reason.TALK)
    if tone.chi not in _KNOWN:  # the bus's own tones too: they mean nothing at the door
        return Kept(Reason.UNKNOWN_CHI, _echo_of(tone))
    if len(line) * PACKED_GROWTH_MAX > BODY_BYTES_MAX and _packed_bytes(tone) > BODY_BYTES_MAX:
        return Kept(Reason.TOO_LARGE, too_large_line(BODY_BYTES_MAX, tone))
    return tone


def concerns(hello: Tone) -> list[str]:
    """What to warn of in a `hello` that registers a bee; it is served all the same."""
    if hello.text("hive") is None and hello.sender is None:
        return []
    found = []
    try:
        parse_hid(hello.text("hid") or "")
    except MalformedId:
        found.append("no valid hid: the bee is not recognised when it comes back")
    if (version := hello.text("protoVersion") or THRUM_VERSION) != THRUM_VERSION:
        found.append(f"it speaks {version[:32]}, this door {THRUM_VERSION}")
    return found


def skew_line(hello: Tone) -> bytes:
    """What a bee hears that speaks another major version; nothing for every other hello."""
    version = hello.text("protoVersion") or THRUM_VERSION
    if version.partition(".")[0] == THRUM_VERSION.partition(".")[0]:
        return b""
    message = f"you speak thrum {version[:32]}, this door {THRUM_VERSION}: expect to be misread"
    return error_line(Qualifier.VERSION_SKEW, message, hello)


def first_breath() -> bytes:
    """What every client gets before it has said anything."""
    body = {"sessions": [], "protoVersion": THRUM_VERSION}
    return write_line(Tone(chi=Chi.BREATH, sender="daemon", body=body))


def echo_line(rid: str, error: str | None = None) -> bytes:
    """The receipt of a tone: `ok`, or why it was refused."""
    body = {"ok": True} if error is None else {"ok": False, "error": error}
    return write_line(Tone(chi=Chi.ECHO, rid=rid, body=body))


def error_line(qualifier: Qualifier, message: str, tone: Tone | None = None) -> bytes:
    """An `error` from the door itself, naming the tone it answers if that is known."""
    rid, sid = (tone.rid, tone.sid) if tone else (None, None)
    body = {"qualifier": qualifier, "message": message}
    return write_line(Tone(chi=Chi.ERROR, rid=rid, sid=sid, sender="daemon", body=body))


def too_large_line(bytes_max: int, tone: Tone | None = None) -> bytes:
    """The answer to a line that was not kept because of its length."""
    message = f"a line over {bytes_max} bytes was skipped"
    return error_line(Qualifier.FRAME_TOO_LARGE, message, tone)


def slow_reader_line() -> bytes:
    """The last line for a client that is cut because it does not read what it is sent."""
    message = "you read too slowly: what waited for you was dropped; connect again and attach"
    return error_line(Qualifier.QUEUE_OVERFLOW, message)


def _echo_of(tone: Tone, error: str | None = None) -> bytes:
    return b"" if tone.rid is None else echo_line(tone.rid, error)


def _is_wordy(tone: Tone) -> bool:
    names = (tone.chi, tone.rid, tone.sid, tone.sender, tone.to)
    return any(name is not None and len(name) > NAME_CHARS_MAX for name in names)


def _packed_bytes(tone: Tone) -> int:
    return len(pack_body(tone.body))
