"""A turn as lines of JSON (`Streamed`), or as one object (`Folded`)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from foragers.core.answers import ANSWER_CHARS_MAX, Answer, count, input_of
from foragers.core.calls import Call
from foragers.core.errors import ApiError
from thrum.tones import Body


@dataclass(frozen=True, slots=True)
class Shape:
    """Where chat and generate put what is said."""

    is_chat: bool

    def body(self, text: str, thinking: str = "", calls: list[Body] | None = None) -> Body:
        """The keys of one line."""
        said: Body = {"role": "assistant", "content": text} if self.is_chat else {"response": text}
        if thinking:
            said["thinking"] = thinking
        if calls and self.is_chat:
            said["tool_calls"] = calls
        return {"message": said} if self.is_chat else said


CHAT = Shape(is_chat=True)
GENERATE = Shape(is_chat=False)


class _Lines(Answer):
    """What both forms share."""

    can_wait = False  # results come back without ids, so nobody could tell whose they are

    def __init__(
        self, model: str, created: int, *, shape: Shape, now_ns: Callable[[], int]
    ) -> None:
        super().__init__("", model, created)
        self._shape = shape
        self._now_ns = now_ns
        self._began_ns = now_ns()
        self._first_ns = 0

    def said_nothing(self, done_reason: str) -> bytes:
        """The whole answer to a request that only has a model loaded or unloaded."""
        body = {**self._shape.body(""), "done": True, "done_reason": done_reason}
        return self._line(body)

    def _line(self, body: Body) -> bytes:
        made = datetime.fromtimestamp(self._now_ns() / 1e9, UTC).isoformat()
        head = {"model": self._model, "created_at": made.replace("+00:00", "Z")}
        return orjson.dumps({**head, **body}) + b"\n"

    def _note_first(self) -> None:
        self._first_ns = self._first_ns or self._now_ns()

    def _done(self, reason: str, usage: Body | None) -> Body:
        now = self._now_ns()
        first = self._first_ns or now
        counts: dict[str, Any] = usage or {}
        return {
            "done": True,
            "done_reason": "length" if reason == "length" else "stop",
            "total_duration": now - self._began_ns,
            "load_duration": 0,
            "prompt_eval_count": input_of(usage),
            "prompt_eval_duration": first - self._began_ns,
            "eval_count": count(counts.get("output_tokens")),
            "eval_duration": now - first,
        }


class Streamed(_Lines):
    """A line for everything that is said, as soon as it is known."""

    content_type = b"application/x-ndjson"

    def _text(self, text: str, said: list[bytes]) -> None:
        self._note_first()
        said.append(self._line({**self._shape.body(text), "done": False}))

    def _reasoning(self, text: str, said: list[bytes]) -> None:
        self._note_first()
        said.append(self._line({**self._shape.body("", text), "done": False}))

    def _called(self, call: Call, said: list[bytes]) -> None:
        self._note_first()
        body = self._shape.body("", calls=[_shown(call)])
        said.append(self._line({**body, "done": False}))

    def _end(self, reason: str, usage: Body | None, said: list[bytes]) -> None:
        said.append(self._line({**self._shape.body(""), **self._done(reason, usage)}))
        self.is_over = True


class Folded(_Lines):
    """One object."""

    content_type = b"application/json; charset=utf-8"

    def __init__(
        self, model: str, created: int, *, shape: Shape, now_ns: Callable[[], int]
    ) -> None:
        super().__init__(model, created, shape=shape, now_ns=now_ns)
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._chars = 0

    def _text(self, text: str, said: list[bytes]) -> None:
        self._keep(text, self._texts)

    def _reasoning(self, text: str, said: list[bytes]) -> None:
        self._keep(text, self._thoughts)

    def _keep(self, text: str, texts: list[str]) -> None:
        self._note_first()
        texts.append(text)
        self._chars += len(text)
        if self._chars > ANSWER_CHARS_MAX:
            what = f"the answer is longer than {ANSWER_CHARS_MAX} characters: stream it"
            self.fail(ApiError(502, what))

    def _called(self, call: Call, said: list[bytes]) -> None:
        """Said at the end, with all others."""

    def _end(self, reason: str, usage: Body | None, said: list[bytes]) -> None:
        calls = [_shown(call) for call in self.calls]
        body = self._shape.body("".join(self._texts), "".join(self._thoughts), calls)
        said.append(self._line({**body, **self._done(reason, usage)}))
        self.is_over = True


def _shown(call: Call) -> Body:
    return {"function": {"name": call.name, "arguments": call.input}}
