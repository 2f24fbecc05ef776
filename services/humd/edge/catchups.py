"""Late listeners: what was said on a sid is read to them from the log, and then they are live.

While one catches up, what is said meanwhile is not sent to it: that is in the log too, and the
reading goes on until it has passed the last such tone. So nothing is kept here but positions. A
tone from the log carries seq 0 and its number within the sid; a bee that was cut off in between
may get some twice, and drops by that number what it has.

Pages are asked for only while the listener takes what it is sent. What was begun is in the log,
and so is its end once the listener has confirmed everything: a new humd goes on with the rest.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from humd.core.arrivals import Arrival, CatchUp, ClientId, Deliver
from humd.core.authority import TELEMETRY
from humd.core.replay import arrival_of
from thrum import frames
from thrum.chi import OUTPUT, Chi
from thrum.errors import Qualifier
from thrum.frames import Header
from thrum.tones import Body

CATCHUPS_MAX = 1_024
"""Listeners that catch up at once; one more is told so and hears only what comes."""
REQUESTS_MAX = 16
"""Pages asked for at once."""
PAGE_EVENTS = 512
REPLAYER = "humd"
"""Whose name is on humd's own `backfill` requests."""
RID = "catchup-"

Key = tuple[ClientId, str]


@dataclass(slots=True)
class _Job:
    """One listener on one sid."""

    client: ClientId
    sid: str
    begun: int
    """Seq of the event that asked for it."""
    next_seq: int
    """Where reading goes on."""
    upto: int
    """Seq of the last tone that was left out because it will be read."""
    after: int
    """It has heard up to this number."""
    wane: int = 0
    """The number of the last event that was read."""
    asked: str | None = None
    """The request that waits for its page."""
    is_read: bool = False
    """Whether everything was handed over; it waits to be confirmed."""
    calls: set[str] = field(default_factory=set)
    """Calls that were not answered yet, as far as was read."""
    effect: CatchUp | None = None
    """What it began with: a new humd reads everything again."""


