"""Stored lines back into arrivals."""

import base64
from collections.abc import Mapping
from typing import Any

import orjson

from humd.core.arrivals import Arrival
from thrum import frames
from thrum.errors import MalformedTone
from thrum.frames import Header
from thrum.tones import Body

NOTHING: Mapping[str, bytes] = {}


def arrival_of(line: bytes | str, bodies: Mapping[str, bytes] = NOTHING) -> Arrival:
    """The arrival that a stored line records (docs/log.md). Raises `MalformedTone`.

    `bodies` are those that are beside the log, by digest. For one that was forgotten there are the
    fields that routing needs, and `@body` says to whoever gets the tone that the rest is gone.
    """
    try:
        event = orjson.loads(line)
        body: Body = event["body"]
        via: Body = body.pop("@via", {})
        raw = _raw(body, bodies)
        header = Header(
            event["chi"],
            event["rid"],
            event["sid"],
            _typed(body, "from", str),
            _typed(body, "to", str),
            _typed(body, "dusk", int),
            _typed(body, "wane", int),
            via.get("link", 0),
        )
        body.pop("@msgpack", None)
        return Arrival(
            event["seq"],
            event["ts_ms"],
            via.get("client"),
            header,
            raw if raw is not None else frames.pack_body(body),
            is_fanned=via.get("fan") == 1,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise MalformedTone(f"not a stored event: {problem!r}") from problem


def _typed(body: Body, key: str, kind: type) -> Any:
    """Take an envelope slot out of a body when it has the slot's type."""
    return body.pop(key) if type(body.get(key)) is kind else None


def _raw(body: Body, bodies: Mapping[str, bytes]) -> bytes | None:
    """The body's own bytes, when it is beside the log or could not be written as JSON."""
    place = body.get("@body")
    if isinstance(place, dict) and (beside := bodies.get(place["digest"])) is not None:
        return beside
    packed = body.get("@msgpack")
    return base64.b64decode(packed) if isinstance(packed, str) else None
