"""Stored lines back into arrivals."""

import base64
from typing import Any

import orjson

from humd.core.arrivals import Arrival
from thrum import frames
from thrum.errors import MalformedTone
from thrum.frames import Header
from thrum.tones import Body


def arrival_of(line: bytes | str) -> Arrival:
    """The arrival that a stored line records (docs/log.md). Raises `MalformedTone`."""
    try:
        event = orjson.loads(line)
        body: Body = event["body"]
        via: Body = body.pop("@via", {})
        raw = _raw(body)
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


def _raw(body: Body) -> bytes | None:
    """The body's own bytes, when it could not be written as JSON."""
    packed = body.get("@msgpack")
    return base64.b64decode(packed) if isinstance(packed, str) else None
