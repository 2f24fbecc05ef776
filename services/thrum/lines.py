"""NDJSON: a tone at the door, as one flat JSON object per line (docs/wire.md, section 2)."""

import json
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import orjson

from thrum.errors import MalformedTone
from thrum.frames import ITEMS_MAX
from thrum.tones import Tone

DEPTH_MAX = 128
"""Nesting of arrays and objects in one line."""
MARKS_MAX = ITEMS_MAX
"""Commas and brackets in one line, strings aside: bounds the memory that a line unfolds to, and
every array and object in it to what the bus takes."""

_OPENING = ord("{")
_MARKS = b",[]{}"
_NO_MARKS = bytes(set(range(256)) - set(_MARKS))
_STEP = {ord(","): 0, ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_PIECE_BYTES = 1024 * 1024
_MARKS_AT_ONCE = 2 * DEPTH_MAX
"""So few that a line which only opens is refused at once."""
_ENVELOPE = (("chi", "chi"), ("rid", "rid"), ("sid", "sid"), ("from", "sender"), ("to", "to"),
             ("dusk", "dusk"), ("wane", "wane"))  # fmt: skip


def read_line(line: bytes) -> Tone | None:
    """The tone of one line; None for a blank one.

    Envelope keys whose value has another type stay in the body. Raises `MalformedTone` for
    anything that is not a JSON object with a `chi`: not JSON by the strict grammar, nested deeper
    than `DEPTH_MAX`, of more than `MARKS_MAX` parts, no chi.
    """
    line = line.strip(b" \t\r\n")
    if not line:
        return None
    if line[0] != _OPENING:
        raise MalformedTone("not a JSON object")
    if len(line) > MARKS_MAX or line.count(b"[") + line.count(b"{") > DEPTH_MAX:
        _require_modest(line)
    try:
        return tone_of(orjson.loads(line))
    except orjson.JSONDecodeError as problem:
        raise MalformedTone(f"not JSON: {problem}") from problem


def tone_of(flat: dict[str, Any]) -> Tone:
    """The tone of a flat object, which is taken over. Raises `MalformedTone` when it has no chi."""
    chi = flat.pop("chi", None)
    if type(chi) is not str or not chi:
        raise MalformedTone("no chi")
    tone = Tone(chi=chi, body=flat)
    for key, slot in _ENVELOPE[1:5]:
        if type(flat.get(key)) is str:
            setattr(tone, slot, flat.pop(key))
    if type(flat.get("dusk")) is int:
        tone.dusk = flat.pop("dusk")
    if type(wane := flat.get("wane")) is int and wane >= 0:
        tone.wane = flat.pop("wane")
    return tone


def flat_of(tone: Tone) -> dict[str, Any]:
    """The flat object of a tone; envelope slots win over body keys of the same name."""
    flat: dict[str, Any] = {"chi": tone.chi}
    for key, slot in _ENVELOPE[1:]:
        if (value := getattr(tone, slot)) is not None:
            flat[key] = value
    return {**tone.body, **flat} if tone.body.keys() & flat.keys() else {**flat, **tone.body}


def write_line(tone: Tone) -> bytes:
    """One line of pure ASCII, newline included.

    ASCII because some clients decode each socket read by itself and would cut a character in two.
    A number that JSON does not have (NaN, an infinity) becomes null.

    Raises:
    `MalformedTone` when the body holds what JSON cannot express.
    """
    flat = flat_of(tone)
    try:
        line = orjson.dumps(flat)
        if not line.isascii():
            line = _ascii(flat, line)
    except (TypeError, ValueError) as problem:
        raise MalformedTone(f"a body that JSON cannot express: {problem}") from problem
    return line + b"\n"


def _ascii(flat: dict[str, Any], line: bytes) -> bytes:
    """`line`, which says `flat`, in ASCII. Only where a number is none it is read for that."""
    try:
        text = json.dumps(flat, separators=(",", ":"), allow_nan=False)
    except ValueError:
        text = json.dumps(orjson.loads(line), separators=(",", ":"))
    return text.encode("ascii")


def _require_modest(line: bytes) -> None:
    """Raise `MalformedTone` for a line that would cost far more than its length to decode."""
    depth = marks_seen = 0
    for marks in _marks(line):
        marks_seen += len(marks)
        if marks_seen > MARKS_MAX:
            raise MalformedTone(f"more than {MARKS_MAX} commas and brackets")
        for start in range(0, len(marks), _MARKS_AT_ONCE):
            steps = map(_STEP.__getitem__, marks[start : start + _MARKS_AT_ONCE])
            depths = list(accumulate(steps, initial=depth))
            if max(depths) > DEPTH_MAX:
                raise MalformedTone(f"nested deeper than {DEPTH_MAX}")
            depth = depths[-1]


def _marks(line: bytes) -> Iterator[bytes]:
    """Commas and brackets outside strings, piece by piece so that no piece needs much memory."""
    line = line.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside = 0
    for start in range(0, len(line), _PIECE_BYTES):
        parts = line[start : start + _PIECE_BYTES].split(b'"')
        yield b"".join(parts[outside::2]).translate(None, _NO_MARKS)
        outside = (outside + len(parts) - 1) % 2
