"""One streamed completion: decoded events in, what they add up to out.

`Completion` is what all dialects share. `ChatCompletion` reads that of OpenAI leniently where
services differ (a missing `index`, a whole completion instead of a stream, usage in the last event
or in each) and strictly where leniency would invent an answer: an error inside the stream, or a
stream without `finish_reason`, is a failure.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import orjson

from thrum.errors import PeerError
from thrum.tones import Body

CALLS_MAX = 64
"""Tool calls of one completion."""
ARGUMENTS_CHARS_MAX = 4 * 1024 * 1024
"""Characters of one call's arguments."""
DONE = b"[DONE]"
MESSAGE_CHARS_MAX = 1_000
"""Of a service's error message, the part that is passed on."""
WORD_CHARS_MAX = 64
"""Of a code or reason that a service made up, the part that is passed on."""
TEXT_CHARS_MAX = 8 * 1024 * 1024
"""Characters of one answer."""


class CompletionFailed(PeerError):
    """The service said so inside its stream, or sent what is no completion."""

    def __init__(
        self, message: str, *, code: int | str | None = None, body: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.body = body
        """What the service said, word for word, where it matters."""


@dataclass(slots=True)
class Usage:
    """Tokens of a turn, summed over its completions; cached input is counted apart."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0

    def add(self, other: "Usage") -> None:
        """Add what one more completion cost."""
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cache_read_input_tokens += other.cache_read_input_tokens
        self.cache_creation_input_tokens += other.cache_creation_input_tokens

    def body(self) -> Body:
        """As it goes into `finish`."""
        body: Body = {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens}
        if self.cache_read_input_tokens:
            body["cache_read_input_tokens"] = self.cache_read_input_tokens
        if self.cache_creation_input_tokens:
            body["cache_creation_input_tokens"] = self.cache_creation_input_tokens
        return body


@dataclass(slots=True)
class ToolCall:
    """One call that the model wants, as far as it has been streamed."""

    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    chars: int = 0

    def add(self, arguments: str) -> None:
        """One more piece of the arguments. Raises `CompletionFailed`."""
        self.pieces.append(arguments)
        self.chars += len(arguments)
        if self.chars > ARGUMENTS_CHARS_MAX:
            raise CompletionFailed(f"arguments longer than {ARGUMENTS_CHARS_MAX} characters")

    @property
    def arguments(self) -> str:
        """The arguments as the model wrote them: JSON, if it wrote well."""
        return "".join(self.pieces)


@dataclass(slots=True, frozen=True)
class Delta:
    """What one read added to the answer; empty strings when nothing."""

    reasoning: str
    text: str
    signature: str = ""
    """What the service signed its reasoning with, when the reasoning is complete."""
    redacted: tuple[str, ...] = ()
    """Reasoning that the service shows to nobody, and wants back."""


@dataclass(slots=True)
class Said:
    """What one read says, collected."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    signature: str = ""
    redacted: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Completion(ABC):
    """What has been streamed so far."""

    reasons: ClassVar[Mapping[str, str]] = {}
    """The dialect's words for why it ended, in hum's."""
    finish_reason: str | None = None
    usage: Usage = field(default_factory=Usage)
    calls: dict[int, ToolCall] = field(default_factory=dict)
    text: list[str] = field(default_factory=list)
    chars: int = 0
    """Characters so far, reasoning included."""
    has_begun: bool = False
    """Whether any of the answer has come."""
    is_done: bool = False
    """Whether the service said that nothing follows."""

    def take(self, events: Iterable[bytes]) -> Delta:
        """Take the events of one read. Raises `CompletionFailed`; what came before it is kept."""
        self.has_begun = True
        said = Said()
        for event in events:
            if event == DONE:
                self.is_done = True
                break
            self._event(_object(event), said)
        delta = Delta(
            "".join(said.reasoning), "".join(said.text), said.signature, tuple(said.redacted)
        )
        self.chars += len(delta.text) + len(delta.reasoning)
        if self.chars > TEXT_CHARS_MAX:
            raise CompletionFailed(f"an answer longer than {TEXT_CHARS_MAX} characters")
        if delta.text:
            self.text.append(delta.text)
        return delta

    @property
    def stop(self) -> str:
        """Why it ended, in hum's words."""
        reason = self.finish_reason or ""
        return self.reasons.get(reason, reason[:WORD_CHARS_MAX])

    @property
    def wants_calls(self) -> bool:
        """Whether the model waits for tools. A completion that was cut off does not."""
        return bool(self.calls) and self.stop == "end_turn"

    def message(self) -> Body:
        """The assistant's message, to be sent back with the results of its calls."""
        message: Body = {"role": "assistant", "content": "".join(self.text) or None}
        if self.calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments or "{}"},
                }
                for call in self.calls.values()
            ]
        return message

    def open_call(self, index: int, identity: str = "") -> ToolCall:
        """The call at `index`, made when it is new. Raises `CompletionFailed`."""
        call = self.calls.get(index)
        if call is None:
            if len(self.calls) >= CALLS_MAX:
                raise CompletionFailed(f"more than {CALLS_MAX} tool calls in one completion")
            call = self.calls[index] = ToolCall(id=identity or f"call_{index}")
        return call

    @abstractmethod
    def _event(self, event: Mapping[str, Any], said: Said) -> None:
        """Take one event. Raises `CompletionFailed`."""


