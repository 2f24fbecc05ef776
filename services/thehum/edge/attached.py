"""Bodies beside the log, put into a page for whoever replays or shows events."""

import base64
import logging

from thehum.core.keeping import place_of
from thehum.core.pages import BULK_BYTES_MAX, PAGE_BYTES_MAX, Page, seq_of
from thehum.edge.bodies import DamagedBody
from thehum.edge.log import Log

ATTACHED_BYTES_MAX = 16 * 1024 * 1024 - BULK_BYTES_MAX
"""Of bodies in a page for humd; a single larger one goes alone with its event."""

log = logging.getLogger(__name__)


def attach_bodies(page: Page, opened: Log, *, is_text: bool) -> dict[str, bytes | str]:
    """The bodies that events of `page` have beside the log, by digest; the page may get shorter.

    One that was forgotten, or is damaged, is not among them. `is_text`: in base64, for who reads
    JSON.
    """
    bytes_max = ATTACHED_BYTES_MAX if page.limits.bytes_max > PAGE_BYTES_MAX else PAGE_BYTES_MAX
    found: dict[str, bytes | str] = {}
    total = 0
    for at, line in enumerate(page.lines):
        place = place_of(line)
        if place is None:
            continue
        if at and total + place.size > bytes_max:
            page.cut(at)
            break
        total += place.size
        try:
            raw = opened.bodies.read(seq_of(line) or 0, place)
        except DamagedBody as problem:
            log.error("log.damaged_body", extra={"reason": problem.message})
            continue
        if raw is not None:
            found[place.digest] = base64.b64encode(raw).decode() if is_text else raw
    return found
