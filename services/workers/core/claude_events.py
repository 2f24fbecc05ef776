"""What `claude -p --output-format stream-json` says, one JSON object on each line.

`Reading` understands the lines of one turn; what it does not know it skips, as the program says
more with every version. Only the conversation itself counts, not what sub-agents say.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from thrum.tones import Body
from workers.core.anthropic import MessageCompletion

USAGE = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)
OUR_TOOLS = "mcp__hum__"
"""Beginning of the names that our own tools have inside; whoever runs them tells of them."""
SYNTHETIC = "<synthetic>"
"""The model of a message that the program wrote itself, to say what went wrong."""
CUT_SHORT = frozenset({"error_max_turns", "error_max_budget_usd"})
"""Endings by a bound of the program's own: an answer, but a short one."""
UNEXPLAINED = "claude gave no reason; see that it is logged in and has credit: claude -p hi"


@dataclass(frozen=True, slots=True)
class Began:
    """A turn began."""

    session: str
    model: str
    tools: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """A piece of the reasoning, or what it was signed with."""

    text: str = ""
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Redacted:
    """Reasoning that nobody can read."""

    data: str


@dataclass(frozen=True, slots=True)
class Called:
    """The program runs a tool of its own."""

    call_id: str
    name: str
    args: Body


@dataclass(frozen=True, slots=True)
class Returned:
    """That tool is done."""

    call_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The turn is over."""

    reason: str = "end_turn"
    error: str = ""
    """What went wrong; empty when nothing did."""
    code: int | None = None
    """The status of the model's service."""
    about: Body = field(default_factory=dict)
    """What the program says of the turn: its price, its rounds."""


Event = Began | Text | Thought | Redacted | Called | Returned | Ended


@dataclass(slots=True)
class Reading:
    """The lines of one turn so far."""

    model: str | None = None
    """The model that answers."""
    usage: dict[str, int] = field(default_factory=lambda: dict.fromkeys(USAGE, 0))
    skipped: int = 0
    """Lines that are no JSON object."""
    _before: dict[str, int] = field(default_factory=dict)
    """Usage of the messages before this one."""
    _streamed: set[str] = field(default_factory=set)
    """Ids of the messages whose text came in pieces."""
    _ours: set[str] = field(default_factory=set)
    """Calls of our own tools."""
    _stop: str | None = None
    _has_text: bool = False

    def take(self, line: bytes) -> list[Event]:
        """What the next line says."""
        try:
            told = orjson.loads(line)
        except orjson.JSONDecodeError:
            told = None
        if not isinstance(told, dict):
            self.skipped += 1
            return []
        if told.get("parent_tool_use_id"):
            return []
        kind = told.get("type")
        if kind == "stream_event":
            return list(self._streaming(_map(told.get("event"))))
        if kind == "assistant":
            return list(self._whole(_map(told.get("message"))))
        if kind == "user":
            return list(self._results(_map(told.get("message"))))
        if kind == "result":
            return list(self._result(told))
        if kind == "system" and told.get("subtype") == "init":
            tools = tuple(name for name in _list(told.get("tools")) if isinstance(name, str))
            return [Began(_text(told.get("session_id")), _text(told.get("model")), tools)]
        return []

    def _streaming(self, event: Mapping[str, Any]) -> Iterator[Event]:
        kind = event.get("type")
        if kind == "message_start":
            message = _map(event.get("message"))
            self._streamed.add(_text(message.get("id")))
            self.model = _text(message.get("model")) or self.model
            self._before = dict(self.usage)
            self._count(message.get("usage"))
        elif kind == "message_delta":
            self._stop = _map(event.get("delta")).get("stop_reason") or self._stop
            self._count(event.get("usage"))
        elif kind == "content_block_start":
            block = _map(event.get("content_block"))
            if block.get("type") == "redacted_thinking":
                yield Redacted(_text(block.get("data")))
        elif kind == "content_block_delta":
            yield from self._delta(_map(event.get("delta")))

    def _delta(self, delta: Mapping[str, Any]) -> Iterator[Event]:
        kind = delta.get("type")
        if kind == "text_delta" and (text := _text(delta.get("text"))):
            self._has_text = True
            yield Text(text)
        elif kind == "thinking_delta" and (text := _text(delta.get("thinking"))):
            yield Thought(text)
        elif kind == "signature_delta" and (signature := _text(delta.get("signature"))):
            yield Thought(signature=signature)

    def _whole(self, message: Mapping[str, Any]) -> Iterator[Event]:
        """A message that is complete: its calls, and its text when that was not streamed."""
        is_new = _text(message.get("id")) not in self._streamed
        if message.get("model") == SYNTHETIC:
            return
        for block in map(_map, _list(message.get("content"))):
            kind, text = block.get("type"), _text(block.get("text"))
            if kind == "tool_use":
                yield from self._call(block)
            elif kind == "text" and is_new and text:
                self._has_text = True
                yield Text(text)

    def _call(self, block: Mapping[str, Any]) -> Iterator[Event]:
        call_id, name = _text(block.get("id")), _text(block.get("name"))
        if name.startswith(OUR_TOOLS):
            self._ours.add(call_id)
        else:
            yield Called(call_id, name, dict(_map(block.get("input"))))

    def _results(self, message: Mapping[str, Any]) -> Iterator[Event]:
        for block in map(_map, _list(message.get("content"))):
            call_id = _text(block.get("tool_use_id"))
            if block.get("type") == "tool_result" and call_id not in self._ours:
                yield Returned(call_id, _joined(block.get("content")))

    def _result(self, told: Mapping[str, Any]) -> Iterator[Event]:
        subtype, text = _text(told.get("subtype")), _text(told.get("result"))
        if any(counted := _counted(told.get("usage"))):
            self.usage = dict(zip(USAGE, counted, strict=True))
        about = {
            ours: told[name]
            for name, ours in (("total_cost_usd", "totalCostUsd"), ("num_turns", "rounds"))
            if isinstance(told.get(name), int | float)
        }
        if subtype in CUT_SHORT:
            yield Ended("length", about=about)
        elif told.get("is_error") or subtype.startswith("error"):
            errors = "; ".join(one for one in _list(told.get("errors")) if isinstance(one, str))
            status = told.get("api_error_status")
            reason = text or errors or _text(told.get("error"))
            code = status if isinstance(status, int) else None
            yield Ended("error", reason or UNEXPLAINED, code, about)
        else:
            if text and not self._has_text:
                yield Text(text)
            reasons = MessageCompletion.reasons
            yield Ended(reasons.get(self._stop or "end_turn", "end_turn"), about=about)

    def _count(self, usage: object) -> None:
        """A message's usage so far stands in place of what it said before."""
        for name, count in zip(USAGE, _counted(usage), strict=True):
            if count:
                self.usage[name] = self._before.get(name, 0) + count


def _counted(usage: object) -> list[int]:
    counts = (_map(usage).get(name) for name in USAGE)
    return [count if type(count) is int and count > 0 else 0 for count in counts]


def _joined(content: object) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(_text(part.get("text")) for part in map(_map, _list(content)))


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