class ChatCompletion(Completion):
    """In the OpenAI dialect."""

    reasons: ClassVar[Mapping[str, str]] = {
        "stop": "end_turn",
        "tool_calls": "end_turn",
        "function_call": "end_turn",
        "length": "length",
        "content_filter": "content_filter",
    }

    def _event(self, event: Mapping[str, Any], said: Said) -> None:
        if "error" in event and event["error"] is not None:
            raise CompletionFailed(error_message(event), code=error_code(event))
        usage = event.get("usage")
        if type(usage) is dict:
            self.usage = usage_of(usage)
        choices = event.get("choices")
        if type(choices) is not list or not choices or type(choices[0]) is not dict:
            return
        choice = choices[0]
        delta = choice.get("delta") or choice.get("message")
        if type(delta) is dict:
            content = delta.get("content") or delta.get("refusal")
            if type(content) is str and content:
                said.text.append(content)
            thought = delta.get("reasoning_content") or delta.get("reasoning")
            if type(thought) is str and thought:
                said.reasoning.append(thought)
            if type(calls := delta.get("tool_calls")) is list:
                for position, call in enumerate(calls):
                    if type(call) is dict:
                        self._call(call, position)
        if type(reason := choice.get("finish_reason")) is str and reason:
            self.finish_reason = reason

    def _call(self, delta: Mapping[str, Any], position: int) -> None:
        index = delta.get("index")
        if type(index) is not int:
            index = self._position_of(delta.get("id"), position)
        call = self.open_call(index)
        if type(identity := delta.get("id")) is str and identity:
            call.id = identity
        function = delta.get("function")
        if type(function) is not dict:
            return
        if type(name := function.get("name")) is str and name:
            call.name = name
        arguments = function.get("arguments")
        if type(arguments) is dict:
            arguments = orjson.dumps(arguments).decode()
        if type(arguments) is str and arguments:
            call.add(arguments)

    def _position_of(self, identity: object, position: int) -> int:
        """The place of a call without an index: by its id when it has one, else where it stands."""
        if type(identity) is not str or not identity:
            return max(self.calls, default=position)
        known = (index for index, call in self.calls.items() if call.id == identity)
        return next(known, max(self.calls, default=-1) + 1)


def usage_of(usage: Mapping[str, Any]) -> Usage:
    """What a service says a completion cost; cached input is part of its prompt tokens."""
    details = usage.get("prompt_tokens_details")
    cached = count(details.get("cached_tokens")) if isinstance(details, dict) else 0
    prompt = count(usage.get("prompt_tokens"))
    return Usage(max(prompt - cached, 0), count(usage.get("completion_tokens")), cached)


def read_arguments(text: str) -> Body | None:
    """The arguments of a call; None when the model did not write a JSON object."""
    if not text.strip():
        return {}
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if type(value) is dict else None


def error_message(body: Mapping[str, Any]) -> str:
    """A service's error for a person: bounded, from any of the shapes in use."""
    error = body.get("error", body)
    message = error.get("message") if isinstance(error, Mapping) else error
    if not message:
        message = body.get("message") or body.get("detail") or "the service named no reason"
    text = message if isinstance(message, str) else orjson.dumps(message).decode()
    return text[:MESSAGE_CHARS_MAX]


def error_code(body: Mapping[str, Any]) -> int | str | None:
    """A service's code for its error, when it gives one."""
    error = body.get("error")
    code = error.get("code") or error.get("type") if isinstance(error, Mapping) else None
    if isinstance(code, str):
        return code[:WORD_CHARS_MAX]
    return code if isinstance(code, int) else None


def _object(event: bytes) -> Mapping[str, Any]:
    try:
        value = orjson.loads(event)
    except orjson.JSONDecodeError as problem:
        raise CompletionFailed("the service sent an event that is no JSON") from problem
    if type(value) is not dict:
        raise CompletionFailed("the service sent an event that is no JSON object")
    return value


def count(value: object) -> int:
    """A number of tokens; 0 for what is none."""
    return value if type(value) is int and value > 0 else 0
