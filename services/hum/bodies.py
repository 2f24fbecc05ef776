"""What was said in an event, whether its body is in its line or beside the log."""

from typing import Any

import orjson

from hum.log_files import Files
from thehum.core.bodies import restore_body
from thehum.core.events import Event, read_event
from thehum.core.keeping import place_of
from thrum.errors import LocalError


class BodyGone(LocalError):
    """The body was forgotten; its event stays."""


def event_at(log: Files, seq: int) -> tuple[Event, Any]:
    """Event `seq` and its body as it was said.

    Raises `BodyGone` when it was forgotten, `LocalError` when the log does not have the event.
    """
    at, line = next(log.lines_from(seq), (0, b""))
    if at != seq:
        raise LocalError(f"event {seq} is not in {log.root}", hint="hum thehum status")
    place, beside = place_of(line), None
    if place is not None and (beside := log.beside(seq, place)) is None:
        raise BodyGone(f"the body of event {seq}, {place.size:,} bytes, was forgotten")
    event = read_event(line)
    return event, restore_body(orjson.loads(event.body), beside)
