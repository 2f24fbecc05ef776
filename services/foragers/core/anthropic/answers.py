"""A turn as a message.

`Streamed` says everything as soon as it is known: blocks one after the other, each stopped before
the next begins. `Folded` says one object at the end.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from foragers.core.answers import ANSWER_CHARS_MAX, UNNAMED_MODEL, Answer, count
from foragers.core.calls import Call
from foragers.core.errors import ApiError
from thrum.tones import Body

OUR_SIGNATURE = "hum"
"""Of thinking whose service signs nothing. No service takes it back, and workers leave it out."""

_REASONS: Mapping[str, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}


def usage_of(usage: Mapping[str, Any] | None) -> Body:
    """What a turn cost, in the dialect's words; what is not known is 0."""
    counts = usage or {}
    names = (
        "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
    )  # fmt: skip
    return {name: count(counts.get(name)) for name in names}


class _Message(Answer):
    """What both forms share."""

    call_prefix = "toolu_"

    def __init__(self, answer_id: str, model: str | None, created: int, *, thinks: bool) -> None:
        super().__init__(answer_id, model, created)
        self._thinks = thinks

    def _head(self) -> Body:
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self._model or UNNAMED_MODEL,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_of(None),
        }


class Streamed(_Message):
    """Server-sent events."""

    content_type = b"text/event-stream; charset=utf-8"

    def __init__(self, answer_id: str, model: str | None, created: int, *, thinks: bool) -> None:
        super().__init__(answer_id, model, created, thinks=thinks)
        self._index = -1
        self._open = ""
        """Kind of the block that is not stopped yet."""
        self._has_started = False
        self._before = b""
        """A delta of the open block, up to its text."""

    def silence(self) -> bytes:
        """A ping; a message that has not begun begins with it."""
        said: list[bytes] = []
        self._start(said)
        said.append(_PING)
        return b"".join(said)

    def _text(self, text: str, said: list[bytes]) -> None:
        if self._open != "text":
            self._begin("text", {"type": "text", "text": ""}, "text_delta", "text", said)
        said.append(self._before + orjson.dumps(text) + b"}}\n\n")

    def _reasoning(self, text: str, said: list[bytes]) -> None:
        if not self._thinks:
            return
        if self._open != "thinking":
            block = {"type": "thinking", "thinking": "", "signature": ""}
            self._begin("thinking", block, "thinking_delta", "thinking", said)
        said.append(self._before + orjson.dumps(text) + b"}}\n\n")

    def _signed(self, signature: str, said: list[bytes]) -> None:
        if not self._thinks:
            return
        if self._open != "thinking":  # of thinking that its service shows to nobody
            block = {"type": "thinking", "thinking": "", "signature": ""}
            self._begin("thinking", block, "thinking_delta", "thinking", said)
        self._sign(signature, said)
        self._open = "signed"

    def _redacted(self, data: str, said: list[bytes]) -> None:
        if self._thinks:
            block = {"type": "redacted_thinking", "data": data}
            self._begin("redacted_thinking", block, "none", "none", said)

    def _called(self, call: Call, said: list[bytes]) -> None:
        block = {"type": "tool_use", "id": call.shown_id, "name": call.name, "input": {}}
        self._begin("tool_use", block, "input_json_delta", "partial_json", said)
        said.append(self._before + orjson.dumps(call.arguments) + b"}}\n\n")

    def _end(self, reason: str, usage: Body | None, said: list[bytes]) -> None:
        self._start(said)
        self._stop(said)
        delta = {"stop_reason": _REASONS[reason], "stop_sequence": None}
        body = {"type": "message_delta", "delta": delta, "usage": usage_of(usage)}
        said.append(_event("message_delta", body))
        said.append(_event("message_stop", {"type": "message_stop"}))
        self.is_over = True

    def _start(self, said: list[bytes]) -> None:
        if not self._has_started:
            self._has_started = True
            start = {"type": "message_start", "message": self._head()}
            said.append(_event("message_start", start) + _PING)

    def _begin(self, kind: str, block: Body, delta: str, key: str, said: list[bytes]) -> None:
        self._start(said)
        self._stop(said)
        self._index += 1
        self._open = kind
        start = {"type": "content_block_start", "index": self._index, "content_block": block}
        said.append(_event("content_block_start", start))
        self._before = (
            f'event: content_block_delta\ndata: {{"type":"content_block_delta",'
            f'"index":{self._index},"delta":{{"type":"{delta}","{key}":'
        ).encode()

    def _stop(self, said: list[bytes]) -> None:
        if self._open == "thinking":
            self._sign(OUR_SIGNATURE, said)
        if self._open:
            stop = {"type": "content_block_stop", "index": self._index}
            said.append(_event("content_block_stop", stop))
        self._open = ""

    def _sign(self, signature: str, said: list[bytes]) -> None:
        delta = {"type": "signature_delta", "signature": signature}
        body = {"type": "content_block_delta", "index": self._index, "delta": delta}
        said.append(_event("content_block_delta", body))


class Folded(_Message):
    """One JSON object."""

    content_type = b"application/json"

    def __init__(self, answer_id: str, model: str | None, created: int, *, thinks: bool) -> None:
        super().__init__(answer_id, model, created, thinks=thinks)
        self._content: list[Body] = []
        self._pieces: list[str] = []
        """The text of the last block, not joined yet."""
        self._chars = 0

    def _text(self, text: str, said: list[bytes]) -> None:
        self._keep("text", "text", text)

    def _reasoning(self, text: str, said: list[bytes]) -> None:
        if self._thinks:
            self._keep("thinking", "thinking", text)

    def _signed(self, signature: str, said: list[bytes]) -> None:
        if not self._thinks:
            return
        last = self._content[-1] if self._content else None
        if last is None or last["type"] != "thinking" or "signature" in last:
            self._close()
            last = {"type": "thinking", "thinking": ""}
            self._content.append(last)
        last["signature"] = signature

    def _redacted(self, data: str, said: list[bytes]) -> None:
        if self._thinks:
            self._close()
            self._content.append({"type": "redacted_thinking", "data": data})

    def _called(self, call: Call, said: list[bytes]) -> None:
        self._close()
        block = {"type": "tool_use", "id": call.shown_id, "name": call.name, "input": call.input}
        self._content.append(block)

    def _end(self, reason: str, usage: Body | None, said: list[bytes]) -> None:
        self._close()
        message = {
            **self._head(),
            "content": self._content,
            "stop_reason": _REASONS[reason],
            "usage": usage_of(usage),
        }
        said.append(orjson.dumps(message))
        self.is_over = True

    def _keep(self, kind: str, key: str, text: str) -> None:
        last = self._content[-1] if self._content else None
        if last is None or last["type"] != kind or "signature" in last:
            self._close()
            self._content.append({"type": kind, key: ""})
        self._pieces.append(text)
        self._chars += len(text)
        if self._chars > ANSWER_CHARS_MAX:
            what = f"the answer is longer than {ANSWER_CHARS_MAX} characters: stream it"
            self.fail(ApiError(502, what))

    def _close(self) -> None:
        """The last block is complete."""
        if not self._pieces:
            return
        last, text = self._content[-1], "".join(self._pieces)
        self._pieces.clear()
        last[last["type"]] = text
        if last["type"] == "thinking":
            last.setdefault("signature", OUR_SIGNATURE)


def _event(name: str, body: Body) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(body) + b"\n\n"


_PING = _event("ping", {"type": "ping"})
