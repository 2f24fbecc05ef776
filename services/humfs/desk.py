"""From one `tool-call` to exactly one `tool-result`, whatever happens inside.

Tools are plain functions and run in a few threads; those that wait for other programs are tasks of
the loop. A call that is cancelled, that fails or that meets a bug is answered like any other.
Results are sent through the bee, which keeps them while humd is away. What a long call says on the
way goes out as `chunk`s when there is room, and is not kept.
"""

import logging
import time
from collections.abc import Sequence

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from humfs.chunks import Chunks
from humfs.core.calls import Calls, Key, Verdict
from humfs.edge.watch import Watch
from humfs.errors import Code, Refusal
from humfs.tools.tool import Call, LongTool, Result, Tool, refused
from nest.bee import Bee
from nest.metrics import Registry
from thrum.chi import Chi
from thrum.tones import Tone

CHIS = (Chi.HELLO, Chi.TOOL_CALL, Chi.TOOL_RESULT, Chi.CANCEL, Chi.BREATH, Chi.ECHO)
THREADS = 4
"""Calls that work at the same time; others wait their turn."""
ID_CHARS_MAX = 256
"""Longest `callId` taken."""

log = logging.getLogger(__name__)


class Desk:
    """Takes calls from the bee's inbox and answers them."""

    def __init__(
        self,
        bee: Bee,
        tools: Sequence[Tool],
        metrics: Registry,
        *,
        long_tools: Sequence[LongTool] = (),
    ) -> None:
        self._bee = bee
        self._tools = {tool.name: tool for tool in tools}
        self._long_tools = {tool.name: tool for tool in long_tools}
        self._calls: Calls[Result] = Calls()
        self._watches: dict[Key, Watch] = {}
        self._scopes: dict[Key, anyio.CancelScope] = {}
        self._threads = anyio.CapacityLimiter(THREADS)
        self._idle = anyio.Event()
        self._is_closing = False
        self._answers = metrics.counter(
            "hum_humfs_calls_total", "Calls answered.", ("tool", "outcome")
        )

    async def serve(self) -> None:
        """Answer calls until cancelled."""
        async with anyio.create_task_group() as tasks:
            async for tone in self._bee.inbox:
                if tone.chi == Chi.TOOL_CALL:
                    await self._take(tone, tasks)
                elif tone.chi == Chi.CANCEL:
                    self._cancel(tone)

    async def drain(self, seconds: float) -> None:
        """Take no new calls, finish those at work; cancel and answer what takes longer."""
        self._is_closing = True
        for share in (seconds / 2, seconds / 4):
            with anyio.move_on_after(share):
                await self._finished()
            self._stop(self._calls.running)
        with anyio.move_on_after(seconds / 4) as flush:
            await self._bee.settled()
        if flush.cancelled_caught:
            log.warning("drain.cut_short", extra={"unfinished": len(self._calls.running)})

    async def _finished(self) -> None:
        while self._calls.running:
            self._idle = anyio.Event()
            await self._idle.wait()

    async def _take(self, tone: Tone, tasks: TaskGroup) -> None:
        call_id = tone.text("callId")
        if not call_id or len(call_id) > ID_CHARS_MAX:
            log.warning("call.without_id", extra={"sid": tone.sid})
            return
        call = Call(
            sid=tone.sid,
            call_id=call_id,
            tool=tone.tool_name or "",
            args=tone.body.get("args"),
            cwd=tone.text("cwd"),
            received_ns=time.time_ns(),
        )
        key = (call.sid, call.call_id)
        verdict = Verdict.FULL if self._is_closing else self._calls.arrived(key)
        if verdict is Verdict.RUN:
            if call.tool in self._long_tools:
                self._scopes[key] = anyio.CancelScope()
            else:
                self._watches[key] = Watch()
            tasks.start_soon(self._work, call, key, name="humfs.call")
        elif verdict is Verdict.REPLAY:
            await self._send(call, self._calls.stored(key))
        elif verdict is Verdict.FULL:
            await self._send(call, refused(_busy(is_closing=self._is_closing)))

    def _cancel(self, tone: Tone) -> None:
        self._stop(self._calls.meant(tone.sid, tone.text("callId")))

    def _stop(self, keys: Sequence[Key]) -> None:
        for key in keys:
            if key in self._scopes:
                self._scopes[key].cancel()
            else:
                self._watches[key].cancel()

    async def _work(self, call: Call, key: Key) -> None:
        long_tool = self._long_tools.get(call.tool)
        if long_tool is not None:
            result = await self._follow(long_tool, call, key)
        else:
            watch = self._watches[key]
            result = await to_thread.run_sync(self._run, call, watch, limiter=self._threads)
        self._scopes.pop(key, None)
        self._watches.pop(key, None)
        for _ in range(self._calls.finished(key, result)):
            await self._send(call, result)
        self._idle.set()

    def _run(self, call: Call, watch: Watch) -> Result:
        """Run a call in a thread; the one place where anything may go wrong."""
        tool = self._tools.get(call.tool)
        try:
            watch.restart()
            watch.check()
            if tool is None:
                raise _unknown(call.tool, [*self._tools, *self._long_tools])
            return tool.run(call, watch)
        except Refusal as refusal:
            return refused(refusal)
        except Exception:
            log.exception("call.bug", extra={"tool": call.tool, "callId": call.call_id})
            return refused(_failed("look whether the call changed something before you repeat it."))

    async def _follow(self, tool: LongTool, call: Call, key: Key) -> Result:
        """Await a long call, its chunks beside it."""
        try:
            with self._scopes[key]:
                async with Chunks(self._bee, call) as chunks:
                    return await tool.follow(call, chunks.say)
        except Exception:
            log.exception("call.bug", extra={"tool": call.tool, "callId": call.call_id})
            return refused(_failed("the command may have run."))
        return refused(Refusal(Code.CANCELLED, "The call was cancelled."))

    async def _send(self, call: Call, result: Result) -> None:
        outcome = str(result.metadata.get("error", "ok"))
        is_known = call.tool in self._tools or call.tool in self._long_tools
        tool = call.tool if is_known else "unknown"
        self._answers.labels(tool, outcome).inc()
        await self._bee.send(Tone(chi=Chi.TOOL_RESULT, sid=call.sid, body=result.body(call)))


def _failed(then: str) -> Refusal:
    return Refusal(Code.IO, f"humfs failed inside; {then}", hint="Why: hum logs humfs")


def _unknown(asked: str, known: list[str]) -> Refusal:
    return Refusal(
        Code.UNKNOWN_TOOL,
        f"There is no tool {asked[:80]!r} here.",
        hint=f"The tools are: {', '.join(known)}",
    )


def _busy(*, is_closing: bool) -> Refusal:
    if is_closing:
        return Refusal(Code.CANCELLED, "humfs is stopping.", hint="Ask again in a moment.")
    return Refusal(Code.IO, "Too many calls are waiting.", hint="Ask again in a moment.")
