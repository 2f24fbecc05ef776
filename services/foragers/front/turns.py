"""Turns: each with its sid and its stream, from its prompt to its end.

    running --the model waits for a tool of the client--> waiting --its results--> running
    running --finish, error--> over
    running, waiting --nobody wants it any more--> ending --finish, error, too long--> over

A *waiting* turn belongs to no request: it is found by the ids of its calls, as the client was told
them, and ended when nobody came for `WAITING_SECONDS`. An *ending* one was cancelled, and holds its
sid until its worker is done with it, so that the next turn there does not hear its last words.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

from foragers.core.calls import Call, ToolResult
from foragers.core.errors import ApiError
from foragers.front.bus import Bus
from foragers.front.sessions import Sessions, Trails
from foragers.front.spool import Held
from nest.bee import StreamBroken, Tones
from nest.listeners import Gone
from nest.metrics import Registry
from thrum.chi import TERMINAL, Chi
from thrum.tones import Body, Tone

TURNS_MAX = 1_024
"""Turns open at once, waiting ones included."""
WAITING_MAX = 256
"""Turns that wait for a tool of their client; one more ends the one that waits longest."""
WAITING_SECONDS = 300
"""How long a client may take to bring the results of its tools."""
ENDING_SECONDS = 10.0
"""How long the worker of a cancelled turn may take to end it. Its sid is not used again then."""
LANE_MAX = 8
"""Requests that wait for the turn of their conversation to end."""


@dataclass(slots=True, eq=False)
class Turn:
    """One turn of a model."""

    sid: str
    tones: Tones
    client: str = ""
    """Whose it is: the id of a key, or nobody's."""
    is_prompted: bool = False
    """Whether a worker may have it, so that its end must be told."""
    waits_for: dict[str, Call] = field(default_factory=dict)
    """The calls without a result, by the id that the client was told. Empty unless it waits."""
    waits_until: float = 0.0
    holder: object | None = None
    """Who reads the stream and ends the turn; None while it waits or ends, and after its end."""
    claim: AbstractContextManager[Tones] | None = None
    """The hold on the stream; None after the end."""
    spent: Body = field(default_factory=dict)
    """What it had cost when it last waited for a client, which was told that."""
    trails: Trails = ()
    """What leads to the conversation once the turn is over."""
    held: list[Held] = field(default_factory=list)
    """Images that its worker may read until its end."""
    is_ending: bool = False
    over: anyio.Event = field(default_factory=anyio.Event)


