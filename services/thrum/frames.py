"""Parcels: a tone on the bus, as a msgpack header and a msgpack body (docs/wire.md, section 1).

A frame is a run of parcels. Reading one decodes the headers and skips over the bodies, whose bytes
are handed on as they came; whoever needs a body decodes it then. The one rule for hostile bytes: a
list of parcels, or `MalformedTone`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgpack

from thrum.errors import MalformedTone
from thrum.tones import Body, Tone

FRAME_BYTES_MAX = 24 * 1024 * 1024
"""One ZeroMQ message. Larger ones are dropped with their connection by ZeroMQ itself."""
BODY_BYTES_MAX = 20 * 1024 * 1024
"""One body on the bus: a frame has room for it, its header and what humd adds."""
HEADER_BYTES_MAX = 128 * 1024
"""One header on the bus."""
PARCELS_MAX = 65_536
"""Parcels in one frame."""
SPARE_FRAME_BYTES = 64 * 1024
"""An unpacker that read a longer frame is not used again, because it keeps its buffer."""
ITEMS_MAX = 1_048_576
"""Entries of one array or map inside a body."""

_LIMITS = {
    "max_str_len": FRAME_BYTES_MAX,
    "max_bin_len": FRAME_BYTES_MAX,
    "max_ext_len": FRAME_BYTES_MAX,
    "max_array_len": ITEMS_MAX,
    "max_map_len": ITEMS_MAX,
}
_packer = msgpack.Packer(use_bin_type=True)
_spare_unpackers: list[msgpack.Unpacker] = []
"""Unpackers that have read their last frame to its end; making one costs as much as using it."""
_TEXT = frozenset({str})
_new = tuple.__new__
"""Makes a named tuple in half the time that its class takes: there is one for each tone."""
_MAP16, _MAP32 = 0xDE, 0xDF


class Header(NamedTuple):
    """What the router reads of a parcel. Slots as in docs/wire.md, section 1."""

    chi: str
    rid: str | None = None
    sid: str | None = None
    sender: str | None = None
    to: str | None = None
    dusk: int | None = None
    wane: int | None = None
    seq: int = 0
    client: str | None = None
    fan: int = 0


Parcel = tuple[Header, bytes]
"""A header and the body's bytes."""


def pack(header: Header, body: Mapping[str, Any]) -> bytes:
    """One parcel. Raises `MalformedTone` when a value cannot travel."""
    return pack_header(header) + pack_body(body)


def pack_header(header: Header) -> bytes:
    """The header's bytes alone, to stand before a body's bytes."""
    packed: bytes = _packer.pack(header)
    return packed


def pack_body(body: Mapping[str, Any]) -> bytes:
    """The body's bytes. Raises `MalformedTone` when a value cannot travel."""
    try:
        packed: bytes = _packer.pack(body)
    except (TypeError, ValueError, OverflowError, UnicodeEncodeError) as problem:
        _packer.reset()
        raise MalformedTone(f"a body that cannot travel: {problem}") from problem
    return packed


def header_of(tone: Tone) -> Header:
    """The header slots of `tone`."""
    return Header(
        tone.chi, tone.rid, tone.sid, tone.sender, tone.to,
        tone.dusk, tone.wane, tone.seq, tone.client, tone.fan,
    )  # fmt: skip


def header_offered(tone: Tone, number: int) -> Header:
    """The header slots of `tone` as a bee offers it under a link number."""
    return _new(
        Header,
        (
            tone.chi, tone.rid, tone.sid, tone.sender, tone.to,
            tone.dusk, tone.wane, number, tone.client, 0,
        ),
    )  # fmt: skip


class Span(NamedTuple):
    """Where a parcel lies in its frame: `frame[start:end]`, its body from `body`."""

    header: Header
    start: int
    body: int
    end: int


