"""A turn as a chat completion: tones in, the bytes of the answer out.

`Streamed` says everything as soon as it is known, as server-sent events; `Folded` says one object
at the end. Both are fed whatever arrived together and return what to send now. An answer ends in
one of three ways:

- `finish`: it is complete.
- A failure: `failure` is set and nothing more is said. The caller makes it a status or, in a stream
  that had begun, a last event without `[DONE]`.
- The model calls tools of the client: `calls` is not empty, and when nothing more follows the
  caller asks for `yielded()`, which completes this answer while the turn goes on.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from foragers.core.openai.errors import ApiError, error_of
from thrum.chi import Chi
from thrum.tones import Body, Tone

UNNAMED_MODEL = "hum"
"""The model in an answer when neither the client nor the worker named one."""
CALLS_MAX = 128
"""Tool calls in one answer."""
CALL_ID_CHARS = 24
"""Characters of the answer's id in the ids of its calls; some services take 40 all."""
ANSWER_CHARS_MAX = 16 * 1024 * 1024
"""Characters of one answer that is not streamed."""

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"

_FINISH: Mapping[str, str] = {
    "length": "length",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "tool-use": "tool_calls",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
}
"""By hum's word for it; every other end is `stop`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The model calls a tool of the client."""

    call_id: str
    """The worker's id of it."""
    shown_id: str
    """The client's id of it: ours, because a worker's may come again in another turn."""
    name: str
    arguments: str
    """A JSON object."""

    def body(self) -> Body:
        """As it stands in an answer."""
        function = {"name": self.name, "arguments": self.arguments}
        return {"id": self.shown_id, "type": "function", "function": function}


class _Answer(ABC):
    """What both forms share: what has been seen of the turn."""

    def __init__(self, answer_id: str, model: str | None, created: int) -> None:
        self.calls: list[Call] = []
        self.failure: ApiError | None = None
        self.is_over = False
        """Whether nothing more is to be said in this answer."""
        self._id = answer_id
        self._model = model
        self._created = created

    def feed(self, tones: Iterable[Tone]) -> bytes:
        """Take tones in their order; return what to send now. After the end nothing is taken."""
        said: list[bytes] = []
        for tone in tones:
            chi = tone.chi
            if chi == Chi.CHUNK:
                self._chunk(tone.body, said)
            elif chi == Chi.FINISH:
                self._finish(tone.body, said)
            elif chi == Chi.ERROR:
                self.fail(error_of(tone.body))
            elif chi == Chi.TOOL_CALL:
                self._tool_call(tone, said)
            elif chi == Chi.SESSION_READY and self._model is None:
                self._model = tone.text("model")
            if self.is_over:
                break
        return b"".join(said)

    def yielded(self) -> bytes:
        """The model waits for the client's tools: complete this answer; return the rest of it."""
        said: list[bytes] = []
        self._end("tool_calls", None, said)
        return b"".join(said)

    def fail(self, failure: ApiError) -> None:
        """The turn cannot go on; nothing more is said."""
        self.failure = failure
        self.is_over = True

    def _chunk(self, body: Body, said: list[bytes]) -> None:
        kind = body.get("chunkType")
        if kind == "text_delta":
            if type(delta := body.get("delta")) is str and delta:
                self._text(delta, said)
        elif kind == "reasoning_delta":
            if type(delta := body.get("delta")) is str and delta:
                self._reasoning(delta, said)
        elif kind is None and type(part := body.get("part")) is dict:
            text = part.get("text") if part.get("type") == "text" else None
            if type(text) is str and text:
                self._text(text, said)

    def _tool_call(self, tone: Tone, said: list[bytes]) -> None:
        call_id, name = tone.text("callId"), tone.tool_name
        if not call_id or not name:
            return
        if len(self.calls) >= CALLS_MAX:
            self.fail(ApiError(502, f"the model made more than {CALLS_MAX} tool calls at once"))
            return
        args = tone.body.get("args")
        text = args if type(args) is str else orjson.dumps(args or {}).decode()
        shown_id = f"call_{self._id[-CALL_ID_CHARS:]}_{len(self.calls)}"
        call = Call(call_id=call_id, shown_id=shown_id, name=name, arguments=text)
        self.calls.append(call)
        self._called(call, said)

    def _finish(self, body: Body, said: list[bytes]) -> None:
        reason = body.get("finishReason")
        if reason == "error":
            self.fail(ApiError(502, "the model's process ended before its answer was complete"))
            return
        usage = body.get("usage")
        word = _FINISH.get(reason, "stop") if type(reason) is str else "stop"
        if self.calls:
            word = "tool_calls"
        elif word == "tool_calls":
            word = "stop"  # the tools were not the client's
        self._end(word, usage_of(usage) if type(usage) is dict else None, said)

    @abstractmethod
    def _text(self, text: str, said: list[bytes]) -> None: ...

    @abstractmethod
    def _reasoning(self, text: str, said: list[bytes]) -> None: ...

    @abstractmethod
    def _called(self, call: Call, said: list[bytes]) -> None: ...

    @abstractmethod
    def _end(self, reason: str, usage: Body | None, said: list[bytes]) -> None: ...


