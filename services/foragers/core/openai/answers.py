"""A turn as a chat completion.

`Streamed` says everything as soon as it is known, as server-sent events; `Folded` says one object
at the end.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from foragers.core.answers import ANSWER_CHARS_MAX, UNNAMED_MODEL, Answer, count, input_of
from foragers.core.calls import Call
from foragers.core.errors import ApiError
from thrum.tones import Body

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"


class Streamed(Answer):
    """Server-sent events."""

    content_type = b"text/event-stream; charset=utf-8"

    def __init__(
        self, answer_id: str, model: str | None, created: int, *, wants_usage: bool
    ) -> None:
        super().__init__(answer_id, model, created)
        self._wants_usage = wants_usage
        self._before: bytes = b""
        self._tail = b',"usage":null}\n\n' if wants_usage else b"}\n\n"
        self._after = b'},"finish_reason":null}]' + self._tail

    def silence(self) -> bytes:
        """A comment."""
        return KEEP_ALIVE

    def _text(self, text: str, said: list[bytes]) -> None:
        said.append(self._opened(said) + b'"content":' + orjson.dumps(text) + self._after)

    def _reasoning(self, text: str, said: list[bytes]) -> None:
        said.append(self._opened(said) + b'"reasoning_content":' + orjson.dumps(text) + self._after)

    def _called(self, call: Call, said: list[bytes]) -> None:
        delta = orjson.dumps([{"index": len(self.calls) - 1, **_shown(call)}])
        said.append(self._opened(said) + b'"tool_calls":' + delta + self._after)

    def _end(self, reason: str, usage: Body | None, said: list[bytes]) -> None:
        opened = self._opened(said)
        said.append(opened + b'},"finish_reason":"' + reason.encode() + b'"}]' + self._tail)
        if self._wants_usage and usage is not None:
            head = opened[: -len(_CHOICE)]
            said.append(head + b'"choices":[],"usage":' + orjson.dumps(usage_of(usage)) + b"}\n\n")
        said.append(DONE)
        self.is_over = True

    def _opened(self, said: list[bytes]) -> bytes:
        """An event up to its delta's first key; the first one of all tells the role."""
        if not self._before:
            head = {
                "id": self.id,
                "object": "chat.completion.chunk",
                "created": self._created,
                "model": self._model or UNNAMED_MODEL,
            }
            self._before = b"data: " + orjson.dumps(head)[:-1] + b"," + _CHOICE
            said.append(self._before + b'"role":"assistant","content":""' + self._after)
        return self._before


_CHOICE = b'"choices":[{"index":0,"delta":{'


class Folded(Answer):
    """One JSON object."""

    content_type = b"application/json"

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
            message["tool_calls"] = [_shown(call) for call in self.calls]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        answer: Body = {
            "id": self.id,
            "object": "chat.completion",
            "created": self._created,
            "model": self._model or UNNAMED_MODEL,
            "choices": [choice],
        }
        if usage is not None:
            answer["usage"] = usage_of(usage)
        said.append(orjson.dumps(answer))
        self.is_over = True


def _shown(call: Call) -> Body:
    """As it stands in an answer."""
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.shown_id, "type": "function", "function": function}


def usage_of(usage: Mapping[str, Any]) -> Body:
    """What a turn cost, in the dialect's words; cached input is part of the prompt."""
    prompt = input_of(usage)
    completion = count(usage.get("output_tokens"))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": count(usage.get("cache_read_input_tokens"))},
    }
