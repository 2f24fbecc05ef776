"""The conversation of a request: checked, and taken apart for a prompt.

- System and developer messages become `systemPrompt`, in their order, blank lines between them.
- A last message of the user becomes `content`, its images `attachments`; with a file among them
  all its parts are the `content`. All before it is `history`. When the last message is not the
  user's (tool results of a turn that is over, an answer to go on with), everything is history and
  `content` is empty.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from foragers.core import parts
from foragers.core.calls import ToolResult
from foragers.core.checks import shown, text_at, wrong
from foragers.core.errors import ApiError
from thrum.tones import Body

MESSAGES_MAX = 8_192
ROLES = ("system", "developer", "user", "assistant", "tool")

_KEPT = ("role", "content", "name", "tool_calls", "tool_call_id")
"""Keys of a message that travel; nobody reads the others."""
_SEES = ("user", "tool")
"""Roles whose messages may hold more than text."""


def read_messages(value: object) -> list[Mapping[str, Any]]:
    """The messages of a request, each of them checked; raises `ApiError`."""
    if value is None:
        raise ApiError(
            400,
            "You must provide a messages parameter.",
            param="messages",
            code="missing_required_parameter",
        )
    if type(value) is not list:
        raise wrong("messages", "an array of messages")
    if not value:
        raise ApiError(400, "messages is empty.", param="messages", code="empty_array")
    if len(value) > MESSAGES_MAX:
        raise ApiError(
            400, f"messages has more than {MESSAGES_MAX} entries.",
            param="messages", code="array_above_max_length",
        )  # fmt: skip
    for index, message in enumerate(value):
        _check_message(f"messages[{index}]", message)
    return value


def _check_message(path: str, message: object) -> None:
    if type(message) is not dict:
        raise wrong(path, "an object")
    role = message.get("role")
    if role not in ROLES:
        raise ApiError(
            400, f"{path}.role is {shown(role)}; it is one of {', '.join(ROLES)}.",
            param=f"{path}.role", code="invalid_value",
        )  # fmt: skip
    content = message.get("content")
    if type(content) is list:
        for index, part in enumerate(content):
            _check_part(f"{path}.content[{index}]", part, role)
    elif content is None:
        if role not in ("assistant", "tool"):  # a tool may have nothing to say
            raise ApiError(
                400, f"{path}.content is missing.",
                param=f"{path}.content", code="missing_required_parameter",
            )  # fmt: skip
    elif type(content) is not str:
        raise wrong(f"{path}.content", "a string or an array of parts")
    if role == "tool":
        text_at(f"{path}.tool_call_id", message.get("tool_call_id"))
    if role == "assistant" and message.get("tool_calls") is not None:
        _check_calls(f"{path}.tool_calls", message["tool_calls"])


def _check_part(path: str, part: object, role: str) -> None:
    if type(part) is not dict:
        raise wrong(path, "an object with a type")
    kind = part.get("type")
    if kind == "text":
        if type(part.get("text")) is not str:
            raise wrong(f"{path}.text", "a string")
    elif kind == "image_url" and role in _SEES:
        parts.image(f"{path}.image_url", part.get("image_url"))
    elif kind == "file" and role in _SEES:
        if type(held := part.get("file")) is not dict:
            raise wrong(f"{path}.file", "an object with file_data")
        parts.file(f"{path}.file", held)
    elif not (kind == "refusal" and role == "assistant"):
        raise ApiError(
            400,
            f"{path} is of type {shown(kind)}; a {role} message takes "
            f"{'text, image_url and file' if role in _SEES else 'text'}.",
            param=path,
            code="unsupported_value",
        )


def _check_calls(path: str, calls: object) -> None:
    if type(calls) is not list:
        raise wrong(path, "an array of calls")
    for index, call in enumerate(calls):
        here = f"{path}[{index}]"
        if type(call) is not dict or type(call.get("function")) is not dict:
            raise wrong(here, "an object with an id and a function")
        text_at(f"{here}.id", call.get("id"))
        text_at(f"{here}.function.name", call["function"].get("name"))
        if type(call["function"].get("arguments", "")) is not str:
            raise wrong(f"{here}.function.arguments", "a string of JSON")


def chat_messages(messages: Sequence[Mapping[str, Any]]) -> list[Body]:
    """Messages that were checked, with their parts as a prompt has them."""
    return [_told(message) for message in messages]


def _told(message: Mapping[str, Any]) -> Body:
    kept = {key: message[key] for key in _KEPT if key in message}
    if type(content := message.get("content")) is list:
        kept["content"] = [_part(part) for part in content]
    elif content is None and message["role"] == "tool":
        kept["content"] = ""
    return kept


def _part(part: Mapping[str, Any]) -> Body:
    kind = part["type"]
    if kind == "image_url":
        return parts.image("image_url", part["image_url"])
    if kind == "file":
        return parts.file("file", part["file"])
    return parts.text(part["text"] if kind == "text" else str(part.get("refusal") or ""))


def conversation_of(messages: Sequence[Body]) -> Body:
    """The conversation as a prompt's body; the parts of `messages` are those of a prompt."""
    system: list[str] = []
    history: list[Body] = []
    for message in messages:
        if message["role"] in ("system", "developer"):
            system.append(parts.plain(message["content"]))
        else:
            history.append(message)
    prompt: Body = {"content": ""}
    if history and history[-1]["role"] == "user":
        newest = history.pop()["content"]
        others = newest if type(newest) is list else []
        if any(part["type"] == "file" for part in others):
            prompt["content"] = newest
        else:
            prompt["content"] = parts.plain(newest)
            if images := [_image(part) for part in others if part["type"] == "image_url"]:
                prompt["attachments"] = images
    prompt["history"] = history
    if text := "\n\n".join(part for part in system if part):
        prompt["systemPrompt"] = text
    return prompt


def results_of(messages: Sequence[Body]) -> tuple[ToolResult, ...]:
    """The tool messages at the end, in their order; empty when something else stands there."""
    found: list[ToolResult] = []
    for message in reversed(messages):
        if message["role"] != "tool":
            break
        content = message["content"]
        is_plain = type(content) is not list or parts.is_plain(content)
        call_id, text = message["tool_call_id"], parts.plain(content)
        found.append(ToolResult(call_id=call_id, text=text, is_plain=is_plain))
    return tuple(reversed(found))


def _image(part: Body) -> Body:
    url = part["image_url"]["url"]
    head, comma, data = url.partition(",")
    if url.startswith("data:") and comma and head.endswith(";base64"):
        media = head[len("data:") : -len(";base64")].partition(";")[0]
        return {"kind": "image", "mediaType": media or "image/*", "data": data}
    return {"kind": "image", "mediaType": "image/*", "url": url}
