"""What is different from one model service to the next: paths, headers, bodies, streams.

A request is made once, in the shape of chat completions; a wire says it in its own dialect.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol

from thrum.tones import Body
from workers.core.completions import ChatCompletion, Completion
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
    needs_place = True
    """Whether a key or a base URL must be there: nobody answers at the usual place without."""

    @abstractmethod
    def headers(self, key: str | None) -> dict[str, str]:
        """What every request carries beside the type of its body."""

    @abstractmethod
    def body(self, request: Mapping[str, Any]) -> Body:
        """The request in this dialect, streamed."""

    @abstractmethod
    def completion(self) -> Completion:
        """What the events of an answer add up to."""

    def parser(self) -> Parser:
        """What cuts an answer into events."""
        return SseParser()

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


class OpenaiWire(Wire):
    """Chat completions."""

    hive = "openai"
    path = "/chat/completions"
    models_path = "/models"
    embedding = OPENAI
    key_variable = "OPENAI_API_KEY"
    _FOREIGN = ("top_k", "num_ctx", "thinking", "think")
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
        body["messages"] = [self._message(message) for message in request["messages"]]
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
        if not any(key in message for key in self._FOREIGN_TO_MESSAGES):
            return message
        kept = {key: message[key] for key in message if key not in self._FOREIGN_TO_MESSAGES}
        if message.get("is_error") and type(kept["content"]) is str:
            kept["content"] = f"error: {kept['content']}"
        return kept


def names_of(body: object, list_key: str, name_key: str) -> tuple[str, ...]:
    """The names in a list of objects, each once, bounded."""
    entries = body.get(list_key) if isinstance(body, dict) else None
    names = [entry.get(name_key) for entry in entries or () if isinstance(entry, dict)]
    known = [name for name in names if isinstance(name, str) and 0 < len(name) <= MODEL_CHARS_MAX]
    return tuple(dict.fromkeys(known))[:MODELS_MAX]
