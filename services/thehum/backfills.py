"""Requests for events, answered a page at a time, one request a turn."""

import logging
import time
from collections import deque
from dataclasses import dataclass

from thehum.core.cursors import CursorRefused
from thehum.core.pages import Page, PageLimits, seq_of
from thehum.core.sealed import BrokenSegment
from thehum.core.witnessing import dump_keys
from thehum.edge.attached import attach_bodies
from thehum.edge.cursors import Cursors
from thehum.edge.log import Log
from thehum.edge.witness import Say
from thehum.errors import DiskFull
from thrum.chi import Chi
from thrum.errors import Qualifier
from thrum.tones import Body, Tone

BACKFILLS_MAX = 1_024
"""Requests for pages that wait; then they are refused."""
WAIT_SECONDS = 20.0
"""How long a request with `wait` is kept at most when nothing happens; then its page is empty."""
PICKED_RUN = 64
"""Events read at once where single ones are asked for: they mostly stand close together."""
REPLAYER = "humd"
"""Whose name is on humd's own requests; only they get bulk pages."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Follower:
    """A request that waits for an event."""

    tone: Tone
    from_seq: int
    ends_at: float


class Backfills:
    """See the module. Call `take` for each request, and `answer` once a turn."""

    def __init__(self, opened: Log, cursors: Cursors, say: Say) -> None:
        self._log, self._cursors, self._say = opened, cursors, say
        self._waiting: deque[Tone] = deque()
        self._followers: dict[str, _Follower] = {}
        """Requests that wait for an event that is not there yet, by cursor."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def forget(self) -> None:
        """The connection is over: nobody waits for answers any more."""
        self._waiting.clear()
        self._followers.clear()

    def take(self, tone: Tone) -> bool:
        """Whether `tone` is a request for events; then it is answered later, or refused now."""
        if tone.chi != Chi.BACKFILL or "events" in tone.body:
            return False
        if len(self._waiting) < BACKFILLS_MAX:
            self._waiting.append(tone)
        else:
            self._decline(tone, Qualifier.QUEUE_OVERFLOW, "too many requests wait; try again")
        return True

    def answer(self) -> None:
        """Answer the oldest request with one page, and followers that have waited long enough."""
        self._look_after_followers()
        if not self._waiting:
            return
        tone = self._waiting.popleft()
        try:
            if "cursor" in tone.body:
                self._follow(tone)
                return
            body = self._page(tone)
        except CursorRefused as problem:
            self._decline(tone, problem.qualifier, problem.message)
            return
        except DiskFull as problem:
            self._decline(tone, Qualifier.LOG_UNAVAILABLE, problem.message)
            return
        except (TypeError, ValueError) as problem:
            self._decline(tone, Qualifier.TONE_MALFORMED, f"not a backfill: {problem}")
            return
        except BrokenSegment as problem:
            log.error("log.broken_segment", extra={"reason": problem.message})
            self._decline(tone, Qualifier.LOG_UNAVAILABLE, problem.message)
            return
        self._say_page(tone, body)

    def _follow(self, tone: Tone) -> None:
        """A request of a reader with a cursor: it is answered once there is something to read."""
        asked = tone.body
        name = asked["cursor"]
        if asked.get("end") is True:
            self._cursors.end(name)
            self._say_page(tone, {**self._page(tone), "events": [], "next_seq": None})
            return
        acked = self._cursors.ask(asked)
        before = self._followers.pop(str(name), None)
        if before is not None:  # its reader has begun anew, and waits for this answer
            self._say_page(before.tone, self._page(before.tone))
        from_seq = max(acked + 1, int(asked.get("from_seq") or 0))
        tone.body = {**asked, "from_seq": from_seq}
        wait_seconds = _wait_seconds(asked.get("wait"))
        if from_seq <= self._log.head.seq or not wait_seconds:
            self._say_page(tone, self._page(tone))
        else:
            ends_at = time.monotonic() + wait_seconds
            self._followers[str(name)] = _Follower(tone, from_seq, ends_at)

    def _look_after_followers(self) -> None:
        """Answer those for whom there is something, and those who waited long enough."""
        if not self._followers:
            return
        head, now = self._log.head.seq, time.monotonic()
        for name, one in list(self._followers.items()):
            if one.from_seq <= head or now >= one.ends_at:
                del self._followers[name]
                self._waiting.append(one.tone)
                one.tone.body = {**one.tone.body, "wait": False}

    def _say_page(self, tone: Tone, body: Body) -> None:
        self._say(Tone(chi=Chi.BACKFILL, rid=tone.rid, sid=tone.sid, to=tone.sender, body=body))

    def _page(self, tone: Tone) -> Body:
        asked = tone.body
        author, sid = asked.get("author") or self._log.author, tone.sid or asked.get("sid")
        from_seq = max(1, int(asked.get("from_seq") or 1))
        is_bulk = asked.get("bulk") is True and tone.sender == REPLAYER
        limits = PageLimits.bulk() if is_bulk else PageLimits()
        limits = limits.at_most(max(1, int(asked.get("limit") or limits.events_max)))
        ours = author == self._log.author
        if is_bulk and "seqs" in asked:
            page = self._picked([int(seq) for seq in asked["seqs"]], limits)
        else:
            page = self._log.page(from_seq, limits, sid=sid) if ours else Page(limits)
        head = self._log.head
        bodies: Body = {}
        if asked.get("bodies") is True:
            bodies = {"bodies": attach_bodies(page, self._log, is_text="/" in (tone.sender or ""))}
        has_more = ours and page.next_seq <= head.seq
        return {
            **bodies,
            "author": author,
            "from_seq": from_seq,
            "events": [line.decode() for line in page.lines],
            "next_seq": page.next_seq if has_more else None,
            "first_seq": self._log.first_seq,
            "head_seq": head.seq if ours else 0,
            "head_hash": head.hash if ours else None,
            **dump_keys(self._log.public, self._log.keys),
            "snapshot": None,
        }

    def _picked(self, seqs: list[int], limits: PageLimits) -> Page:
        """Single events, as many of the first ones as fit; those that are not here are left out."""
        picked, run = Page(limits), Page(limits)
        at = 0
        for seq in seqs:
            while at < len(run.lines) and (seq_of(run.lines[at]) or 0) < seq:
                at += 1
            if at >= len(run.lines) or seq_of(run.lines[at]) != seq:
                run, at = self._log.page(seq, limits.at_most(PICKED_RUN)), 0
            if (
                run.lines[at:]
                and seq_of(run.lines[at]) == seq
                and not picked.take(run.lines[at], seq)
            ):
                break
        return picked

    def _decline(self, tone: Tone, qualifier: Qualifier, message: str) -> None:
        body: Body = {
            "events": [],
            "next_seq": None,
            "message": message,
            "qualifier": str(qualifier),
        }
        self._say(Tone(chi=Chi.BACKFILL, rid=tone.rid, sid=tone.sid, to=tone.sender, body=body))


def _wait_seconds(asked: object) -> float:
    """How long a request may wait: milliseconds, or True for as long as can be."""
    if asked is True:
        return WAIT_SECONDS
    return min(max(asked / 1000, 0.0), WAIT_SECONDS) if type(asked) is int else 0.0
