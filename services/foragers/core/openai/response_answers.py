"""A turn as a response: a list of items, each opened, filled and done before the next.

`Streamed` tells every step as an event and ends with the whole object; `Folded` says the object
alone.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from foragers.core.answers import ANSWER_CHARS_MAX, UNNAMED_MODEL, Answer, count, input_of
from foragers.core.calls import Call
from foragers.core.errors import ApiError
from thrum.tones import Body

Echo = Mapping[str, Any]

KEEP_ALIVE = b": keep-alive\n\n"

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class _Response(Answer):
    """What both forms share: the items so far."""

    def __init__(self, answer_id: str, model: str | None, created: int, *, echo: Echo) -> None:
        super().__init__(answer_id, model, created)
        self._echo = echo
        self._items: list[Body] = []
        self._open = ""
        """Kind of the item that is not done yet: `message`, `reasoning` or none."""
        self._pieces: list[str] = []
        """The text of the open item."""
        self._chars = 0

    def message(self) -> Body:
        """The text and the calls; reasoning is left out."""
        texts = [
            part["text"] for item in self._items if item["type"] == "message"
            for part in item["content"]
        ]  # fmt: skip
        message: Body = {"role": "assistant", "content": "\n".join(texts) or None}
        if self.calls:
            message["tool_calls"] = [
                {
                    "id": call.shown_id, "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call in self.calls
            ]  # fmt: skip
        return message

    def _text(self, text: str, said: list[bytes]) -> None:
        self._add("message", text, said)

    def _reasoning(self, text: str, said: list[bytes]) -> None:
        self._add("reasoning", text, said)

    def _called(self, call: Call, said: list[bytes]) -> None:
        self._close(said)
        item = {
            "type": "function_call", "id": self._item_id("fc"), "call_id": call.shown_id,
            "name": call.name, "arguments": call.arguments, "status": "completed",
        }  # fmt: skip
        self._items.append(item)
        self._told_call(item, said)

    def _end(self, reason: str, usage: Body | None, said: list[bytes]) -> None:
        self._close(said)
        cut = _INCOMPLETE.get(reason)
        more: Body = {"incomplete_details": {"reason": cut}} if cut else {}
        status = "incomplete" if cut else "completed"
        self._told_end(self._object(status, usage=_usage_of(usage), **more), said)
        self.is_over = True

    def _add(self, kind: str, text: str, said: list[bytes]) -> None:
        if self._open != kind:
            self._close(said)
            self._open = kind
            self._told_open(kind, said)
        self._pieces.append(text)
        self._chars += len(text)
        if self._chars > ANSWER_CHARS_MAX:
            what = f"the answer is longer than {ANSWER_CHARS_MAX} characters"
            self.fail(ApiError(502, what))
            return
        self._told_text(text, said)

    def _close(self, said: list[bytes]) -> None:
        kind, self._open = self._open, ""
        if not kind:
            return
        text = "".join(self._pieces)
        self._pieces.clear()
        item = _item(kind, self._item_id(_PREFIXES[kind]), "completed", text)
        self._items.append(item)
        self._told_close(item, text, said)

    def _item_id(self, prefix: str) -> str:
        return f"{prefix}_{self.id.removeprefix('resp_')}_{len(self._items)}"

    def _object(self, status: str, **more: Any) -> Body:
        return {
            "id": self.id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "model": self._model or UNNAMED_MODEL,
            "output": list(self._items),
            "usage": None,
            **self._echo,
            **more,
        }

    def _told_open(self, kind: str, said: list[bytes]) -> None:
        """An item begins."""
        return

    def _told_text(self, text: str, said: list[bytes]) -> None:
        """The open item got text."""
        return

    def _told_close(self, item: Body, text: str, said: list[bytes]) -> None:
        """The open item is done."""
        return

    def _told_call(self, item: Body, said: list[bytes]) -> None:
        """A call is there, whole."""
        return

    def _told_end(self, response: Body, said: list[bytes]) -> None:
        """The response is complete."""
        said.append(orjson.dumps(response))


class Folded(_Response):
    """One JSON object."""

    content_type = b"application/json"


class Streamed(_Response):
    """Server-sent events, numbered from 0."""

    content_type = b"text/event-stream; charset=utf-8"

    def __init__(self, answer_id: str, model: str | None, created: int, *, echo: Echo) -> None:
        super().__init__(answer_id, model, created, echo=echo)
        self._number = 0

    def silence(self) -> bytes:
        """A comment."""
        return KEEP_ALIVE

    def last_words(self, failure: ApiError) -> bytes:
        """`response.failed`, which ends the stream; one that has not begun begins before it."""
        said: list[bytes] = []
        self._start(said)
        code = "rate_limit_exceeded" if failure.status == 429 else "server_error"
        error = {"code": code, "message": failure.message}
        self._say("response.failed", said, response=self._object("failed", error=error))
        return b"".join(said)

    def _told_open(self, kind: str, said: list[bytes]) -> None:
        self._start(said)
        item = _item(kind, self._item_id(_PREFIXES[kind]), "in_progress", None)
        place = self._place()
        self._say("response.output_item.added", said, output_index=place, item=item)
        at = {"item_id": item["id"], "output_index": place}
        if kind == "message":
            part = _text_part("")
            self._say("response.content_part.added", said, **at, content_index=0, part=part)
        else:
            summary = {"type": "summary_text", "text": ""}
            event = "response.reasoning_summary_part.added"
            self._say(event, said, **at, summary_index=0, part=summary)

    def _told_text(self, text: str, said: list[bytes]) -> None:
        at = {"item_id": self._item_id(_PREFIXES[self._open]), "output_index": self._place()}
        if self._open == "message":
            more = {"content_index": 0, "delta": text, "logprobs": []}
            self._say("response.output_text.delta", said, **at, **more)
        else:
            event = "response.reasoning_summary_text.delta"
            self._say(event, said, **at, summary_index=0, delta=text)

    def _told_close(self, item: Body, text: str, said: list[bytes]) -> None:
        place = self._place() - 1
        at = {"item_id": item["id"], "output_index": place}
        if item["type"] == "message":
            part, more = _text_part(text), {"content_index": 0}
            self._say("response.output_text.done", said, **at, **more, text=text, logprobs=[])
            self._say("response.content_part.done", said, **at, **more, part=part)
        else:
            part, more = {"type": "summary_text", "text": text}, {"summary_index": 0}
            self._say("response.reasoning_summary_text.done", said, **at, **more, text=text)
            self._say("response.reasoning_summary_part.done", said, **at, **more, part=part)
        self._say("response.output_item.done", said, output_index=place, item=item)

    def _told_call(self, item: Body, said: list[bytes]) -> None:
        self._start(said)
        place = self._place() - 1
        opened = {**item, "arguments": "", "status": "in_progress"}
        self._say("response.output_item.added", said, output_index=place, item=opened)
        at = {"item_id": item["id"], "output_index": place}
        text = item["arguments"]
        self._say("response.function_call_arguments.delta", said, **at, delta=text)
        done = {"name": item["name"], "arguments": text}
        self._say("response.function_call_arguments.done", said, **at, **done)
        self._say("response.output_item.done", said, output_index=place, item=item)

    def _told_end(self, response: Body, said: list[bytes]) -> None:
        self._start(said)
        self._say(f"response.{response['status']}", said, response=response)

    def _start(self, said: list[bytes]) -> None:
        if self._number == 0:
            for event in ("response.created", "response.in_progress"):
                self._say(event, said, response=self._object("in_progress"))

    def _place(self) -> int:
        """The place of the item that comes next or is open."""
        return len(self._items)

    def _say(self, event: str, said: list[bytes], **fields: Any) -> None:
        body = orjson.dumps({"type": event, "sequence_number": self._number, **fields})
        self._number += 1
        said.append(b"event: " + event.encode() + b"\ndata: " + body + b"\n\n")


_PREFIXES = {"message": "msg", "reasoning": "rs"}


def _item(kind: str, item_id: str, status: str, text: str | None) -> Body:
    """An item of text; without text it is only opened."""
    if kind == "reasoning":
        summary = [] if text is None else [{"type": "summary_text", "text": text}]
        return {"type": "reasoning", "id": item_id, "summary": summary, "status": status}
    content = [] if text is None else [_text_part(text)]
    return {
        "type": "message", "id": item_id, "role": "assistant",
        "status": status, "content": content,
    }  # fmt: skip


def _text_part(text: str) -> Body:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage_of(usage: Mapping[str, Any] | None) -> Body | None:
    """What a turn cost, in the dialect's words; cached input is part of the input."""
    if usage is None:
        return None
    tokens = input_of(usage)
    output = count(usage.get("output_tokens"))
    return {
        "input_tokens": tokens,
        "input_tokens_details": {"cached_tokens": count(usage.get("cache_read_input_tokens"))},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": count(usage.get("reasoning_tokens"))},
        "total_tokens": tokens + output,
    }
