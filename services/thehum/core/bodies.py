"""From parcels of the bus to bodies of events.

The body of an event is the tone without `chi`, `sid` and `rid`: the body's own keys, the header
slots `from`, `to`, `dusk`, `wane` where they are set, and `@via`, which says how it came:

- `batch`: `<epoch>.<number>` of the batch that carried it;
- `client`: who sent it, as humd counts its clients, or null;
- `link`: its link number on that connection; only when it has one;
- `fan`: 1 when everyone on the sid heard it though its chi alone does not say so;
- `peer`: the authenticated hid of the humd it came from, or null;
- `why`: why humd decided as it did because of it; only when there was something to decide.

An `@via` that arrives in a body is dropped. A body that JSON cannot express (bytes, extension
types, NaN, keys that are not strings, deep nesting), or that has a reserved key itself (`@msgpack`,
`@body`, `@redacted`), is kept as `{"@msgpack": "<base64>"}` with the header slots and `@via`, so
that `restore_body` gives back what was routed and nobody can forge one by writing that key.
Large and sensitive bodies are not in the line at all: see `core.keeping`.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgpack
import orjson

from thehum.core.keeping import (
    BODY,
    INLINE_BODY_BYTES_MAX,
    REDACTED,
    Aside,
    Keep,
    may_hold_secrets,
    redacted_stub,
    stub,
)
from thrum import frames
from thrum.canonical import NotCanonical, dumps
from thrum.errors import MalformedTone
from thrum.redaction import without_named

VIA = "@via"
MSGPACK = "@msgpack"
RESERVED = frozenset({MSGPACK, BODY, REDACTED})
"""Keys that only the log writes into a body."""

_LIMITS = {
    "max_str_len": frames.FRAME_BYTES_MAX,
    "max_bin_len": frames.FRAME_BYTES_MAX,
    "max_ext_len": frames.FRAME_BYTES_MAX,
    "max_array_len": frames.ITEMS_MAX,
    "max_map_len": frames.ITEMS_MAX,
}
_MAYBE_INLINE_BYTES = 4 * INLINE_BODY_BYTES_MAX
"""In msgpack; no longer body becomes short enough as JSON."""
_ABOVE_AT = ord("@")
_BACKSLASH = ord("\\")
_HEADER_KEYS = ("from", "to", "dusk", "wane")

Mint = Callable[[], str]
"""Makes a rid for a tone that came without one."""


class Note(NamedTuple):
    """What humd adds to a tone."""

    why: str
    """Why it decided as it did because of the tone."""
    is_fanned: bool
    """Whether everyone on the sid heard the tone though its chi alone does not say so."""


@dataclass(frozen=True, slots=True)
class Via:
    """How a run of tones came; the part of `@via` that they share."""

    batch: str
    client: str | None
    peer: str | None
    notes: dict[int, Note] = field(default_factory=dict)
    """By place in the run; most tones have none."""


Draft = tuple[bytes, bytes, bytes]
"""The parts of an event's line that are known before its place in the chain is: what stands
between the opening and the predecessor's hash, between that and the seq, and behind the seq."""


def draft(*, chi: str, rid: str, sid: str | None, body: bytes) -> Draft:
    """The draft of an event; `body` is canonical JSON.

    The parts are joined at once: orjson hands out a kilobyte for each short text, and keeping many
    of those is what costs.
    """
    return (
        b'%b,"chi":%b,"prev_hash":"' % (body, dumps(chi)),
        b'","rid":%b,"seq":' % dumps(rid),
        b',"sid":null' if sid is None else b',"sid":%b' % dumps(sid),
    )


class _Stamp:
    """Writes `@via` for one run of tones, one after the other; what they share is written once."""

    __slots__ = ("_before", "_notes", "_peer", "_place")

    def __init__(self, via: Via) -> None:
        self._before = b'{"batch":' + dumps(via.batch) + b',"client":' + dumps(via.client)
        self._peer = b',"peer":' + dumps(via.peer)
        self._notes = via.notes
        self._place = 0

    def restart(self) -> None:
        """Begin again with the first tone of the run."""
        self._place = 0

    def write(self, link: int) -> bytes:
        """The JSON of `@via` of the next tone."""
        place, self._place = self._place, self._place + 1
        number = b',"link":%d' % link if link else b""
        if place in self._notes:
            why, is_fanned = self._notes[place]
            fan = b',"fan":1' if is_fanned else b""
            return b'%b%b%b%b,"why":%b}' % (self._before, fan, number, self._peer, dumps(why))
        return b"%b%b%b}" % (self._before, number, self._peer)


def read_drafts(
    parcels: bytes, *, via: Via, mint: Mint, keep: Keep, first_seq: int
) -> tuple[list[Draft], list[Aside]]:
    """The drafts of a run of parcels, in order, and the bodies that go beside the log.

    The first draft is for event `first_seq`. Raises `MalformedTone` when the bytes are not a run of
    parcels; then no draft was made.
    """
    stamp = _Stamp(via)
    parcels = keep.secrets.mask(parcels)
    has_secrets = may_hold_secrets(parcels)
    if not has_secrets and not keep.is_everything_special:
        try:
            return _read_plain(parcels, stamp, mint, keep.special), []
        except (NotCanonical, msgpack.exceptions.UnpackException, TypeError, ValueError):
            stamp.restart()
    careful = _Careful(stamp, mint, keep, has_secrets)
    drafts = [
        careful.draft(header, body, seq)
        for seq, (header, body) in enumerate(frames.read_frame(parcels), first_seq)
    ]
    return drafts, careful.asides