def read_spans(frame: bytes) -> list[Span]:
    """Split a frame into parcels without copying their bodies.

    Raises `MalformedTone` when anything in it is not a parcel: a frame is taken whole or not at
    all.
    """
    unpacker = _spare_unpackers.pop() if _spare_unpackers else _new_unpacker()
    spans: list[Span] = []
    try:
        base = unpacker.tell()
        unpacker.feed(frame)
        at, end = 0, len(frame)
        while at < end:
            start = at
            header = _checked(unpacker.unpack())
            body = unpacker.tell() - base
            unpacker.skip()
            at = unpacker.tell() - base
            first = frame[body]
            if (first & 0xF0) != 0x80 and first != _MAP16 and first != _MAP32:
                raise MalformedTone("a parcel's body is not a map")
            spans.append(_new(Span, (header, start, body, at)))
    except MalformedTone:
        raise
    except (msgpack.exceptions.UnpackException, ValueError, TypeError) as problem:
        raise MalformedTone(f"not a run of parcels: {type(problem).__name__}") from problem
    if len(spans) > PARCELS_MAX:
        raise MalformedTone(f"more than {PARCELS_MAX} parcels in one frame")
    if end <= SPARE_FRAME_BYTES:
        _spare_unpackers.append(unpacker)
    return spans


def _new_unpacker() -> msgpack.Unpacker:
    return msgpack.Unpacker(
        use_list=False, strict_map_key=True, max_buffer_size=FRAME_BYTES_MAX, **_LIMITS
    )


def read_frame(frame: bytes) -> list[Parcel]:
    """As `read_spans`, with each body cut out."""
    return [(span.header, frame[span.body : span.end]) for span in read_spans(frame)]


def _checked(raw: object) -> Header:
    """The header when every slot has its type; raises `MalformedTone`."""
    if type(raw) is not tuple or len(raw) != 10:
        raise MalformedTone("a parcel's header is not an array of ten")
    chi, rid, sid, sender, to, dusk, wane, seq, client, fan = raw
    if (
        type(chi) is str
        and chi
        and (rid is None or type(rid) is str)
        and (sid is None or type(sid) is str)
        and (sender is None or type(sender) is str)
        and (to is None or type(to) is str)
        and (dusk is None or type(dusk) is int)
        and (wane is None or (type(wane) is int and wane >= 0))
        and type(seq) is int
        and seq >= 0
        and (client is None or type(client) is str)
        and type(fan) is int
    ):
        return _new(Header, raw)
    raise MalformedTone("a slot of a parcel's header has the wrong type")


def read_body(body: bytes) -> Body:
    """Decode a body. Raises `MalformedTone` when it is not a map with text keys."""
    try:
        value = msgpack.unpackb(body, strict_map_key=True, **_LIMITS)
    except (msgpack.exceptions.UnpackException, ValueError, TypeError) as problem:
        raise MalformedTone(f"not a body: {type(problem).__name__}") from problem
    if type(value) is not dict or not _TEXT.issuperset(map(type, value)):
        raise MalformedTone("a body is not a map with text keys")
    return value


def read_tone(parcel: Parcel) -> Tone:
    """The tone of a parcel, body decoded, with what travels beside it."""
    header, body = parcel
    return Tone(
        chi=header.chi, rid=header.rid, sid=header.sid, sender=header.sender, to=header.to,
        dusk=header.dusk, wane=header.wane, body=read_body(body), seq=header.seq,
        client=header.client, fan=header.fan,
    )  # fmt: skip


def extend_body(body: bytes, entries: bytes, count: int) -> bytes:
    """Append `count` packed key-value pairs to a packed map.

    The bytes before them stay as they were. The caller makes sure that no key is there already.
    """
    size, offset = _map_head(body)
    head: bytes = _packer.pack_map_header(size + count)
    return head + body[offset:] + entries


def _map_head(body: bytes) -> tuple[int, int]:
    """How many entries a packed map has, and where the first one starts."""
    first = body[0]
    if first == _MAP16:
        return int.from_bytes(body[1:3], "big"), 3
    if first == _MAP32:
        return int.from_bytes(body[1:5], "big"), 5
    return first & 0x0F, 1
