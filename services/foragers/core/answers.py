"""A turn on its way to a client: tones in, the bytes of the answer out, whatever the dialect.

An answer is fed whatever arrived together and returns what to send now. It ends in one of three
ways:

- `finish`: it is complete.
- A failure: `failure` is set and nothing more is said. The caller makes it a status or, in a stream
  that had begun, the dialect's own last event.
- The model calls tools of the client: `calls` is not empty, and when nothing more follows the
  caller asks for `yielded()`, which completes this answer while the turn goes on.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import orjson

from foragers.core.calls import CALL_ID_CHARS, CALLS_MAX, Call
from foragers.core.errors import ApiError, error_of
from foragers.core.trails import Said
from thrum.chi import Chi
from thrum.tones import Body, Tone

UNNAMED_MODEL = "hum"
"""The model in an answer when neither the client nor the worker named one."""
ANSWER_CHARS_MAX = 16 * 1024 * 1024
"""Characters of one answer that is not streamed."""

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


class Answer(ABC):
    """A turn on its way to a client, in one dialect and form."""

    content_type: ClassVar[bytes]
    can_wait: ClassVar[bool] = True
    """Whether the results of the client's tools can be told to belong to this turn."""
    call_prefix: ClassVar[str] = "call_"
    """How the dialect's ids of tool calls begin."""

    def __init__(self, answer_id: str, model: str | None, created: int) -> None:
        self.calls: list[Call] = []
        self.failure: ApiError | None = None
        self.is_over = False
        """Whether nothing more is to be said in this answer."""
        self.fallback = ""
        """The model that answers in place of the first choice."""
        self.spent_before: Body = {}
        """What the turn had cost when this answer began, by the worker's names."""
        self.spent: Body = {}
        """What it has cost so far, as far as the worker said."""
        self.input_tokens = 0
        """Of the prompt, cached ones included, as the worker counted when the turn was complete."""
        self.is_cached = False
        """Whether some of the answer was given before, and cost nothing now."""
        self.is_truncated = False
        """Whether the model does not see the whole prompt."""
        self.id = answer_id
        self._model = model
        self._created = created
        self._said = Said()

    @property
    def digest(self) -> bytes:
        """Of what was said so far, as it stands in a trail once the client repeats it."""
        calls = [(call.name, call.arguments) for call in self.calls]
        return self._said.digest("assistant", calls)

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
        self._end("tool_calls", self._own_part(self.spent) if self.spent else None, said)
        return b"".join(said)

    def _own_part(self, spent: Body) -> Body:
        """What this answer cost, of all that its turn did: earlier answers told their own part."""
        return {
            name: max(0, count(value) - count(self.spent_before.get(name)))
            for name, value in spent.items()
        }

    def silence(self) -> bytes:
        """What is said when there is nothing to say for long, so that nobody hangs up."""
        return b""

    def last_words(self, failure: ApiError) -> bytes:
        """How a stream that had begun says that it failed; empty: as the dialect does for all."""
        return b""

    def message(self) -> Body | None:
        """What was said, as a message of a chat, when the form keeps it."""
        return None

    def fail(self, failure: ApiError) -> None:
        """The turn cannot go on; nothing more is said."""
        self.failure = failure
        self.is_over = True

    def _chunk(self, body: Body, said: list[bytes]) -> None:
        kind = body.get("chunkType")
        if kind == "text_delta":
            if type(delta := body.get("delta")) is str and delta:
                self._said.add(delta)
                self._text(delta, said)
        elif kind == "reasoning_delta":
            if type(delta := body.get("delta")) is str and delta:
                self._reasoning(delta, said)
        elif kind == "truncated":
            self.is_truncated = True
        elif kind == "fallback":
            self.fallback = str(body.get("to") or "")
        elif kind == "usage":
            if type(spent := body.get("usage")) is dict:
                self.spent = spent
        elif kind == "cache_hit":
            self.is_cached = True
        elif kind == "reasoning_redacted":
            if type(data := body.get("data")) is str:
                self._redacted(data, said)
        elif kind == "reasoning_signature":
            if type(signature := body.get("signature")) is str:
                self._signed(signature, said)
        elif kind is None and type(part := body.get("part")) is dict:
            text = part.get("text") if part.get("type") == "text" else None
            if type(text) is str and text:
                self._said.add(text)
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
        shown_id = f"{self.call_prefix}{self.id[-CALL_ID_CHARS:]}_{len(self.calls)}"
        call = Call(call_id=call_id, shown_id=shown_id, name=name, arguments=text)
        self.calls.append(call)
        self._called(call, said)

    def _finish(self, body: Body, said: list[bytes]) -> None:
        reason = body.get("finishReason")
        if reason == "error":
            self.fail(ApiError(502, "the model's process ended before its answer was complete"))
            return
        if self._model is None and type(model := body.get("model")) is str:
            self._model = model or None
        told = body.get("usage")
        usage = self._own_part(told) if type(told) is dict else None
        self.input_tokens = input_of(usage)
        word = _FINISH.get(reason, "stop") if type(reason) is str else "stop"
        if self.calls:
            word = "tool_calls"
        elif word == "tool_calls":
            word = "stop"  # the tools were not the client's
        self._end(word, usage, said)

    @abstractmethod
    def _text(self, text: str, said: list[bytes]) -> None: ...

    @abstractmethod
    def _reasoning(self, text: str, said: list[bytes]) -> None: ...

    def _signed(self, signature: str, said: list[bytes]) -> None:
        """The model's service signed the reasoning so far; most dialects have no place for it."""
        return

    def _redacted(self, data: str, said: list[bytes]) -> None:
        """Reasoning that only the service can read; most dialects have no place for it."""
        return

    @abstractmethod
    def _called(self, call: Call, said: list[bytes]) -> None: ...

    @abstractmethod
    def _end(self, reason: str, usage: Body | None, said: list[bytes]) -> None:
        """The answer is complete.

        `reason` is `stop`, `length`, `tool_calls` or `content_filter`; `usage` has the worker's
        counts as on the wire.
        """


def input_of(usage: Mapping[str, Any] | None) -> int:
    """All input tokens of a turn, cached ones included, from a worker's counts."""
    return sum(count((usage or {}).get(name)) for name in _INPUT)


_INPUT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def count(value: object) -> int:
    """A number of tokens as a worker tells it; 0 for what is none."""
    return value if type(value) is int and value > 0 else 0
