"""HTTP to a model service: completions and the list of models.

Rules:

- Nothing of an answer is ever repeated: a completion is asked for again only while no byte of it
  has come. After that a fault is a failure, and so is a stream without `finish_reason`.
- Cancelling a completion closes its connection at once; a connection is reused only after a stream
  that was read to its end.
- No redirects: the key would travel.
"""

import contextlib
import logging
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from urllib.parse import urlsplit

import anyio
import orjson

from nest.metrics import Registry
from thrum.errors import Qualifier
from thrum.tones import Body
from workers.attachments import Attachments
from workers.connections import (
    SILENCE_SECONDS,
    Answer,
    BrokenResponse,
    Connections,
    Silent,
    Unreachable,
)
from workers.core.attachments import marked, splice
from workers.core.completions import (
    Completion,
    CompletionFailed,
    Delta,
    Usage,
    error_message,
)
from workers.core.embeddings import Vectors, Wanted
from workers.core.retries import asked_seconds, is_passing, wait_seconds
from workers.core.sse import EVENT_BYTES_MAX, EventTooLarge
from workers.core.wires import Wire
from workers.turns import TurnFailed

LINGER_SECONDS = 0.2
"""How long a service that said that it is done may take to end the body."""
ERROR_BYTES_MAX = 64 * 1024
"""Of an error's body, the part that is read."""
TOLD_CHARS_MAX = 8_192
"""Of an error's body that is passed on word for word; a longer one is told in our words alone."""
WHOLE_BYTES_MAX = 4 * EVENT_BYTES_MAX
"""Bytes of an answer that is not streamed, or of a list of models."""
EMBEDDINGS_BYTES_MAX = 16 * EVENT_BYTES_MAX
"""Bytes of an answer that is many vectors."""
BAD_REQUEST = 400
NOT_SERVED = 501
BAD_GATEWAY = 502
GATEWAY_TIMEOUT = 504

log = logging.getLogger(__name__)

Hear = Callable[[Delta], Awaitable[None]]
MayRetry = Callable[[], bool]


class UpstreamFailed(TurnFailed):
    """The service could not be reached, refused, or broke off."""

    def __init__(
        self,
        message: str,
        *,
        code: int | str,
        is_passing: bool = False,
        retry_after: str | None = None,
        told: Body | None = None,
    ) -> None:
        super().__init__(message, code=code, qualifier=Qualifier.UPSTREAM_FAILED)
        self.told = told
        self.is_passing = is_passing
        """Whether the same request may work later."""
        self.retry_after = retry_after
        self.retry_seconds = asked_seconds(retry_after, time.time())
        """How long the service wants us to wait, when it says so."""
        self.has_begun = False
        """Whether some of the answer has come."""


async def _tell(hear: Hear, delta: Delta) -> None:
    if delta.text or delta.reasoning or delta.signature or delta.redacted:
        await hear(delta)


