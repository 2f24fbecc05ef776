"""The Ollama dialect: a request, and what the lines of its answer add up to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from thrum.tones import Body
from workers.core.completions import (
    Completion,
    CompletionFailed,
    Said,
    Usage,
    count,
    error_message,
    read_arguments,
)
from workers.core.conversation import file_note, file_text
from workers.core.embeddings import OLLAMA
from workers.core.sse import EVENT_BYTES_MAX, EventTooLarge
from workers.core.wires import Parser, Wire, names_of

CONTEXT_TOKENS = 8_192
"""Context asked for when neither the asker, nor hum.json, nor the service names one."""
CONTEXT_TOKENS_MAX = 32_768
"""Of what a model could take, the context that is asked for unasked: memory grows with it."""
CHARS_PER_TOKEN = 8
"""More than any text has: a prompt of more characters than this for each token was cut."""
LATEST = ":latest"

_OPTIONS = ("temperature", "top_p", "top_k", "seed", "frequency_penalty", "presence_penalty")


class LineParser:
    """Lines of JSON, whatever the pieces they arrive in."""

    def __init__(self) -> None:
        self._partial = b""

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that `piece` completes. Raises `EventTooLarge`."""
        *lines, self._partial = (self._partial + piece).split(b"\n")
        if len(self._partial) > EVENT_BYTES_MAX:
            raise EventTooLarge(f"a line of more than {EVENT_BYTES_MAX} bytes")
        return [line for line in lines if line.strip()]


@dataclass(slots=True)
class LineCompletion(Completion):
    """One answer, line by line."""

    reasons: ClassVar[Mapping[str, str]] = {
        "stop": "end_turn",
        "length": "length",
        "load": "end_turn",
        "unload": "end_turn",
    }

    def _event(self, event: Mapping[str, Any], said: Said) -> None:
        if event.get("error"):
            raise CompletionFailed(error_message(event))
        message = event.get("message")
        if type(message) is dict:
            if type(text := message.get("content")) is str and text:
                said.text.append(text)
            if type(thought := message.get("thinking")) is str and thought:
                said.reasoning.append(thought)
            for wanted in message.get("tool_calls") or ():
                self._call(wanted)
        if event.get("done") is True:
            reason = event.get("done_reason")
            self.finish_reason = reason if type(reason) is str and reason else "stop"
            self.usage = Usage(
                count(event.get("prompt_eval_count")), count(event.get("eval_count"))
            )
            self.is_done = True

    def _call(self, wanted: object) -> None:
        function = wanted.get("function") if type(wanted) is dict else None
        if type(function) is not dict or type(name := function.get("name")) is not str:
            return
        call = self.open_call(len(self.calls))
        call.name = name
        arguments = function.get("arguments") or {}
        call.add(arguments if type(arguments) is str else orjson.dumps(arguments).decode())