class Streamed(_Answer):
    """Server-sent events."""

    content_type = b"text/event-stream; charset=utf-8"
    keep_alive = KEEP_ALIVE

    def __init__(
        self, answer_id: str, model: str | None, created: int, *, wants_usage: bool
    ) -> None:
        super().__init__(answer_id, model, created)
        self._wants_usage = wants_usage
        self._before: bytes = b""
        self._tail = b',"usage":null}\n\n' if wants_usage else b"}\n\n"
        self._after = b'},"finish_reason":null}]' + self._tail

    def _text(self, text: str, said: list[bytes]) -> None:
        said.append(self._opened(said) + b'"content":' + orjson.dumps(text) + self._after)

    def _reasoning(self, text: str, said: list[bytes]) -> None:
        said.append(self._opened(said) + b'"reasoning_content":' + orjson.dumps(text) + self._after)

    def _called(self, call: Call, said: list[bytes]) -> None:
        delta = orjson.dumps([{"index": len(self.calls) - 1, **call.body()}])
        said.append(self._opened(said) + b'"tool_calls":' + delta + self._after)

    def _end(self, reason: str, usage: Body | None, said: list[bytes]) -> None:
        opened = self._opened(said)
        said.append(opened + b'},"finish_reason":"' + reason.encode() + b'"}]' + self._tail)
        if self._wants_usage and usage is not None:
            head = opened[: -len(_CHOICE)]
            said.append(head + b'"choices":[],"usage":' + orjson.dumps(usage) + b"}\n\n")
        said.append(DONE)
        self.is_over = True

    def _opened(self, said: list[bytes]) -> bytes:
        """An event up to its delta's first key; the first one of all tells the role."""
        if not self._before:
            head = {
                "id": self._id,
                "object": "chat.completion.chunk",
                "created": self._created,
                "model": self._model or UNNAMED_MODEL,
            }
            self._before = b"data: " + orjson.dumps(head)[:-1] + b"," + _CHOICE
            said.append(self._before + b'"role":"assistant","content":""' + self._after)
        return self._before


_CHOICE = b'"choices":[{"index":0,"delta":{'


class Folded(_Answer):
    """One JSON object."""

    content_type = b"application/json"
    keep_alive = b""

    def __init__(self, answer_id: str, model: str | None, created: int) -> None:
        super().__init__(answer_id, model, created)
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._chars = 0

    def _text(self, text: str, said: list[bytes]) -> None:
        self._keep(text, self._texts)

    def _reasoning(self, text: str, said: list[bytes]) -> None:
        self._keep(text, self._thoughts)

    def _keep(self, text: str, texts: list[str]) -> None:
        texts.append(text)
        self._chars += len(text)
        if self._chars > ANSWER_CHARS_MAX:
            self.fail(
                ApiError(502, f"the answer is longer than {ANSWER_CHARS_MAX} characters: stream it")
            )

    def _called(self, call: Call, said: list[bytes]) -> None:
        """Said at the end, with all others."""

    def _end(self, reason: str, usage: Body | None, said: list[bytes]) -> None:
        message: Body = {
            "role": "assistant", "content": "".join(self._texts) or None, "refusal": None,
        }  # fmt: skip
        if self._thoughts:
            message["reasoning_content"] = "".join(self._thoughts)
        if self.calls:
            message["tool_calls"] = [call.body() for call in self.calls]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        answer: Body = {
            "id": self._id,
            "object": "chat.completion",
            "created": self._created,
            "model": self._model or UNNAMED_MODEL,
            "choices": [choice],
        }
        if usage is not None:
            answer["usage"] = usage
        said.append(orjson.dumps(answer))
        self.is_over = True


Answer = Streamed | Folded


def usage_of(usage: Mapping[str, Any]) -> Body:
    """What a turn cost, in the dialect's words; cached input is part of the prompt."""
    cached = _count(usage.get("cache_read_input_tokens"))
    prompt = _count(usage.get("input_tokens")) + cached
    prompt += _count(usage.get("cache_creation_input_tokens"))
    completion = _count(usage.get("output_tokens"))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def _count(value: object) -> int:
    return value if type(value) is int and value > 0 else 0
