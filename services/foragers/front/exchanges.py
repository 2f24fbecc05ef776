"""One exchange: a request becomes a turn, the turn's tones become the answer, in any dialect.

The stream of the turn is claimed before its prompt is sent. What arrived together is sent on
together. The status waits for the first thing to say, so a turn that fails before has the status of
its failure. A client that goes away has its turn cancelled at once, but for one that was told of
tool calls: it may come back with their results.

There is one task for each request and no other: what wakes it, a tone, a tick or the client's
leaving, comes through the stream of the turn.
"""

import asyncio
import logging
import time
from functools import partial
from mmap import mmap
from typing import TYPE_CHECKING

import anyio

from foragers.core.answers import Answer
from foragers.core.attachments import LARGE_BYTES, with_texts
from foragers.core.dialect import Dialect, Request
from foragers.core.errors import ApiError, no_worker
from foragers.core.estimates import estimate
from foragers.core.keys import account_of, require_model
from foragers.core.tools import ToolsOffered, kept_from
from foragers.core.trails import Trail, trail_after, trail_of
from foragers.front.bus import Bus
from foragers.front.catalogue import Catalogue, unreachable
from foragers.front.memory import Memory
from foragers.front.replies import Reply, answer_error, timing, with_id
from foragers.front.replies import answer as answer_whole
from foragers.front.requests import (
    KEY,
    REQUEST_ID,
    Bodies,
    ClientGone,
    Room,
    asked_of,
    read_request,
)  # fmt: skip
from foragers.front.sessions import Sessions, Trails
from foragers.front.spool import Held, Spool
from foragers.front.turns import Turn, Turns
from nest.bee import StreamBroken, StreamOverflow, Tones
from nest.guard import Receive, Scope, Send
from nest.listeners import GONE, Gone
from nest.metrics import Registry
from thrum.chi import TERMINAL, Chi
from thrum.errors import MalformedTone, Qualifier
from thrum.frames import FRAME_BYTES_MAX, pack_body, read_body
from thrum.tones import Body, Tone

if TYPE_CHECKING:
    from collections.abc import Callable

KEEP_ALIVE_SECONDS = 15.0
"""After how long a silence a stream gets a comment, so that nobody on the way hangs up."""
SILENCE_SECONDS_MAX = 600.0
"""After how long without a tone the turn has failed."""
DOUBT_SECONDS = 5.0
"""After how long a silence is looked at again in which humd or the log did not answer."""
TROUBLES_MAX = 2
"""How often that may be found in one silence; a restart of humd takes less."""
GRACE_SECONDS = 0.25
"""After a tool call, how long further ones of the same model turn are waited for."""
POST_SECONDS = 5.0
"""How long a request waits for humd to come back or to take more."""
CLIENT_GONE = 499
"""The status that metrics show for a client that did not wait for its answer."""
MODELS_COUNTED_MAX = 128
"""Models that metrics tell apart; others, and those that nobody offers, count as `OTHER_MODEL`."""
OTHER_MODEL = "other"
FRESH = frozenset({b"no-cache", b"no-store"})
"""Values of `Cache-Control` by which a client wants an answer that was not given before."""
SMALL_BODY_BYTES = 8 * 1024
"""A request up to this size cannot become a prompt that is too large to travel."""


log = logging.getLogger(__name__)