class Upstream:
    """One service. Whoever makes it closes it."""

    def __init__(
        self,
        base_url: str,
        key: str | None,
        wire: Wire,
        attachments: Attachments,
        metrics: Registry,
    ) -> None:
        self._wire = wire
        self._attachments = attachments
        self._host = urlsplit(base_url).netloc
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        self._connections = Connections(base_url, {**headers, **wire.headers(key)})
        self._requests = metrics.counter(
            "hum_upstream_requests_total", "Requests to the model service.", ("status",)
        )
        self._retries = metrics.counter(
            "hum_upstream_retries_total", "Completions that were asked for again."
        )
        self._answered = metrics.histogram(
            "hum_upstream_answered_seconds", "From a request to the head of its answer."
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connections.close()

    async def models(self) -> tuple[str, ...]:
        """The models that the service lists. Raises `UpstreamFailed`."""
        return self._wire.models(await self.get("GET", self._wire.models_path))

    async def get(
        self, method: str, path: str, body: bytes = b"", *, bytes_max: int = WHOLE_BYTES_MAX
    ) -> object:
        """The JSON of one answer that is not streamed. Raises `UpstreamFailed`."""
        async with self._exchange(method, path, body) as response:
            found: object = orjson.loads(await self._whole(response, bytes_max))
        return found

    async def embed(self, wanted: Wanted) -> Vectors:
        """Have the service embed texts. Raises `UpstreamFailed`; `TurnFailed` when it cannot."""
        dialect = self._wire.embedding
        if dialect is None:
            raise TurnFailed("this worker's service makes no embeddings", code=NOT_SERVED)
        if not dialect.takes(wanted):
            raise TurnFailed("this service embeds texts, not tokens", code=BAD_REQUEST)
        body = orjson.dumps(wanted.body())
        tries = 0
        while True:
            try:
                found = await self.get("POST", dialect.path, body, bytes_max=EMBEDDINGS_BYTES_MAX)
                return dialect.vectors(found, len(wanted.inputs))
            except CompletionFailed as problem:
                raise self._failed(f"sent what is no answer: {problem}") from problem
            except UpstreamFailed as failed:
                tries += 1
                await self._pause(failed, tries)

    def cuts(self, request: Body) -> bool:
        """Whether the service would read only a part of the prompt, and say nothing of it."""
        return self._wire.cuts(request)

    def was_cut(self, request: Body, usage: Usage) -> bool:
        """Whether the service counted less than the prompt has for certain."""
        return self._wire.was_cut(request, usage)

    @property
    def takes_thinking(self) -> bool:
        """Whether the service wants back what it thought."""
        return self._wire.takes_thinking

    async def complete(
        self,
        request: Body,
        hear: Hear,
        usage: Usage,
        *,
        may_retry: MayRetry = lambda: True,
        is_patient: bool = True,
    ) -> Completion:
        """Have the service complete `request`, telling `hear` what comes as it comes.

        Without patience nothing is asked twice: there is another service to ask. `may_retry` has
        the last word on each further try.

        Returns when the answer is complete; what it cost is added to `usage`, also when it fails.
        Raises `UpstreamFailed`.
        """
        tries = 0
        messages, marks = marked(request["messages"], secrets.token_hex(8))
        if marks:
            request = {**request, "messages": messages}
        while True:
            completion = self._wire.completion()
            variant = self._wire.body(request)
            try:
                headers = self._wire.request_headers(request)
                await self._attempt(variant, completion, hear, marks, headers)
            except UpstreamFailed as failed:
                if completion.has_begun:
                    failed.has_begun = True
                    raise
                if self._wire.learn(variant, failed.code, failed.message):
                    continue
                if not is_patient:
                    raise
                tries += 1
                await self._pause(failed, tries, may_retry)
            else:
                self._wire.accepted(variant)
                return completion
            finally:
                usage.add(completion.usage)

    async def _pause(
        self, failed: UpstreamFailed, tries: int, may_retry: MayRetry = lambda: True
    ) -> None:
        """Wait until the same may be asked again; raises `failed` when that would not help."""
        wait = wait_seconds(
            tries, retry_after=failed.retry_after, now=time.time(), jitter=random.random()
        )
        if not failed.is_passing or wait is None or not may_retry():
            raise failed
        self._retries.inc()
        log.info("upstream.retry", extra={"code": failed.code, "wait_seconds": wait})
        await anyio.sleep(wait)

    async def _attempt(
        self,
        request: Body,
        completion: Completion,
        hear: Hear,
        marks: Mapping[str, bytes],
        headers: Mapping[str, str],
    ) -> None:
        """Ask once; `completion` has its finish reason then, or this raises `UpstreamFailed`."""
        parts = splice(orjson.dumps(request), marks, self._attachments.read)
        async with self._exchange("POST", self._wire.path, *parts, headers=headers) as response:
            if (response.header("content-type") or "").startswith("application/json"):
                whole = await self._whole(response, WHOLE_BYTES_MAX)
                await _tell(hear, completion.take([whole]))
            else:
                await self._stream(response, completion, hear)
            if completion.finish_reason is None:
                raise self._failed("broke off before the answer was complete", is_passing=True)

    async def _stream(self, response: Answer, completion: Completion, hear: Hear) -> None:
        """Read events until the service is done. What one read brings is told at once."""
        parser = self._wire.parser()
        try:
            while not completion.is_done and (piece := await response.read()):
                for events in self._wire.grouped(parser.feed(piece)):
                    await _tell(hear, completion.take(events))
            if not response.is_read:
                with anyio.move_on_after(LINGER_SECONDS):
                    await response.read()  # a body read to its end leaves a usable connection
        except BrokenResponse:
            if completion.finish_reason is None:
                raise

    @contextlib.asynccontextmanager
    async def _exchange(
        self,
        method: str,
        path: str,
        *body: bytes | memoryview,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Answer]:
        """One request; the response has status 200. Every fault is an `UpstreamFailed`."""
        status = "none"
        started = time.monotonic()
        try:
            exchange = self._connections.exchange(method, path, *body, headers=headers)
            async with exchange as response:
                status = str(response.status)
                self._answered.observe(time.monotonic() - started)
                if response.status != 200:
                    raise await self._refusal(response)
                yield response
        except Silent as problem:
            raise self._failed(
                f"was silent for {SILENCE_SECONDS:.0f} s", code=GATEWAY_TIMEOUT
            ) from problem
        except Unreachable as problem:
            raise self._failed(f"cannot be reached: {problem}", is_passing=True) from problem
        except BrokenResponse as problem:
            raise self._failed(f"broke off: {problem}", is_passing=True) from problem
        except CompletionFailed as problem:
            code = problem.code if isinstance(problem.code, int) else BAD_GATEWAY
            raise self._failed(f"failed: {problem}", code=code, told=problem.body) from problem
        except (EventTooLarge, orjson.JSONDecodeError) as problem:
            raise self._failed(f"sent what is no answer: {problem}") from problem
        finally:
            self._requests.labels(status).inc()

    async def _refusal(self, response: Answer) -> UpstreamFailed:
        """What a status other than 200 means."""
        status = response.status
        text = await self._whole(response, ERROR_BYTES_MAX, cut=True)
        try:
            body = orjson.loads(text)
        except orjson.JSONDecodeError:
            body = None
        reason = error_message(body) if isinstance(body, dict) else "it gives no reason"
        if status in (401, 403):
            wire = self._wire
            reason += f"; check the key: {wire.key_variable}, or workers.{wire.hive} in hum.json"
        return self._failed(
            f"answered {status}: {reason}",
            code=status,
            is_passing=is_passing(status),
            retry_after=response.header("retry-after"),
            told=None if body is None or status in (401, 403) else text.decode("utf-8", "replace"),
        )

    async def _whole(self, response: Answer, bytes_max: int, *, cut: bool = False) -> bytes:
        """A body that is not streamed, bounded."""
        body = bytearray()
        while piece := await response.read():
            body += piece
            if len(body) > bytes_max:
                if cut:
                    return bytes(body[:bytes_max])
                raise self._failed(f"sent more than {bytes_max} bytes")
        return bytes(body)

    def _failed(
        self,
        what: str,
        *,
        code: int = BAD_GATEWAY,
        is_passing: bool = False,
        retry_after: str | None = None,
        told: str | None = None,
    ) -> UpstreamFailed:
        message = f"the model service at {self._host} {what}"
        passed = None
        if told is not None and self._wire.passes_errors and len(told) <= TOLD_CHARS_MAX:
            passed = {"wire": self._wire.hive, "body": told}
        return UpstreamFailed(
            message, code=code, is_passing=is_passing, retry_after=retry_after, told=passed
        )
