"""What is different from one model service to the next: paths, headers, bodies, streams.

A request is made once, in the shape of chat completions; a wire says it in its own dialect.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from thrum.tones import Body
from workers.core.completions import ChatCompletion, Completion, Usage
from workers.core.conversation import file_note, file_text
from workers.core.embeddings import OPENAI, Embedding
from workers.core.sse import SseParser

MODELS_MAX = 1_000
MODEL_CHARS_MAX = 256


class Parser(Protocol):
    """Bytes in, whole events out."""

    def feed(self, piece: bytes) -> list[bytes]:
        """The events that `piece` completes. Raises `EventTooLarge`."""
        ...


class Wire(ABC):
    """One dialect of one service, with what was learnt of it."""

    hive: str
    """Kind of the worker, and the section of its settings."""
    path: str
    """Where completions are asked for."""
    models_path: str
    embedding: Embedding | None = None
    """How embeddings are asked for; None when the service makes none."""
    key_variable: str
    """The variable that people keep the key in."""
    takes_thinking = False
    """Whether the service wants the thinking back that it signed."""
    passes_errors = False
    """Whether what the service says of an error goes to clients of its dialect word for word."""
    needs_place = True
    """Whether a key or a base URL must be there: nobody answers at the usual place without."""

    @abstractmethod
    def headers(self, key: str | None) -> dict[str, str]:
        """What every request carries beside the type of its body."""

    def request_headers(self, request: Mapping[str, Any]) -> dict[str, str]:
        """What one request carries beside that."""
        return {}

    @abstractmethod
    def body(self, request: Mapping[str, Any]) -> Body:
        """The request in this dialect, streamed."""

    @abstractmethod
    def completion(self) -> Completion:
        """What the events of an answer add up to."""

    def parser(self) -> Parser:
        """What cuts an answer into events."""
        return SseParser()

    def grouped(self, events: list[bytes]) -> list[list[bytes]]:
        """Events that arrived together, in groups within which the order of kinds is known."""
        return [events]

    @abstractmethod
    def models(self, body: object) -> tuple[str, ...]:
        """The models that a list names."""

    def learn(self, body: Mapping[str, Any], status: object, message: str) -> bool:
        """Whether a refusal taught another way to ask; each lesson is learnt once."""
        return False

    def accepted(self, body: Mapping[str, Any]) -> None:
        """The service took a request that was asked in this way."""
        return

    def cuts(self, request: Mapping[str, Any]) -> bool:
        """Whether the service reads only a part of such a prompt, and says nothing of it."""
        return False

    def was_cut(self, request: Mapping[str, Any], usage: Usage) -> bool:
        """Whether what the service counted is less than the prompt has for certain."""
        return False


class OpenaiWire(Wire):
    """Chat completions."""

    hive = "openai"
    path = "/chat/completions"
    models_path = "/models"
    embedding = OPENAI
    key_variable = "OPENAI_API_KEY"
    _FOREIGN = ("top_k", "num_ctx", "thinking", "think", "anthropic")
    _FOREIGN_TO_MESSAGES = ("thinking", "is_error")

    def __init__(self) -> None:
        self._takes_usage_option: bool | None = None
        """Whether the service takes `stream_options`; None until it has answered."""
        self._max_tokens = "max_tokens"
        """What the service calls the bound on its answer."""

    def headers(self, key: str | None) -> dict[str, str]:
        """A bearer token."""
        return {} if key is None else {"Authorization": f"Bearer {key}"}

    def body(self, request: Mapping[str, Any]) -> Body:
        """The request as it is, but for the names that services differ in."""
        body = {key: value for key, value in request.items() if key not in self._FOREIGN}
        body["messages"] = _seen_by_user(map(self._message, request["messages"]))
        body["stream"] = True
        if self._takes_usage_option is not False:
            body["stream_options"] = {"include_usage": True}
        if self._max_tokens != "max_tokens" and "max_tokens" in body:
            body[self._max_tokens] = body.pop("max_tokens")
        return body

    def completion(self) -> Completion:
        """A chat completion."""
        return ChatCompletion()

    def models(self, body: object) -> tuple[str, ...]:
        """The ids of `data`."""
        return names_of(body, "data", "id")

    def learn(self, body: Mapping[str, Any], status: object, message: str) -> bool:
        """Two things that services differ in."""
        if status not in (400, 422):
            return False
        if "max_tokens" in body and "max_completion_tokens" in message:
            self._max_tokens = "max_completion_tokens"
            return True
        if "stream_options" in body and self._takes_usage_option is None:
            self._takes_usage_option = False
            return True
        return False

    def accepted(self, body: Mapping[str, Any]) -> None:
        """It knows `stream_options` when that was there."""
        if "stream_options" in body:
            self._takes_usage_option = True

    def _message(self, message: Body) -> Body:
        is_parted = type(message.get("content")) is list
        if not is_parted and not any(key in message for key in self._FOREIGN_TO_MESSAGES):
            return message
        kept = {key: message[key] for key in message if key not in self._FOREIGN_TO_MESSAGES}
        if is_parted:
            kept["content"] = [_part(part) for part in message["content"]]
        if message.get("is_error") and type(kept["content"]) is str:
            kept["content"] = f"error: {kept['content']}"
        return kept


def _part(part: Body) -> Body:
    """A part in the dialect's words: files it takes by their bytes alone."""
    if part.get("type") != "file":
        return part
    file = part["file"]
    if (text := file_text(file)) is not None:
        return {"type": "text", "text": text}
    if not str(file["url"]).startswith("data:"):
        return {"type": "text", "text": file_note(file)}
    held = {"filename": file.get("filename") or "document", "file_data": file["url"]}
    return {"type": "file", "file": held}


def _seen_by_user(messages: Iterable[Body]) -> list[Body]:
    """The same messages; what tools show beside text comes in a user's message behind them.

    The dialect takes text alone from a tool.
    """
    told: list[Body] = []
    shown: list[Body] = []
    for message in messages:
        if shown and message["role"] != "tool":
            told.append({"role": "user", "content": shown})
            shown = []
        content = message.get("content")
        if message["role"] == "tool" and type(content) is list:
            texts = [part["text"] for part in content if part["type"] == "text"]
            others = [part for part in content if part["type"] != "text"]
            texts += ["[what it shows follows]"] if others else []
            shown += others
            message = {**message, "content": "\n".join(texts)}
        told.append(message)
    return [*told, {"role": "user", "content": shown}] if shown else told


def names_of(body: object, list_key: str, name_key: str) -> tuple[str, ...]:
    """The names in a list of objects, each once, bounded."""
    entries = body.get(list_key) if isinstance(body, dict) else None
    names = [entry.get(name_key) for entry in entries or () if isinstance(entry, dict)]
    known = [name for name in names if isinstance(name, str) and 0 < len(name) <= MODEL_CHARS_MAX]
    return tuple(dict.fromkeys(known))[:MODELS_MAX]
