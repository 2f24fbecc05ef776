"""One prompt being answered: to exactly one terminal tone, whatever happens.

Rules:

- A turn ends with one `finish` or one `error`: the agent's answer, its `TurnFailed`, a bug
  (`worker_error`), a cancel (`cancelled`), too much time, or a worker that stops (`worker.lost`).
- Text goes out in both shapes that clients read (docs/wire.md, `chunk`).
- A tool call without an answer after `TOOL_SECONDS`, or what its tool says, has failed; whoever
  works on it may stop.
"""

import logging
import secrets
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from math import isfinite
from typing import Protocol

import anyio

from nest.bee import Tones
from thrum import ids
from thrum.chi import Chi
from thrum.errors import HumError, Qualifier
from thrum.tones import Body, Tone, is_error_result, result_text
from workers.core.catalogue import TOOL_SECONDS, Catalogue, catalogue_of

TURN_SECONDS = 3_600.0
"""Longest turn, tool calls included."""
RESULT_CHARS_MAX = 1024 * 1024
"""Characters of one tool result that the model gets."""

log = logging.getLogger(__name__)


class TurnFailed(HumError):
    """The turn ends with this `error`; what was streamed before it stands."""

    def __init__(
        self, message: str, *, code: int | str | None = None, qualifier: Qualifier | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.qualifier = qualifier
        self.retry_seconds: float | None = None
        """When asking again may help, as far as somebody said so."""
        self.told: Body | None = None
        """What the model's service said, word for word: `{wire, body}`."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool and its arguments."""

    name: str
    args: Body


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool answered, for the model to read."""

    text: str
    is_error: bool = False


class Bus(Protocol):
    """What a worker needs of its bee."""

    @property
    def inbox(self) -> Tones:
        """Every tone that comes."""
        ...

    @property
    def has_room(self) -> bool:
        """Whether `post` would take a tone."""
        ...

    async def send(self, tone: Tone) -> int:
        """Queue a tone; wait while there is no room."""
        ...

    def post(self, tone: Tone) -> int:
        """Queue a tone; there is room."""
        ...

    async def settled(self) -> None:
        """Return once everything that was sent is on disk."""
        ...


class Agent(Protocol):
    """What answers prompts."""

    async def answer(self, turn: "Turn") -> str:
        """Answer through `turn`; return the finish reason. Raises `TurnFailed`."""
        ...

    async def embed(self, turn: "Turn") -> str:
        """Answer a prompt with `embed` by vectors, as `answer` does. Raises `TurnFailed`."""
        ...

    def forget(self, sid: str) -> None:
        """Drop what is remembered of a conversation."""
        ...


class Calling(Protocol):
    """Where the answers to a turn's calls come in."""

    @property
    def bee(self) -> Bus:
        """What the turn speaks through."""
        ...

    def expect(self, call_ids: Iterable[str], turn: "Turn") -> None:
        """Hand the answers to these calls to `turn`."""
        ...

    def give_up(self, call_ids: Iterable[str]) -> None:
        """Nobody waits for these calls any more."""
        ...


class _Ending(Enum):
    """Why a turn is ended from outside."""

    CANCELLED = auto()
    LOST = auto()


class Turn:
    """One prompt being answered."""

    def __init__(self, worker: Calling, prompt: Tone) -> None:
        assert prompt.sid is not None
        self.sid = prompt.sid
        self.rid = prompt.rid
        self.prompt = prompt.body
        self.catalogue: Catalogue = catalogue_of(prompt.body)
        self.usage: Body = {"input_tokens": 0, "output_tokens": 0}
        """Tokens so far; whatever stands here when the turn ends is reported."""
        self.model: str | None = None
        """The model that answers, as its service calls it; None when nobody said."""
        self.about: Body = {}
        """What else whoever answered says of the turn; goes to the asker as it is."""
        self.is_cached = False
        """Whether some of the answer was given before, and cost nothing now."""
        self._worker = worker
        self._send = worker.bee.send
        self._block = ""
        """Kind of the open block of output: text, reasoning, or none."""
        self._block_index = -1
        self._answers: deque[Tone] = deque()
        self._answered: anyio.Event | None = None
        self._scope = anyio.CancelScope()
        self._ending: _Ending | None = None

    async def say(self, text: str) -> None:
        """Stream a piece of the answer."""
        await self._open("text")
        await self._send(
            Tone(
                chi=Chi.CHUNK,
                sid=self.sid,
                body={
                    "chunkType": "text_delta",
                    "blockIdx": self._block_index,
                    "delta": text,
                    "part": {"type": "text", "text": text},
                },
            )
        )

    async def think(self, text: str) -> None:
        """Stream a piece of the model's reasoning."""
        await self._open("reasoning")
        await self._chunk("reasoning_delta", blockIdx=self._block_index, delta=text)

    async def sign(self, signature: str) -> None:
        """The model's service signed the reasoning so far, and wants it back with that.

        Some sign reasoning that they show to nobody.
        """
        await self._open("reasoning")
        await self._chunk("reasoning_signature", blockIdx=self._block_index, signature=signature)

    async def redact(self, data: str) -> None:
        """A piece of reasoning that nobody can read, and that its service wants back."""
        await self._close()
        await self._chunk("reasoning_redacted", data=data)

    async def drop_thinking(self, blocks: int) -> None:
        """Reasoning of another service stays out of the request: this one could not read it."""
        await self._chunk("thinking_dropped", blocks=blocks)

    async def tell_cached(self) -> None:
        """What follows was answered before."""
        self.is_cached = True
        await self._chunk("cache_hit")

    async def warn_truncated(self) -> None:
        """The prompt is longer than the model's context: it does not see all of it."""
        log.warning("turn.truncated", extra={"sid": self.sid})
        await self._chunk("truncated")

    async def tell_session(self, session: str, model: str, tools: Sequence[str]) -> None:
        """A program leads the conversation under this name of its own."""
        body: Body = {"nestId": session, "model": model, "tools": list(tools)}
        await self._send(Tone(chi=Chi.SESSION_READY, sid=self.sid, body=body))

    async def tell_own_call(self, call_id: str, name: str, args: Body) -> None:
        """A program runs a tool of its own."""
        await self._close()
        await self._chunk("tool_call", toolCallId=call_id, toolName=name, input=args)

    async def tell_own_result(self, call_id: str, text: str) -> None:
        """What that tool gave."""
        await self._chunk("tool_result", toolCallId=call_id, result=_bounded(text))

    async def pulse(self, kind: str, *, pid: int | None, reason: str = "") -> None:
        """Something happened to the process that answers; `kind` is one of the registry's."""
        body: Body = {"kind": kind, "pid": pid} | ({"reason": reason} if reason else {})
        await self._send(Tone(chi=Chi.PULSE, sid=self.sid, body=body))

    async def tell_vectors(self, vectors: Sequence[str]) -> None:
        """The next embeddings, in the order of the inputs."""
        await self._chunk("embeddings", vectors=list(vectors))

    async def fall_back(self, model: str, to: str, reason: str) -> None:
        """Another model is asked: `model` did not begin to answer."""
        log.warning("turn.fall_back", extra={"sid": self.sid, "model": model, "to": to})
        await self._chunk("fallback", model=model, to=to, reason=reason)

    async def call(self, calls: Sequence[Call]) -> list[Result]:
        """Call tools side by side; return their results in the order of the calls.

        A tool that fails, is unknown to humd or takes too long gives an error result.
        """
        await self._close()
        if any(self.usage.values()):
            await self._chunk("usage", usage=self.usage)
        waiting = {_mint(): place for place, call in enumerate(calls)}
        results: list[Result | None] = [None] * len(calls)
        known = (self.catalogue.get(call.name) for call in calls)
        seconds = max((tool.seconds for tool in known if tool), default=TOOL_SECONDS)
        self._answers.clear()
        self._worker.expect(waiting, self)
        try:
            for call_id, place in waiting.items():
                await self._send(self._tool_call(call_id, calls[place]))
            with anyio.move_on_after(seconds):
                while waiting:
                    answer = await self._next_answer()
                    place = waiting.pop(str(answer.body["callId"]))
                    result = results[place] = _result(answer)
                    await self._executed(str(answer.body["callId"]), calls[place], result)
        finally:
            self._worker.give_up(waiting)
            for call_id in waiting:
                self._post_cancel(call_id)
        late = Result(f"no answer within {seconds:.0f} s", is_error=True)
        for call_id, place in waiting.items():
            await self._executed(call_id, calls[place], late)
        return [result or late for result in results]

    async def run(self, agent: Agent) -> Tone:
        """Have `agent` answer; return the terminal tone. Everything else has been sent then."""
        try:
            self._scope.deadline = anyio.current_time() + TURN_SECONDS
            with self._scope:
                make = agent.embed if "embed" in self.prompt else agent.answer
                reason = await make(self)
                await self._close()
                return self._finish(reason)
        except TurnFailed as failed:
            await self._close()
            ended = self.error(failed.message, code=failed.code, qualifier=failed.qualifier)
            if failed.retry_seconds is not None and isfinite(failed.retry_seconds):
                ended.body["retryMs"] = round(failed.retry_seconds * 1_000)
            if failed.told is not None:
                ended.body["told"] = failed.told
            return ended
        except Exception:
            log.exception("turn.failed", extra={"sid": self.sid})
            await self._close()
            return self.error("the worker has a bug; its log says more", code="worker_error")
        await self._close()
        if self._ending is _Ending.CANCELLED:
            return self._finish("cancelled")
        if self._ending is _Ending.LOST:
            return self.error(
                "the worker stopped before the answer was complete; ask again",
                code="worker_lost",
                qualifier=Qualifier.WORKER_LOST,
            )
        return self.error(f"the turn took longer than {TURN_SECONDS:.0f} s", code="worker_error")

    def cancel(self) -> None:
        """End the turn with `finish`, reason `cancelled`."""
        self._end(_Ending.CANCELLED)

    def abandon(self) -> None:
        """End the turn with `worker.lost`."""
        self._end(_Ending.LOST)

    def hand(self, answer: Tone) -> None:
        """Take the answer to one of the turn's calls."""
        self._answers.append(answer)
        if self._answered:
            self._answered.set()

    def error(
        self, message: str, *, code: int | str | None = None, qualifier: Qualifier | None = None
    ) -> Tone:
        """The `error` that ends this turn."""
        body: Body = {"message": message}
        if code is not None:
            body["code"] = code
        if qualifier is not None:
            body["qualifier"] = qualifier.value
        if any(self.usage.values()):
            body["usage"] = self.usage
            if self.model is not None:
                body["model"] = self.model
        return Tone(chi=Chi.ERROR, sid=self.sid, body=body)

    def _finish(self, reason: str) -> Tone:
        body: Body = {"finishReason": reason, "usage": self.usage}
        if self.is_cached:
            body["cached"] = True
        if self.model is not None:
            body["model"] = self.model
        if self.about:
            body["providerMetadata"] = self.about
        return Tone(chi=Chi.FINISH, sid=self.sid, body=body)

    def _end(self, ending: _Ending) -> None:
        if self._ending is None:
            self._ending = ending
            self._scope.cancel()

    async def _open(self, kind: str) -> None:
        if self._block == kind:
            return
        await self._close()
        self._block = kind
        self._block_index += 1
        await self._chunk(f"{kind}_start", blockIdx=self._block_index)

    async def _close(self) -> None:
        kind, self._block = self._block, ""
        if kind == "reasoning":
            await self._chunk("reasoning_end", blockIdx=self._block_index)
        if kind:
            await self._chunk("content_block_stop", blockIdx=self._block_index)

    async def _chunk(self, kind: str, **fields: object) -> None:
        await self._send(Tone(chi=Chi.CHUNK, sid=self.sid, body={"chunkType": kind, **fields}))

    async def _executed(self, call_id: str, call: Call, result: Result) -> None:
        await self._chunk(
            "tool_executed",
            callId=call_id,
            toolName=call.name,
            arguments=call.args,
            output=result.text,
            isError=result.is_error,
        )

    def _tool_call(self, call_id: str, call: Call) -> Tone:
        body: Body = {
            "callId": call_id,
            "toolName": call.name,
            "name": call.name,
            "args": call.args,
        }
        cwd = self.prompt.get("cwd")
        if isinstance(cwd, str) and cwd not in ("", "/"):
            body["cwd"] = cwd
        return Tone(chi=Chi.TOOL_CALL, sid=self.sid, body=body)

    async def _next_answer(self) -> Tone:
        while not self._answers:
            self._answered = anyio.Event()
            await self._answered.wait()
        return self._answers.popleft()

    def _post_cancel(self, call_id: str) -> None:
        """Tell whoever works on a call that nobody waits any more. A courtesy: never waited for."""
        if self._worker.bee.has_room:
            body: Body = {"callId": call_id, "reason": "caller-gone"}
            self._worker.bee.post(Tone(chi=Chi.CANCEL, sid=self.sid, body=body))


def _result(answer: Tone) -> Result:
    """What a `tool-result`, or an `error` in its place, tells the model."""
    if answer.chi == Chi.ERROR:
        return Result(answer.text("message") or "the tool failed and gave no reason", is_error=True)
    text = result_text(answer.body) or "(no output)"
    return Result(_bounded(text), is_error_result(answer.body))


def _bounded(text: str) -> str:
    if len(text) <= RESULT_CHARS_MAX:
        return text
    left_out = len(text) - RESULT_CHARS_MAX
    return f"{text[:RESULT_CHARS_MAX]}\n[{left_out} characters left out]"


def _mint() -> str:
    now_ms = time.time_ns() // 1_000_000
    return ids.mint_humid(now_ms, secrets.token_bytes(ids.HUMID_RANDOM_BYTES))
