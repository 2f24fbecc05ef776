"""The Anthropic dialect: a request, and what the events of its answer add up to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeGuard

import orjson

from thrum.tones import Body
from workers.core.completions import (
    Completion,
    CompletionFailed,
    Said,
    Usage,
    count,
    error_code,
    error_message,
    read_arguments,
)
from workers.core.conversation import OUR_SIGNATURE, file_note, file_text
from workers.core.wires import Wire, names_of

VERSION = "2023-06-01"
ANSWER_TOKENS = 8_192
"""The bound on an answer when the asker names none: the dialect insists on one."""
ERROR_STATUS: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "overloaded_error": 529,
}
HEADER_CHARS_MAX = 2_048
"""Of a version or betas that an asker names; a longer one is as if it were not there."""
BLOCK_START = b"content_block_start"
_JSON_ONLY = "Answer with one JSON value and nothing else."


@dataclass(slots=True)
class MessageCompletion(Completion):
    """One message, as it is streamed."""

    reasons: ClassVar[Mapping[str, str]] = {
        "end_turn": "end_turn",
        "tool_use": "end_turn",
        "stop_sequence": "end_turn",
        "pause_turn": "end_turn",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "refusal": "content_filter",
    }
    thinking: dict[int, Body] = field(default_factory=dict)
    """Blocks of thinking by their place, to be sent back as they came."""

    def message(self) -> Body:
        """As for any completion, with the thinking."""
        message = Completion.message(self)
        if self.thinking:
            message["thinking"] = list(self.thinking.values())
        return message

    def _event(self, event: Mapping[str, Any], said: Said) -> None:
        kind = event.get("type")
        if kind == "content_block_delta":
            self._delta(event.get("index"), event.get("delta") or {}, said)
        elif kind == "content_block_start":
            self._block(event.get("index"), event.get("content_block") or {}, said)
        elif kind == "message_start":
            self._count((event.get("message") or {}).get("usage") or {})
        elif kind == "message_delta":
            self._count(event.get("usage") or {})
            reason = (event.get("delta") or {}).get("stop_reason")
            self.finish_reason = reason if type(reason) is str else self.finish_reason
        elif kind == "message_stop":
            self.is_done = True
        elif kind == "message":
            self._whole(event, said)
        elif kind == "error":
            code = error_code(event)
            raise CompletionFailed(
                error_message(event), code=ERROR_STATUS.get(str(code), code), body=_json(event)
            )

    def _whole(self, message: Mapping[str, Any], said: Said) -> None:
        for index, block in enumerate(message.get("content") or ()):
            self._block(index, block, said)
            if block.get("type") == "tool_use":
                self.calls[index].pieces = [_json(block.get("input") or {})]
        self._count(message.get("usage") or {})
        self.finish_reason = message.get("stop_reason")
        self.is_done = True

    def _block(self, index: object, block: Mapping[str, Any], said: Said) -> None:
        kind = block.get("type")
        if type(index) is not int:
            return
        if kind == "tool_use":
            call = self.open_call(index, str(block.get("id") or ""))
            call.name = str(block.get("name") or "")
        elif kind in ("thinking", "redacted_thinking"):
            self.thinking[index] = dict(block)
            self._add(block.get("thinking"), said.reasoning)
            self._add(block.get("data"), said.redacted)
            said.signature = str(block.get("signature") or "") or said.signature
        elif kind == "text":
            self._add(block.get("text"), said.text)

    def _delta(self, index: object, delta: Mapping[str, Any], said: Said) -> None:
        kind = delta.get("type")
        if kind == "text_delta":
            self._add(delta.get("text"), said.text)
        elif kind == "thinking_delta":
            self._add(delta.get("thinking"), said.reasoning)
            self._append(index, "thinking", delta.get("thinking"))
        elif kind == "signature_delta":
            self._append(index, "signature", delta.get("signature"))
            said.signature = str(delta.get("signature") or "")
        elif kind == "input_json_delta" and type(index) is int and index in self.calls:
            self.calls[index].add(str(delta.get("partial_json") or ""))

    def _append(self, index: object, key: str, piece: object) -> None:
        block = self.thinking.get(index) if type(index) is int else None
        if block is not None and type(piece) is str:
            block[key] = f"{block.get(key) or ''}{piece}"

    def _add(self, piece: object, to: list[str]) -> None:
        if type(piece) is str and piece:
            to.append(piece)

    def _count(self, usage: Mapping[str, Any]) -> None:
        """Counts are totals; a later event repeats or raises them."""
        before = self.usage
        self.usage = Usage(
            max(before.input_tokens, count(usage.get("input_tokens"))),
            max(before.output_tokens, count(usage.get("output_tokens"))),
            max(before.cache_read_input_tokens, count(usage.get("cache_read_input_tokens"))),
            max(
                before.cache_creation_input_tokens,
                count(usage.get("cache_creation_input_tokens")),
            ),
        )


class AnthropicWire(Wire):
    """Messages."""

    hive = "anthropic"
    path = "/v1/messages"
    models_path = "/v1/models?limit=1000"
    key_variable = "ANTHROPIC_API_KEY"
    takes_thinking = True
    passes_errors = True

    def __init__(self, answer_tokens: int = ANSWER_TOKENS) -> None:
        self._answer_tokens = answer_tokens

    def headers(self, key: str | None) -> dict[str, str]:
        """The key, and the version of the dialect."""
        keyed = {} if key is None else {"x-api-key": key}
        return {"anthropic-version": VERSION, **keyed}

    def request_headers(self, request: Mapping[str, Any]) -> dict[str, str]:
        """The version and the betas that the asker named, as it named them."""
        own = request.get("anthropic") or {}
        told = {f"anthropic-{name}": own.get(name) for name in ("version", "beta")}
        return {name: value for name, value in told.items() if _is_header(value)}

    def body(self, request: Mapping[str, Any]) -> Body:
        """The request, system text apart and messages in turn."""
        messages: Sequence[Body] = request["messages"]
        system = [str(m["content"]) for m in messages if m["role"] == "system"]
        wanted = request.get("response_format")
        if isinstance(wanted, dict):
            system.append(_format_told(wanted))
        body: Body = {
            "model": request["model"],
            "max_tokens": request.get("max_tokens") or self._answer_tokens,
            "messages": _messages([m for m in messages if m["role"] != "system"]),
            "stream": True,
        }
        if text := "\n\n".join(part for part in system if part):
            body["system"] = text
        for name in ("temperature", "top_p", "top_k", "thinking"):
            if request.get(name) is not None:
                body[name] = request[name]
        if stop := request.get("stop"):
            body["stop_sequences"] = [stop] if isinstance(stop, str) else stop
        if tools := request.get("tools"):
            body["tools"] = [_tool(tool["function"]) for tool in tools]
            if choice := _choice(request):
                body["tool_choice"] = choice
        own = request.get("anthropic") or {}
        if isinstance(fields := own.get("fields"), dict):
            body |= {name: fields[name] for name in fields if name not in body}
        if isinstance(mark := own.get("cache"), dict):
            _mark(body, mark)
        return body

    def completion(self) -> Completion:
        """A message."""
        return MessageCompletion()

    def grouped(self, events: list[bytes]) -> list[list[bytes]]:
        """Each block by itself: text and thinking take turns, and keep their order."""
        groups: list[list[bytes]] = [[]]
        for event in events:
            if BLOCK_START in event:
                groups.append([])
            groups[-1].append(event)
        return groups

    def models(self, body: object) -> tuple[str, ...]:
        """The ids of `data`."""
        return names_of(body, "data", "id")


def _is_header(value: object) -> TypeGuard[str]:
    """Whether a value can travel in a header: whoever asks, no line ends there."""
    if not isinstance(value, str) or not 0 < len(value) <= HEADER_CHARS_MAX:
        return False
    return value.isascii() and value.isprintable()


def _mark(body: Body, mark: Body) -> None:
    """Have the service keep what comes again: system text, tools, and all up to the newest words.

    The marks that the client set stood somewhere in these; the service finds the longest prefix.
    """
    if text := body.get("system"):
        body["system"] = [{"type": "text", "text": text, "cache_control": mark}]
    if tools := body.get("tools"):
        tools[-1]["cache_control"] = mark
    content = body["messages"][-1]["content"] if body["messages"] else []
    if content and content[-1].get("type") not in ("thinking", "redacted_thinking"):
        content[-1] = {**content[-1], "cache_control": mark}


def _messages(messages: Sequence[Body]) -> list[Body]:
    """Blocks of one role after the other: the dialect wants roles to take turns."""
    turns: list[Body] = []
    for message in messages:
        role = "assistant" if message["role"] == "assistant" else "user"
        blocks = _said(message) if role == "assistant" else _asked(message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    return turns


def _said(message: Body) -> list[Body]:
    blocks = [
        block
        for block in message.get("thinking") or ()
        if isinstance(block, dict) and block.get("signature") != OUR_SIGNATURE
    ]
    if text := message.get("content"):
        blocks.append({"type": "text", "text": text})
    for call in message.get("tool_calls") or ():
        function = call["function"]
        tool_input = read_arguments(function.get("arguments") or "") or {}
        blocks.append(
            {
                "type": "tool_use", "id": call["id"],
                "name": function["name"], "input": tool_input,
            }
        )  # fmt: skip
    return blocks


def _asked(message: Body) -> list[Body]:
    content = message.get("content")
    if message["role"] == "tool":
        told = [_part(part) for part in content] if isinstance(content, list) else content or ""
        block: Body = {
            "type": "tool_result", "tool_use_id": message.get("tool_call_id"), "content": told,
        }  # fmt: skip
        if message.get("is_error"):
            block["is_error"] = True
        return [block]
    if isinstance(content, list):
        return [_part(part) for part in content]
    return [{"type": "text", "text": content}] if content else []


def _part(part: Body) -> Body:
    if part.get("type") == "file":
        return _document(part["file"])
    if part.get("type") != "image_url":
        return {"type": "text", "text": part.get("text") or ""}
    return {"type": "image", "source": _source(str(part["image_url"]["url"]))}


def _document(file: Body) -> Body:
    """A file as the dialect takes it: a PDF or a URL, and text as text."""
    url = str(file["url"])
    if (text := file_text(file)) is not None:
        source: Body = {"type": "text", "media_type": "text/plain", "data": text}
    elif url.startswith(("data:application/pdf;", "https://", "http://")):
        source = _source(url)
    else:
        return {"type": "text", "text": file_note(file)}
    return {"type": "document", "source": source, "title": file.get("filename") or "document"}


def _source(url: str) -> Body:
    head, comma, data = url.partition(",")
    if url.startswith("data:") and comma:
        media = head.removeprefix("data:").partition(";")[0] or "image/png"
        return {"type": "base64", "media_type": media, "data": data}
    return {"type": "url", "url": url}


def _tool(function: Body) -> Body:
    return {
        "name": function["name"], "description": function.get("description") or "",
        "input_schema": function.get("parameters") or {"type": "object", "properties": {}},
    }  # fmt: skip


def _choice(request: Mapping[str, Any]) -> Body | None:
    asked = request.get("tool_choice")
    is_serial = request.get("parallel_tool_calls") is False
    choice: Body | None = {"type": "auto"} if is_serial else None
    if isinstance(asked, dict):
        choice = {"type": "tool", "name": (asked.get("function") or {}).get("name")}
    elif asked in ("auto", "required", "none"):
        choice = {"type": "any" if asked == "required" else asked}
    if choice is not None and is_serial and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    return choice


def _format_told(wanted: Mapping[str, Any]) -> str:
    """The dialect has no word for a format, so the model is told."""
    schema = (wanted.get("json_schema") or {}).get("schema")
    if wanted.get("type") == "json_schema" and schema:
        return f"{_JSON_ONLY} It follows this JSON Schema: {_json(schema)}"
    return _JSON_ONLY if wanted.get("type") == "json_object" else ""


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
