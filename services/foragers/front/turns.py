"""Turns: each with its sid and its stream, from its prompt to its end.

A turn belongs to one request, or to none while the model waits for a tool of the client. Then it is
*waiting*: it is found by the ids of its calls, as the client was told them, and ended when nobody
came for `WAITING_SECONDS`.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from anyio.abc import TaskGroup

from foragers.core.calls import Call, ToolResult
from foragers.core.errors import ApiError
from foragers.front.bus import Bus
from nest.bee import Tones
from nest.metrics import Registry
from thrum.chi import Chi
from thrum.tones import Tone

TURNS_MAX = 1_024
"""Turns open at once, waiting ones included."""
WAITING_MAX = 256
"""Turns that wait for a tool of their client; one more ends the one that waits longest."""
WAITING_SECONDS = 300
"""How long a client may take to bring the results of its tools."""


@dataclass(slots=True, eq=False)
class Turn:
    """One turn of a model."""

    sid: str
    tones: Tones
    is_prompted: bool = False
    """Whether a worker may have it, so that its end must be told."""
    waits_for: dict[str, Call] = field(default_factory=dict)
    """The calls without a result, by the id that the client was told. Empty unless it waits."""
    waits_until: float = 0.0
    holder: object | None = None
    """Who reads the stream and ends the turn; None while it waits, and after its end."""
    claim: AbstractContextManager[Tones] | None = None
    """The hold on the stream; None after the end."""


class Turns:
    """All turns of this process."""

    def __init__(
        self,
        bus: Bus,
        tasks: TaskGroup,
        metrics: Registry,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bus = bus
        self._tasks = tasks
        self._now = now
        self._open: set[Turn] = set()
        self._waiting: dict[str, Turn] = {}
        self._queue: dict[Turn, None] = {}
        self._gauge = metrics.gauge("hum_front_turns", "Turns that are open.")
        self._waiting_gauge = metrics.gauge(
            "hum_front_turns_waiting", "Turns that wait for a tool of the client."
        )

    def open(self, sid: str, holder: object) -> Turn:
        """A new turn, its stream claimed before anything is asked. Raises `ApiError` when full."""
        if len(self._open) >= TURNS_MAX:
            raise ApiError(503, f"{TURNS_MAX} turns are running; try again soon", code="overloaded")
        claim = self._bus.stream(sid)
        turn = Turn(sid, claim.__enter__(), holder=holder, claim=claim)
        self._open.add(turn)
        self._gauge.set(len(self._open))
        return turn

    def close(self, turn: Turn) -> None:
        """The turn is over. Closing it again changes nothing."""
        self._forget_calls(turn)
        turn.holder = None
        if turn.claim is not None:
            turn.claim.__exit__(None, None, None)
            turn.claim = None
        self._open.discard(turn)
        self._gauge.set(len(self._open))

    def abort(self, turn: Turn, reason: str) -> None:
        """Nobody wants the rest of the turn: cancel it at its worker, now, and close it."""
        if turn.is_prompted and turn.claim is not None:
            tone = Tone(chi=Chi.CANCEL, sid=turn.sid, body={"reason": reason})
            if self._bus.has_room:
                self._bus.post(tone)
            else:
                self._tasks.start_soon(self._bus.send, tone, name="front.cancel")
        self.close(turn)

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
        self, results: Sequence[ToolResult], holder: object
    ) -> tuple[Turn, list[Tone]] | None:
        """The turn that waits for exactly these results, and the tones that bring them there.

        None when there is no such turn: then the conversation has to be told anew. One that waits
        for some of them is ended, as its client has gone another way. Raises `ApiError` when
        results are missing.
        """
        found = {turn for result in results if (turn := self._waiting.get(result.call_id))}
        if len(found) != 1 or any(result.call_id not in self._waiting for result in results):
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
        for turn in list(self._open):
            self.abort(turn, reason)

    def _forget_calls(self, turn: Turn) -> None:
        for shown_id in turn.waits_for:
            self._waiting.pop(shown_id, None)
        turn.waits_for = {}
        self._queue.pop(turn, None)
        self._waiting_gauge.set(len(self._queue))


def _tool_result(turn: Turn, result: ToolResult) -> Tone:
    call = turn.waits_for[result.call_id]
    body = {"callId": call.call_id, "toolName": call.name, "output": result.text}
    return Tone(chi=Chi.TOOL_RESULT, sid=turn.sid, body=body)