class Turns:
    """All turns of this process."""

    def __init__(
        self,
        bus: Bus,
        tasks: TaskGroup,
        sessions: Sessions,
        metrics: Registry,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bus = bus
        self._tasks = tasks
        self._sessions = sessions
        self._now = now
        self._open: dict[str, Turn] = {}
        self._lanes: Counter[str] = Counter()
        self._waiting: dict[str, Turn] = {}
        self._queue: dict[Turn, None] = {}
        self._gauge = metrics.gauge("hum_front_turns", "Turns that are open.")
        self._waiting_gauge = metrics.gauge(
            "hum_front_turns_waiting", "Turns that wait for a tool of the client."
        )

    def is_open(self, sid: str) -> bool:
        """Whether a turn has `sid`."""
        return sid in self._open

    async def free(self, sid: str, gone: Gone) -> None:
        """Return when no turn has `sid`, or the client is gone; one that waits is ended for it.

        Raises `ApiError` when too many requests wait for that already.
        """
        if (turn := self._open.get(sid)) is None:
            return
        if self._lanes[sid] >= LANE_MAX:
            message = f"{LANE_MAX} requests wait for this conversation already; let one end"
            raise ApiError(429, message, code="conversation_busy")
        self._lanes[sid] += 1
        try:
            while turn is not None and not gone.is_gone:
                if turn in self._queue:
                    self.abort(turn, "client-abort")
                event = turn.over
                left = anyio.Event()
                gone.tell(left.set)
                await _first_of(event, left)
                turn = self._open.get(sid)
        finally:
            gone.tell(None)
            self._lanes[sid] -= 1
            if not self._lanes[sid]:
                del self._lanes[sid]

    def open(self, sid: str, holder: object, client: str, trails: Trails = ()) -> Turn:
        """A new turn, its stream claimed before anything is asked. Raises `ApiError` when full.

        `sid` is free. Until somebody says otherwise, the conversation is found by `trails` after
        the turn, as it was before.
        """
        if len(self._open) >= TURNS_MAX:
            self._sessions.keep(sid, trails)
            raise ApiError(503, f"{TURNS_MAX} turns are running; try again soon", code="overloaded")
        claim = self._bus.stream(sid)
        turn = Turn(sid, claim.__enter__(), client, holder=holder, claim=claim, trails=trails)
        self._open[sid] = turn
        self._gauge.set(len(self._open))
        return turn

    def close(self, turn: Turn) -> None:
        """The turn is over. Closing it again changes nothing."""
        self._forget_calls(turn)
        turn.holder = None
        if turn.claim is None:
            return
        turn.claim.__exit__(None, None, None)
        turn.claim = None
        for held in turn.held:
            held.release()
        del self._open[turn.sid]
        self._gauge.set(len(self._open))
        self._sessions.keep(turn.sid, turn.trails)
        turn.over.set()

    def abort(self, turn: Turn, reason: str) -> None:
        """Nobody wants the rest of the turn: cancel it at its worker, now; it ends by itself."""
        self._forget_calls(turn)
        turn.holder = None
        if turn.claim is None or turn.is_ending:
            return
        if not turn.is_prompted:
            self.close(turn)
            return
        turn.is_ending = True
        tone = Tone(chi=Chi.CANCEL, sid=turn.sid, body={"reason": reason})
        if self._bus.has_room:
            self._bus.post(tone)
        else:
            self._tasks.start_soon(self._bus.send, tone, name="front.cancel")
        self._tasks.start_soon(self._end, turn, name="front.end")

    async def _end(self, turn: Turn) -> None:
        """Hear a cancelled turn to its end."""
        is_over = False
        try:
            with anyio.move_on_after(ENDING_SECONDS):
                while not is_over:
                    is_over = await self._is_ended(turn)
        finally:
            if not is_over:
                turn.trails = ()
                self._sessions.retire(turn.sid)
            self.close(turn)

    async def _is_ended(self, turn: Turn) -> bool:
        """Whether what arrived ends the turn. A stream that broke is claimed anew."""
        try:
            return any(tone.chi in TERMINAL for tone in await turn.tones.take())
        except StreamBroken:
            assert turn.claim is not None
            turn.claim.__exit__(None, None, None)
            turn.claim = self._bus.stream(turn.sid)
            turn.tones = turn.claim.__enter__()
            return False

    def wait(self, turn: Turn, calls: Sequence[Call]) -> None:
        """The turn waits until its client brings the results of `calls`."""
        turn.holder = None
        turn.waits_for = {call.shown_id: call for call in calls}
        turn.waits_until = self._now() + WAITING_SECONDS
        self._waiting.update(dict.fromkeys(turn.waits_for, turn))
        self._queue[turn] = None
        if len(self._queue) > WAITING_MAX:
            self.abort(next(iter(self._queue)), "tool-overflow")
        self._waiting_gauge.set(len(self._queue))

    def resume(
        self, results: Sequence[ToolResult], holder: object, client: str
    ) -> tuple[Turn, list[Tone]] | None:
        """The turn that waits for exactly these results, and the tones that bring them there.

        None when there is no such turn: then the conversation has to be told anew. One that waits
        for some of them is ended, as its client has gone another way, or answers with more than
        text. Raises `ApiError` when
        results are missing.
        """
        theirs = [self._waiting.get(result.call_id) for result in results]
        found = {turn for turn in theirs if turn is not None and turn.client == client}
        is_known = len(found) == 1 and all(turn in found for turn in theirs)
        if not is_known or not all(result.is_plain for result in results):
            for turn in found:
                self.abort(turn, "client-abort")
            return None
        (turn,) = found
        missing = turn.waits_for.keys() - {result.call_id for result in results}
        if missing:
            raise ApiError(
                400, f"tool messages are missing for: {', '.join(sorted(missing))}",
                param="messages", code="missing_tool_result",
            )  # fmt: skip
        newest = {result.call_id: result for result in results}
        tones = [_tool_result(turn, result) for result in newest.values()]
        self._forget_calls(turn)
        turn.holder = holder
        return turn, tones

    def expire(self) -> None:
        """End the turns whose client did not come back."""
        now = self._now()
        while self._queue and (turn := next(iter(self._queue))).waits_until <= now:
            self.abort(turn, "tool-timeout")

    def abort_all(self, reason: str) -> None:
        """End every turn: the process stops."""
        for turn in list(self._open.values()):
            self.abort(turn, reason)

    def _forget_calls(self, turn: Turn) -> None:
        for shown_id in turn.waits_for:
            self._waiting.pop(shown_id, None)
        turn.waits_for = {}
        self._queue.pop(turn, None)
        self._waiting_gauge.set(len(self._queue))


def _tool_result(turn: Turn, result: ToolResult) -> Tone:
    call = turn.waits_for[result.call_id]
    body: Body = {"callId": call.call_id, "toolName": call.name, "output": result.text}
    if result.is_error:
        body["isError"] = True
    return Tone(chi=Chi.TOOL_RESULT, sid=turn.sid, body=body)


async def _first_of(one: anyio.Event, other: anyio.Event) -> None:
    """Return when one of the two is set."""
    async with anyio.create_task_group() as tasks:

        async def wait(event: anyio.Event) -> None:
            await event.wait()
            tasks.cancel_scope.cancel()

        tasks.start_soon(wait, one, name="front.lane")
        tasks.start_soon(wait, other, name="front.lane")