class CatchUps:
    """See the module."""

    def __init__(self, permission_dusk_ms: int) -> None:
        self.jobs: dict[Key, _Job] = {}
        """Who is still being read to, on which sid."""
        self._by_rid: dict[str, Key] = {}
        self._count = 0
        self._permission_dusk_ms = permission_dusk_ms

    def __len__(self) -> int:
        return len(self.jobs)

    def begin(self, effect: CatchUp) -> bool:
        """A listener wants what it missed. False when too many do."""
        key = (effect.client, effect.sid)
        if len(self.jobs) >= CATCHUPS_MAX and key not in self.jobs:
            return False
        self.jobs[key] = _Job(
            *key,
            begun=effect.seq,
            next_seq=effect.from_seq,
            upto=max(effect.seq, effect.upto),
            after=effect.after,
            wane=effect.from_wane - 1,
            effect=effect,
        )
        return True

    def start_over(self) -> None:
        """Nobody catches up: what was read so far was not believed."""
        self.jobs.clear()
        self._by_rid.clear()

    def under_way(self) -> list[CatchUp]:
        """Every catch-up, as it would have to begin again."""
        return [
            job.effect._replace(client=job.client, upto=job.upto)
            for job in self.jobs.values()
            if job.effect is not None
        ]

    def end(self, client: ClientId, sid: str, begun: int | None) -> None:
        """The one that event `begun` asked for is over, or whichever there is void."""
        job = self.jobs.get((client, sid))
        if job is not None and begun in (None, job.begun):
            del self.jobs[client, sid]

    def forget(self, client: ClientId) -> None:
        """The listener is gone."""
        for key in [key for key in self.jobs if key[0] == client]:
            del self.jobs[key]

    def inherit(self, old: ClientId, new: ClientId) -> None:
        """The listener has another name now; whatever page is on its way is asked for again."""
        for key in [key for key in self.jobs if key[0] == old]:
            job = self.jobs.pop(key)
            job.client, job.asked = new, None
            self.jobs[new, job.sid] = job

    def leaves_out(self, delivery: Deliver) -> bool:
        """Whether a tone is not to be sent now, because its listener will be read it."""
        if not delivery.header.fan:
            return False
        job = self.jobs.get((delivery.client, delivery.header.sid or ""))
        if job is None or job.is_read or not delivery.header.seq:
            return False
        job.upto = max(job.upto, delivery.header.seq)
        return True

    def requests(self, takes: Callable[[ClientId], bool]) -> Iterator[bytes]:
        """The pages to ask for now, as frames for the log."""
        for key, job in list(self.jobs.items()):
            if len(self._by_rid) >= REQUESTS_MAX:
                return
            if job.asked is not None or job.is_read or not takes(job.client):
                continue
            self._count += 1
            rid = f"{RID}{self._count}"
            job.asked = rid
            self._by_rid[rid] = key
            body = {"from_seq": job.next_seq, "limit": PAGE_EVENTS, "bulk": True, "bodies": True}
            yield frames.pack(Header(Chi.BACKFILL, rid, job.sid, REPLAYER), body)

    def log_lost(self) -> None:
        """Nobody will answer what was asked."""
        self._by_rid.clear()
        for job in self.jobs.values():
            job.asked = None

    def page(self, rid: str, body: Body) -> list[Deliver]:
        """What a page of the log holds for the listener who waits for it."""
        key = self._by_rid.pop(rid, None)
        job = self.jobs.get(key) if key is not None else None
        if job is None or job.asked != rid:
            return []
        job.asked = None
        if "qualifier" in body:
            return self._declined(job, body)
        bodies = body.get("bodies", {})
        arrivals = [arrival_of(line, bodies) for line in body.get("events", [])]
        heard = [
            Deliver(job.client, header, arrival.raw)
            for arrival in arrivals
            if (header := self._heard(job, arrival)) is not None
        ]
        next_seq = body.get("next_seq") or int(body.get("head_seq") or 0) + 1
        job.next_seq = max(job.next_seq, int(next_seq))
        job.is_read = job.next_seq > job.upto
        return heard

    def confirmed(
        self, is_confirmed: Callable[[ClientId], bool]
    ) -> list[tuple[ClientId, str, int]]:
        """Listeners that have everything, as they said themselves, and what asked for it."""
        return [
            (job.client, job.sid, job.begun)
            for job in self.jobs.values()
            if job.is_read and is_confirmed(job.client)
        ]

    def _declined(self, job: _Job, body: Body) -> list[Deliver]:
        if body["qualifier"] == Qualifier.QUEUE_OVERFLOW:
            return []
        job.is_read = True
        return [no_catch_up(job.client, job.sid, str(body["qualifier"]))]

    def _heard(self, job: _Job, arrival: Arrival) -> Header | None:
        """The header under which an event is heard; None when nobody heard it on the sid.

        Everything on the sid counts; heard is output of its worker, our own words, and a call of
        an asker's tool. Telemetry is passed over: it says nothing once it is old.
        """
        job.wane += 1
        chi, client, header = arrival.header.chi, arrival.client, arrival.header
        call_id = arrival.text("callId") if chi in _WITH_CALLS else None
        if chi in (Chi.TOOL_CALL, Chi.TENDRIL_REACH) and call_id is not None:
            job.calls.add(call_id)
        is_answer = call_id is not None and call_id in job.calls and chi in _ANSWERS
        if is_answer and call_id is not None:
            job.calls.discard(call_id)
        if client is None:
            is_heard = chi in _OWN_HEARD and call_id is None
        elif chi in OUTPUT:
            is_heard = chi not in TELEMETRY and not is_answer
        else:
            is_heard = arrival.is_fanned
        if not is_heard or job.wane <= job.after:
            return None
        dusk = header.dusk
        if chi == Chi.PERMISSION_ASK and dusk is None:
            dusk = arrival.at_ms + self._permission_dusk_ms
        return header._replace(dusk=dusk, wane=job.wane, seq=0, fan=1)


def no_catch_up(client: ClientId, sid: str, qualifier: str) -> Deliver:
    """What a listener is told that will not hear what it missed. An `error` would end a turn."""
    body = {"level": "warn", "event": "catch-up.failed", "data": {"qualifier": qualifier}}
    return Deliver(client, Header(Chi.LOG, None, sid, "daemon"), frames.pack_body(body))


_ANSWERS: frozenset[str] = frozenset({Chi.TOOL_RESULT, Chi.TENDRIL_RESULT, Chi.ERROR})
_OWN_HEARD: frozenset[str] = frozenset({Chi.FINISH, Chi.ERROR, Chi.DRONE_RETROFIT})
_WITH_CALLS: frozenset[str] = _ANSWERS | {Chi.TOOL_CALL, Chi.TENDRIL_REACH}