class Exchanges:
    """See the module."""

    def __init__(
        self,
        bus: Bus,
        turns: Turns,
        sessions: Sessions,
        spool: Spool,
        catalogue: Catalogue,
        metrics: Registry,
        *,
        frame_bytes_max: int = FRAME_BYTES_MAX,
        tools: ToolsOffered = "auto",
    ) -> None:
        self._bus = bus
        self._tools: ToolsOffered = tools
        self._turns = turns
        self._sessions = sessions
        self._spool = spool
        self._catalogue = catalogue
        # A quarter is left for what the router adds, and for the log's own text form.
        self._prompt_bytes_max = min(frame_bytes_max, FRAME_BYTES_MAX) * 3 // 4
        self._bodies = Bodies()
        self._memory = Memory(metrics)
        self._models: set[str] = set()
        self._answered = metrics.counter(
            "hum_front_turns_total",
            "Requests for a turn, by dialect, model and status.",
            ("dialect", "model", "status"),
        )
        self._first_bytes = metrics.histogram(
            "hum_front_first_byte_seconds", "From a request to the first byte of its answer."
        )
        self._own_seconds = metrics.histogram(
            "hum_front_own_seconds", "Time in a request that the front itself worked."
        )

        self._input_tokens = metrics.counter(
            "hum_front_input_tokens_total",
            "Input tokens of complete turns: reserved by our estimate, and as services reported.",
            ("by",),
        )

    async def post(self, dialect: Dialect, scope: Scope, receive: Receive, send: Send) -> int:
        """Serve one request in `dialect`; returns the status that was told. Raises `ClientGone`."""
        began = time.perf_counter()
        now_ms = time.time_ns() // 1_000_000
        request_id: str = scope[REQUEST_ID]
        model: str | None = None
        exchange: _Exchange | None = None
        turn: Turn | None = None
        held = Held(self._spool)
        status = CLIENT_GONE
        room = Room(self._bodies)
        try:
            raw = await _body(room, scope, receive)
            read_at = time.perf_counter()
            key = scope[KEY]
            client = key.id if key is not None else ""
            asked = asked_of(scope, partial(self._memory.recall, client))
            request, size = await read_request(dialect, raw, asked, held)
            require_model(key, request.model)
            account = account_of(key, asked.headers)
            if asked.headers.get(b"cache-control", b"").lower() in FRESH:
                request.prompt["cache"] = False
            request.prompt.update(kept_from(request.prompt, self._tools))
            request.prompt["account"] = {**account, "tokens": estimate(request.prompt, size)}
            self._require_fit(request.prompt, size)
            model = request.model
            if request.ready:
                await self._require_known(model)
                kind = request.answer(request_id, 0).content_type
                send = with_id(send, dialect, request_id)
                await answer_whole(send, request.ready, kind=kind)
                status = 200
                return status
            answer = request.answer(request_id, now_ms // 1_000)
            reply = Reply(send, dialect, answer.content_type, request_id)
            exchange = _Exchange(
                answer, reply, scope[GONE], room, client, began=began, read_at=read_at
            )
            if request.keeps is not None:
                exchange.keep = partial(self._keep, exchange, request.keeps, request.kept_as)
            exchange.expects = request.prompt["account"]["tokens"][0]
            turn, tones = await self._begin(exchange, request, request_id)
            turn.held.append(held)
            del raw, request  # a turn may be long, and they large
            await self._converse(exchange, turn, tones)
            status = CLIENT_GONE if exchange.gone.is_gone else 200
            return status
        except ApiError as refusal:
            told = await self._explained(refusal, model)
            total = time.perf_counter() - began
            own = total if exchange is None else exchange.own_seconds
            headers = (timing(own, total),)
            status = await answer_error(send, told, dialect, request_id=request_id, headers=headers)
            extra = {"request": request_id, "status": status, "code": told.code}
            log.info("front.refused", extra=extra)
            return status
        finally:
            room.close()
            if turn is None:
                held.release()
            self._count(dialect, model, status)

    async def _converse(self, exchange: "_Exchange", turn: Turn, tones: list[Tone]) -> None:
        """One turn, or one leg of it. Raises `ApiError` while the answer has not begun.

        `tones` set it going; they are let go of as they are sent.
        """
        try:
            while tones:
                await self._send(tones.pop(0))
                turn.is_prompted = True
            exchange.posted()
            exchange.complete = partial(self._complete, exchange, turn)
            exchange.gone.tell(partial(turn.tones.put, _GONE))
            await self._relay(exchange, turn)
        except StreamBroken as problem:
            self._turns.abort(turn, "stream-broken")
            is_ours = isinstance(problem, StreamOverflow)
            code = Qualifier.QUEUE_OVERFLOW if is_ours else Qualifier.WORKER_LOST
            await exchange.fail(ApiError(502, problem.message, code=code))
        finally:
            exchange.gone.tell(None)
            if turn.holder is exchange and exchange.told_calls and exchange.answer.can_wait:
                turn.trails = exchange.trails
                turn.spent = exchange.answer.spent or turn.spent
                self._turns.wait(turn, exchange.answer.calls)
            elif turn.holder is exchange:
                self._turns.abort(turn, "client-abort")
            self._observe(exchange)

    async def _begin(
        self, exchange: "_Exchange", request: Request, request_id: str
    ) -> tuple[Turn, list[Tone]]:
        """The turn that this request continues, or a new one; and the tones that set it going.

        Raises `ClientGone` when it left while another turn of its conversation ran.
        """
        trail = exchange.trail = trail_of(request.prompt, request.hints, exchange.client)
        resumed = self._turns.resume(request.results, exchange, exchange.client)
        if resumed is not None:
            turn, tones = resumed
            tones[0].rid = request_id
            exchange.answer.spent_before = turn.spent
            return turn, tones
        after = trail_after(request.hints.after, exchange.client) if request.hints.after else None
        sid, trails = self._sessions.begin(trail, after, request_id)
        while self._turns.is_open(sid) and not exchange.gone.is_gone:
            await self._turns.free(sid, exchange.gone)
            sid, trails = self._sessions.begin(trail, after, request_id)
        if exchange.gone.is_gone:
            self._sessions.keep(sid, trails)
            raise ClientGone
        turn = self._turns.open(sid, exchange, exchange.client, trails)
        prompt = Tone(chi=Chi.PROMPT, sid=turn.sid, rid=request_id, body=request.prompt)
        return turn, [prompt]

    async def _relay(self, exchange: "_Exchange", turn: Turn) -> None:
        """Say what the turn says until this answer is over."""
        answer, silence, is_ended = exchange.answer, _Silence(), False
        while not answer.is_over:
            patience = GRACE_SECONDS if answer.calls else silence.patience
            tones = await _next(turn.tones, patience)
            if exchange.gone.is_gone:
                return
            if tones[0] is not _TICK or len(tones) > 1:
                silence = _Silence()
                is_ended = any(tone.chi in TERMINAL for tone in tones)
                await exchange.hear(tones)
            elif answer.calls:
                if answer.can_wait:
                    turn.spent = answer.spent or turn.spent
                    self._turns.wait(turn, answer.calls)
                else:
                    self._turns.abort(turn, "client-tools")
                await exchange.say(answer.yielded())
                return
            elif failure := silence.failure_after(await self._catalogue.trouble()):
                answer.fail(failure)
                self._turns.abort(turn, "silence")
            elif not silence.troubles:
                await exchange.say(answer.silence())
        if is_ended:
            self._turns.close(turn)
        else:
            self._turns.abort(turn, "answer-refused")
        if answer.failure is not None:
            await exchange.fail(answer.failure)

    def _complete(self, exchange: "_Exchange", turn: Turn) -> None:
        """The answer is complete: the conversation may go on, also before its end is told."""
        turn.trails = exchange.trails
        if exchange.keep is not None:
            exchange.keep()
        if turn.holder is exchange:
            self._turns.close(turn)

    def _keep(
        self, exchange: "_Exchange", messages: tuple[Body, ...], conversation: str | None
    ) -> None:
        """Remember the answer under its names."""
        said = exchange.answer.message()
        if said is not None:
            for name in (exchange.answer.id, conversation):
                if name is not None:
                    whole = with_texts(messages, self._spool.read)
                    self._memory.keep(exchange.client, name, whole, said)

    async def _send(self, tone: Tone) -> None:
        try:
            if self._bus.is_connected and self._bus.has_room:
                self._bus.post(tone)
                return
            with anyio.move_on_after(POST_SECONDS):
                await self._bus.joined()
                await self._bus.send(tone)
                return
        except MalformedTone as problem:
            raise _cannot_travel(problem) from problem
        raise unreachable()

    def _require_fit(self, prompt: Body, raw_bytes: int) -> None:
        """Raise `ApiError` for what could not travel: it would break the link, again and again."""
        if raw_bytes <= SMALL_BODY_BYTES:
            return
        try:
            packed = pack_body(prompt)
            if len(packed) > self._prompt_bytes_max:
                raise ApiError(
                    413,
                    f"the conversation has {len(packed)} bytes; the router takes "
                    f"{self._prompt_bytes_max} (humd.maxFrameBytes)",
                    code=Qualifier.FRAME_TOO_LARGE,
                )
            read_body(packed)
        except MalformedTone as problem:
            raise _cannot_travel(problem) from problem

    async def _require_known(self, model: str | None) -> None:
        """Return when a worker offers `model`; raises `ApiError`."""
        models = await self._catalogue.models()
        if model not in models:
            raise no_worker(model, models)

    async def _explained(self, refusal: ApiError, model: str | None) -> ApiError:
        """A missing worker in terms of the models there are."""
        if refusal.code != Qualifier.PROMPT_NO_WORKER:
            return refusal
        try:
            return no_worker(model, await self._catalogue.models())
        except ApiError as unknown:
            return unknown

    def _count(self, dialect: Dialect, model: str | None, status: int) -> None:
        """Count a request by its model, as long as that is one of few that were answered."""
        name = model or ""
        if status == 200 and len(self._models) < MODELS_COUNTED_MAX:
            self._models.add(name)
        known = name if name in self._models else OTHER_MODEL
        self._answered.labels(dialect.name, known, str(status)).inc()

    def _observe(self, exchange: "_Exchange") -> None:
        self._own_seconds.observe(exchange.own_seconds)
        if exchange.first_seconds is not None:
            self._first_bytes.observe(exchange.first_seconds)
        if exchange.answer.input_tokens:
            self._input_tokens.labels("estimate").inc(exchange.expects)
            self._input_tokens.labels("service").inc(exchange.answer.input_tokens)


class _Silence:
    """A turn says nothing: for how long, and how often nobody could have said anything."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.troubles = 0

    @property
    def patience(self) -> float:
        """Seconds until it is looked at again."""
        return DOUBT_SECONDS if self.troubles else KEEP_ALIVE_SECONDS

    def failure_after(self, trouble: str) -> ApiError | None:
        """Count one more `patience` of it; the failure of the turn when that is enough."""
        self.seconds += self.patience
        self.troubles = self.troubles + 1 if trouble else 0
        if self.troubles >= TROUBLES_MAX:
            return ApiError(503, trouble, code=Qualifier.LOG_UNAVAILABLE)
        if self.seconds >= SILENCE_SECONDS_MAX:
            return ApiError(504, f"no word from the worker in {self.seconds:.0f} s")
        return None


class _Exchange:
    """An answer and where it goes, with the time it takes."""

    def __init__(
        self,
        answer: Answer,
        reply: Reply,
        gone: Gone,
        room: Room,
        client: str,
        *,
        began: float,
        read_at: float,
    ) -> None:
        self.answer = answer
        self.gone = gone
        self.client = client
        """The id of the client's key; empty when it has none. What is its own is found with it."""
        self.expects = 0
        """Input tokens that were reserved, by our estimate."""
        self.first_seconds: float | None = None
        self.own_seconds = 0.0
        self.keep: Callable[[], None] | None = None
        """Remembers the answer by its name, when the client wants that."""
        self.complete: Callable[[], None] = _nothing
        """Called when the answer is complete, before its last piece is sent."""
        self.trail: Trail | None = None
        self._reply = reply
        self._room = room
        self._began = began
        self._read_at = read_at
        self._heard: float | None = None

    @property
    def told_calls(self) -> bool:
        """Whether the client knows of tool calls."""
        return bool(self.answer.calls) and self._reply.has_begun

    @property
    def trails(self) -> Trails:
        """What leads to the conversation after this answer, if it has no name of its own."""
        if self.trail is None or self.trail.sid is not None:
            return ()
        told = self.trail.followed(self.answer.digest)
        return (told,) if self.keep is None else (told, trail_after(self.answer.id, self.client))

    def posted(self) -> None:
        """The request is on its way to humd, and its body is not needed any more."""
        self._room.close()
        self.own_seconds = time.perf_counter() - self._read_at

    async def hear(self, tones: list[Tone]) -> None:
        """Tones arrived: say what they say."""
        self._heard = heard = time.perf_counter()
        said = self.answer.feed(tones)
        if said and (self.answer.failure is None or self._reply.has_begun):
            await self.say(said)
        self.own_seconds += time.perf_counter() - heard
        self._heard = None

    async def say(self, piece: bytes) -> None:
        """Send a piece; the last one when the answer is over, unless it failed."""
        if not piece:
            return
        if self.first_seconds is None:
            now = time.perf_counter()
            self.first_seconds = now - self._began
            own = self.own_seconds + (0.0 if self._heard is None else now - self._heard)
            self._reply.tell_time(own, self.first_seconds)
        is_last = self.answer.is_over and self.answer.failure is None
        if is_last:
            self.complete()
        if self.answer.is_truncated:
            self._reply.warn_truncated()
        if self.answer.is_cached:
            self._reply.tell_cached()
        if self.answer.fallback:
            self._reply.tell_fallback(self.answer.fallback)
        await self._reply.write(piece, is_last=is_last)

    async def fail(self, failure: ApiError) -> None:
        """Say that the turn failed, inside the stream; raises it when nothing was said yet."""
        if not self._reply.has_begun:
            raise failure
        await self._reply.fail(failure, self.answer.last_words(failure))


def _nothing() -> None:
    """Nobody has to be told."""


def _cannot_travel(problem: MalformedTone) -> ApiError:
    return ApiError(400, f"the request cannot travel: {problem.message}", code="invalid_value")


async def _body(room: Room, scope: Scope, receive: Receive) -> bytes | mmap:
    """The body of a request. The guard has seen its length, if it tells one."""
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) >= LARGE_BYTES:
            return await room.read_large(receive, int(value))
    return await room.read(receive)


async def _next(tones: Tones, patience: float) -> list[Tone]:
    """What arrived; nothing but a tick once `patience` is over."""
    timer = asyncio.get_running_loop().call_later(patience, tones.put, _TICK)
    try:
        return await tones.take()
    finally:
        timer.cancel()


_TICK = Tone(chi="tick")
"""Put into a stream to wake its reader: cheaper than a scope around each wait."""
_GONE = Tone(chi="gone")
"""The same, for a client that is gone."""
