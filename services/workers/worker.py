"""The loop that workers share: which prompts become turns, and who hears the tones that come.

Rules:

- One task for each turn; the turns of one sid run one after the other. Tones that belong to running
  turns (results, cancels) are handed over by the one reader of the bee's inbox.
- Everything has a bound: turns at once, prompts that wait, and what a turn may take
  (`workers.turns`).
"""

import logging
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

from nest.metrics import Registry
from thrum.chi import Chi
from thrum.errors import Qualifier
from thrum.tones import Body, Tone
from workers.turns import Agent, Bus, Turn

TURNS_MAX = 1_024
"""Turns at once; one more is answered with `worker.busy`."""
PROMPTS_WAITING_MAX = 4
"""Prompts of one sid that wait for its running turn. A safeguard: humd holds them back."""
SETTLE_SECONDS = 2.0
"""How long a worker that stops waits until its last tones are on disk."""

CHIS = (
    Chi.HELLO,
    Chi.PROMPT,
    Chi.CANCEL,
    Chi.CLEANUP,
    Chi.TOOL_CALL,
    Chi.TOOL_RESULT,
    Chi.CHUNK,
    Chi.FINISH,
    Chi.ERROR,
    Chi.DRONE,
    Chi.SESSION_READY,
    Chi.PULSE,
)
"""What a worker says and hears."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Lane:
    """The running turn of one sid, and the prompts that wait for its end."""

    turn: Turn
    waiting: deque[Tone] = field(default_factory=deque)


class Worker:
    """A bee that answers prompts with `agent`."""

    def __init__(self, bee: Bus, agent: Agent, metrics: Registry) -> None:
        self.bee = bee
        self._agent = agent
        self._lanes: dict[str, _Lane] = {}
        self._calls: dict[str, Turn] = {}
        self._is_draining = False
        self._idle = anyio.Event()
        self._turns = metrics.counter(
            "hum_worker_turns_total", "Turns ended, by their terminal tone.", ("outcome",)
        )
        self._running = metrics.gauge("hum_worker_turns", "Turns running.")

    async def serve(self) -> None:
        """Answer prompts for ever."""
        async with anyio.create_task_group() as tasks:
            async for tone in self.bee.inbox:
                self._take(tone, tasks)

    async def drain(self, seconds: float) -> None:
        """Take no more prompts; let turns end; after `seconds` end them with `worker.lost`.

        `serve` goes on meanwhile. When this returns, everything that was said is on disk, unless
        humd is away.
        """
        self._is_draining = True
        for lane in self._lanes.values():
            while lane.waiting:
                await self.bee.send(self._refusal(lane.waiting.popleft(), *_STOPPING))
        for patience in (seconds, SETTLE_SECONDS):
            with anyio.move_on_after(patience):
                while self._lanes:
                    self._idle = anyio.Event()
                    await self._idle.wait()
            for lane in self._lanes.values():
                lane.turn.abandon()
        with anyio.move_on_after(SETTLE_SECONDS) as settling:
            await self.bee.settled()
        if self._lanes or settling.cancelled_caught:
            log.warning("worker.drain_cut_short", extra={"turns": len(self._lanes)})

    def expect(self, call_ids: Iterable[str], turn: Turn) -> None:
        """Hand the answers to these calls to `turn`."""
        for call_id in call_ids:
            self._calls[call_id] = turn

    def give_up(self, call_ids: Iterable[str]) -> None:
        """Nobody waits for these calls any more."""
        for call_id in call_ids:
            self._calls.pop(call_id, None)

    def _take(self, tone: Tone, tasks: TaskGroup) -> None:
        chi = tone.chi
        if chi == Chi.PROMPT:
            self._prompt(tone, tasks)
        elif chi in (Chi.TOOL_RESULT, Chi.ERROR):
            call_id = tone.body.get("callId")
            if isinstance(call_id, str) and (turn := self._calls.pop(call_id, None)):
                turn.hand(tone)
        elif chi == Chi.CANCEL:
            if tone.sid in self._lanes:
                self._lanes[tone.sid].turn.cancel()
        elif chi == Chi.DRONE and tone.sid in self._lanes:
            self._show_life(tone.sid)
        elif chi == Chi.CLEANUP and tone.sid is not None:
            if tone.sid in self._lanes:
                self._lanes[tone.sid].turn.cancel()
            self._agent.forget(tone.sid)

    def _show_life(self, sid: str) -> None:
        """Answer humd's question whether the turn is still worked on."""
        if self.bee.has_room:  # else what waits to be sent is sign enough, once humd takes it
            load = {"active_sigils": len(self._lanes), "inflight_tools": len(self._calls)}
            self.bee.post(Tone(chi=Chi.DRONE, sid=sid, body={"health": "alert", "load": load}))

    def _prompt(self, tone: Tone, tasks: TaskGroup) -> None:
        """Start a turn, let it wait, or refuse it. Never waits: the inbox must be read on."""
        if not tone.sid:
            log.warning("prompt.no_sid")
            return
        lane = self._lanes.get(tone.sid)
        refusal: tuple[str, Qualifier] | None = None
        if self._is_draining:
            refusal = _STOPPING
        elif lane is not None and len(lane.waiting) < PROMPTS_WAITING_MAX:
            lane.waiting.append(tone)
        elif lane is not None:
            refusal = _LANE_FULL
        elif len(self._lanes) >= TURNS_MAX:
            refusal = _BUSY
        else:
            self._lanes[tone.sid] = lane = _Lane(Turn(self, tone))
            self._running.inc()
            tasks.start_soon(self._run, lane, name="workers.turn")
        if refusal is not None:
            tasks.start_soon(self.bee.send, self._refusal(tone, *refusal), name="workers.refuse")

    async def _run(self, lane: _Lane) -> None:
        """The turn of `lane`, then those that wait there."""
        while True:
            terminal = await lane.turn.run(self._agent)
            self._turns.labels(terminal.body.get("finishReason", "error")).inc()
            await self.bee.send(terminal)
            if not lane.waiting:
                break
            lane.turn = Turn(self, lane.waiting.popleft())
        del self._lanes[lane.turn.sid]
        self._running.dec()
        if not self._lanes:
            self._idle.set()

    def _refusal(self, prompt: Tone, reason: str, qualifier: Qualifier) -> Tone:
        self._turns.labels("refused").inc()
        code = qualifier.value.replace(".", "_")
        body: Body = {"message": reason, "code": code, "qualifier": qualifier.value}
        return Tone(chi=Chi.ERROR, rid=prompt.rid, sid=prompt.sid, body=body)


_STOPPING = ("the worker is stopping; ask again", Qualifier.WORKER_LOST)
_LANE_FULL = (
    f"{PROMPTS_WAITING_MAX} prompts wait for this conversation already; let one end",
    Qualifier.WORKER_BUSY,
)
_BUSY = (f"the worker runs {TURNS_MAX} turns already; ask again later", Qualifier.WORKER_BUSY)