def _read_plain(parcels: bytes, stamp: _Stamp, mint: Mint, special: frozenset[str]) -> list[Draft]:
    """The drafts of small bodies that JSON can express; for everything else raises anything."""
    unpacker = msgpack.Unpacker(
        strict_map_key=False, max_buffer_size=frames.FRAME_BYTES_MAX, **_LIMITS
    )
    unpacker.feed(parcels)
    unpack, text, end = unpacker.unpack, orjson.dumps, len(parcels)
    drafts: list[Draft] = []
    while unpacker.tell() < end:
        chi, rid, sid, sender, to, dusk, wane, link, _, _ = unpack()
        body = unpack()
        if type(chi) is not str or chi in special:
            raise ValueError("not plain")
        if sender is not None:
            body["from"] = sender
        if to is not None:
            body["to"] = to
        if dusk is not None:
            body["dusk"] = dusk
        if wane is not None:
            body["wane"] = wane
        stamped = _stamped(body, stamp.write(link))
        if len(stamped) > INLINE_BODY_BYTES_MAX:
            raise ValueError("too large for a line")
        drafts.append(
            (
                b'%b,"chi":%b,"prev_hash":"' % (stamped, text(chi)),
                b'","rid":%b,"seq":' % text(rid or mint()),
                b',"sid":null' if sid is None else b',"sid":%b' % text(sid),
            )
        )
    return drafts


class _Careful:
    """Drafts of checked headers and any bodies, one at a time."""

    def __init__(self, stamp: _Stamp, mint: Mint, keep: Keep, has_secrets: bool) -> None:
        self._stamp, self._mint, self._keep = stamp, mint, keep
        self._has_secrets = has_secrets
        self.asides: list[Aside] = []
        """The bodies so far that go beside the log."""

    def draft(self, header: frames.Header, raw: bytes, seq: int) -> Draft:
        """The draft of event `seq`."""
        slots = (header.sender, header.to, header.dusk, header.wane)
        present = {
            key: slot for key, slot in zip(_HEADER_KEYS, slots, strict=True) if slot is not None
        }
        text = self._body(header, raw, seq, present, self._stamp.write(header.seq))
        return draft(chi=header.chi, rid=header.rid or self._mint(), sid=header.sid, body=text)

    def _body(
        self, header: frames.Header, raw: bytes, seq: int, present: dict[str, Any], via: bytes
    ) -> bytes:
        """What stands in the line for the body `raw`."""
        body = _decoded(raw)
        if self._keep.is_redacted(header.chi):
            return _written({**redacted_stub(body or {}, len(raw)), **present}, via)
        if self._has_secrets and body is not None:
            clean = without_named(body)
            if clean != body:
                body, raw = clean, frames.pack_body(clean)
        if len(raw) <= _MAYBE_INLINE_BYTES and not self._keep.is_sensitive(header.chi):
            text = self._inline(body, raw, present, via)
            if len(text) <= INLINE_BODY_BYTES_MAX:
                return text
        aside = Aside(seq, header.sid, self._keep.mint_salt(), raw)
        self.asides.append(aside)
        return _written({**stub(body or {}, aside), **present}, via)

    def _inline(
        self, body: dict[str, Any] | None, raw: bytes, present: dict[str, Any], via: bytes
    ) -> bytes:
        try:
            if body is not None:
                return _stamped({**body, **present}, via)
        except NotCanonical:
            pass
        return _written({MSGPACK: base64.b64encode(raw).decode(), **present}, via)


def _decoded(raw: bytes) -> dict[str, Any] | None:
    """The body as a map with text keys; None when it is none."""
    try:
        return frames.read_body(raw)
    except MalformedTone:
        return None


def _stamped(body: dict[str, Any], via: bytes) -> bytes:
    """Canonical JSON of a foreign `body` with `@via` at its place among the keys.

    Raises `NotCanonical` when it has a reserved key.
    """
    body.pop(VIA, None)
    text = dumps(body)
    if len(text) == 2:
        return b'{"@via":' + via + b"}"
    first = text[2]  # of the first key; escapes begin with a backslash and may sort anywhere
    if first > _ABOVE_AT and first != _BACKSLASH:
        return b'{"@via":' + via + b"," + text[1:]
    if not RESERVED.isdisjoint(body):
        raise NotCanonical("a reserved key")
    return _written(body, via)


def _written(body: dict[str, Any], via: bytes) -> bytes:
    """Canonical JSON of `body` and `@via`."""
    return dumps({**body, VIA: orjson.Fragment(via)})


def restore_body(body: dict[str, Any], beside: bytes | None = None) -> dict[str, Any]:
    """The body that was routed, from the body of an event: without `@via` and the header slots.

    `beside` is what the log holds beside an event with `@body`; without it what stands in the line
    is all there is. Raises `MalformedTone` when the bytes kept under `@msgpack`, or beside, are not
    a map.
    """
    raw = beside if beside is not None else base64.b64decode(body.get(MSGPACK, ""))
    if beside is None and MSGPACK not in body:
        return {
            key: value for key, value in body.items() if key != VIA and not _is_slot(key, value)
        }
    try:
        value = msgpack.unpackb(raw, strict_map_key=False, **_LIMITS)
    except (msgpack.exceptions.UnpackException, TypeError, ValueError) as problem:
        raise MalformedTone(f"not a body: {type(problem).__name__}") from problem
    if type(value) is not dict:
        raise MalformedTone("not a body: no map")
    value.pop(VIA, None)
    return value


def _is_slot(key: str, value: object) -> bool:
    """Whether a key of a body is a header slot: it has the slot's type (docs/wire.md, 1)."""
    if key in ("from", "to"):
        return type(value) is str
    if key == "dusk":
        return type(value) is int
    return key == "wane" and type(value) is int and value >= 0
