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
types, NaN, keys that are not strings, deep nesting), or that has a key `@msgpack` itself, is kept
as `{"@msgpack": "<base64>"}` beside the header slots and `@via`, so that `restore_body` gives back
what was routed and nobody can forge one by writing that key.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgpack
import orjson

from thrum import frames
from thrum.canonical import NotCanonical, dumps
from thrum.errors import MalformedTone

VIA = "@via"
MSGPACK = "@msgpack"

_LIMITS = {
    "max_str_len": frames.FRAME_BYTES_MAX,
    "max_bin_len": frames.FRAME_BYTES_MAX,
    "max_ext_len": frames.FRAME_BYTES_MAX,
    "max_array_len": frames.ITEMS_MAX,
    "max_map_len": frames.ITEMS_MAX,
}
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


def read_drafts(parcels: bytes, *, via: Via, mint: Mint) -> list[Draft]:
    """The drafts of a run of parcels, in order.

    Raises `MalformedTone` when the bytes are not a run of parcels; then no draft was made.
    """
    stamp = _Stamp(via)
    try:
        return _read_plain(parcels, stamp, mint)
    except (NotCanonical, msgpack.exceptions.UnpackException, TypeError, ValueError):
        stamp.restart()
        return [_careful(header, body, stamp, mint) for header, body in frames.read_frame(parcels)]


def _read_plain(parcels: bytes, stamp: _Stamp, mint: Mint) -> list[Draft]:
    """As `read_drafts` for parcels whose bodies JSON can express; otherwise raises anything."""
    unpacker = msgpack.Unpacker(
        strict_map_key=False, max_buffer_size=frames.FRAME_BYTES_MAX, **_LIMITS
    )
    unpacker.feed(parcels)
    unpack, text, end = unpacker.unpack, orjson.dumps, len(parcels)
    drafts: list[Draft] = []
    while unpacker.tell() < end:
        chi, rid, sid, sender, to, dusk, wane, link, _, _ = unpack()
        body = unpack()
        if MSGPACK in body or type(chi) is not str:
            raise ValueError("not plain")
        if sender is not None:
            body["from"] = sender
        if to is not None:
            body["to"] = to
        if dusk is not None:
            body["dusk"] = dusk
        if wane is not None:
            body["wane"] = wane
        drafts.append(
            (
                b'%b,"chi":%b,"prev_hash":"' % (_stamped(body, stamp.write(link)), text(chi)),
                b'","rid":%b,"seq":' % text(rid or mint()),
                b',"sid":null' if sid is None else b',"sid":%b' % text(sid),
            )
        )
    return drafts


def _careful(header: frames.Header, raw: bytes, stamp: _Stamp, mint: Mint) -> Draft:
    """One draft of a checked header and any body."""
    slots = (header.sender, header.to, header.dusk, header.wane)
    present = {key: slot for key, slot in zip(_HEADER_KEYS, slots, strict=True) if slot is not None}
    via = stamp.write(header.seq)
    try:
        body = frames.read_body(raw)
        if MSGPACK in body:
            raise NotCanonical("a reserved key")
        text = _stamped({**body, **present}, via)
    except (MalformedTone, NotCanonical):
        text = _stamped({MSGPACK: base64.b64encode(raw).decode(), **present}, via)
    return draft(chi=header.chi, rid=header.rid or mint(), sid=header.sid, body=text)


def _stamped(body: dict[str, Any], via: bytes) -> bytes:
    """Canonical JSON of `body` with `@via` at its place among the keys."""
    body.pop(VIA, None)
    text = dumps(body)
    if len(text) == 2:
        return b'{"@via":' + via + b"}"
    first = text[2]  # of the first key; escapes begin with a backslash and may sort anywhere
    if first > _ABOVE_AT and first != _BACKSLASH:
        return b'{"@via":' + via + b"," + text[1:]
    return dumps({**body, VIA: orjson.Fragment(via)})


def restore_body(body: dict[str, Any]) -> dict[str, Any]:
    """The body that was routed, from the body of an event: without `@via` and the header slots.

    Raises `MalformedTone` when the bytes kept under `@msgpack` are not a map.
    """
    if MSGPACK not in body:
        return {
            key: value for key, value in body.items() if key != VIA and not _is_slot(key, value)
        }
    raw = base64.b64decode(body[MSGPACK])
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