class OllamaWire(Wire):
    """Chat, always with a context size: the service's own default cuts prompts in silence."""

    hive = "ollama"
    path = "/api/chat"
    models_path = "/api/tags"
    embedding = OLLAMA
    key_variable = "OLLAMA_API_KEY"
    needs_place = False

    def __init__(self, context_tokens: int | None = None) -> None:
        self._context_tokens = context_tokens
        self.contexts: dict[str, int] = {}
        """What each model can take, as the service says."""

    def headers(self, key: str | None) -> dict[str, str]:
        """A bearer token, where a service wants one."""
        return {} if key is None else {"Authorization": f"Bearer {key}"}

    def context_of(self, request: Mapping[str, Any]) -> int:
        """The context that is asked for, in tokens."""
        asked = request.get("num_ctx")
        if type(asked) is int and asked > 0:
            return asked
        if self._context_tokens:
            return self._context_tokens
        known = self.contexts.get(request["model"])
        return min(known, CONTEXT_TOKENS_MAX) if known else CONTEXT_TOKENS

    def cuts(self, request: Mapping[str, Any]) -> bool:
        """Whether a prompt is longer than its context for certain."""
        chars = sum(len(_text(message.get("content"))) for message in request["messages"])
        return chars > self.context_of(request) * CHARS_PER_TOKEN

    def was_cut(self, request: Mapping[str, Any], usage: Usage) -> bool:
        """Whether the service evaluated fewer tokens than the prompt's characters could be.

        A service that keeps a prompt from before counts it all the same, or counts nothing.
        """
        chars = sum(len(_text(message.get("content"))) for message in request["messages"])
        return 0 < usage.input_tokens * CHARS_PER_TOKEN < chars

    def body(self, request: Mapping[str, Any]) -> Body:
        """The request, sampling among the options."""
        options: Body = {name: request[name] for name in _OPTIONS if request.get(name) is not None}
        options["num_ctx"] = self.context_of(request)
        if request.get("max_tokens") is not None:
            options["num_predict"] = request["max_tokens"]
        if stop := request.get("stop"):
            options["stop"] = [stop] if isinstance(stop, str) else stop
        body: Body = {
            "model": request["model"],
            "messages": _messages(request["messages"]),
            "stream": True,
            "options": options,
        }
        if tools := request.get("tools"):
            body["tools"] = tools
        if (wanted := _format(request.get("response_format"))) is not None:
            body["format"] = wanted
        if (think := request.get("think")) is not None:
            body["think"] = think
        elif (effort := request.get("reasoning_effort")) == "none":
            body["think"] = False
        elif effort or _thinks(request.get("thinking")):
            body["think"] = True
        return body

    def completion(self) -> Completion:
        """Lines."""
        return LineCompletion()

    def parser(self) -> Parser:
        """Lines of JSON."""
        return LineParser()

    def models(self, body: object) -> tuple[str, ...]:
        """The models that the service has; those of the tag `latest` also without it."""
        names = names_of(body, "models", "name")
        short = (name.removesuffix(LATEST) for name in names)
        return tuple(dict.fromkeys((*short, *names)))


def context_in(show: object) -> int | None:
    """What `/api/show` says that the model can take."""
    info = show.get("model_info") if isinstance(show, dict) else None
    if not isinstance(info, dict):
        return None
    found = (value for key, value in info.items() if key.endswith(".context_length"))
    length = next(found, None)
    return length if type(length) is int and length > 0 else None


def _messages(messages: Sequence[Body]) -> list[Body]:
    names: dict[object, str] = {}
    told = []
    for message in messages:
        entry: Body = {"role": message["role"], "content": _text(message.get("content"))}
        if images := _images(message.get("content")):
            entry["images"] = images
        if calls := message.get("tool_calls"):
            names |= {call["id"]: call["function"]["name"] for call in calls}
            entry["tool_calls"] = [_call(call["function"]) for call in calls]
        if message["role"] == "tool" and (name := names.get(message.get("tool_call_id"))):
            entry["tool_name"] = name
        told.append(entry)
    return told


def _call(function: Body) -> Body:
    arguments = read_arguments(function.get("arguments") or "") or {}
    return {"function": {"name": function["name"], "arguments": arguments}}


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(_part(part) for part in parts if part.get("type") != "image_url")


def _part(part: Body) -> str:
    """The dialect takes no files, only their text."""
    if part.get("type") != "file":
        return str(part.get("text") or "")
    text = file_text(part["file"])
    return file_note(part["file"]) if text is None else text


def _images(content: object) -> list[str]:
    """Images as the dialect takes them: base64, without a type. It fetches none."""
    parts = content if isinstance(content, list) else []
    urls = (part["image_url"]["url"] for part in parts if part.get("type") == "image_url")
    return [url.partition(",")[2] for url in urls if url.startswith("data:")]


def _format(wanted: object) -> object | None:
    if not isinstance(wanted, dict):
        return None
    if wanted.get("type") == "json_schema":
        return (wanted.get("json_schema") or {}).get("schema") or "json"
    return "json" if wanted.get("type") == "json_object" else None


def _thinks(thinking: object) -> bool:
    return isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive")
