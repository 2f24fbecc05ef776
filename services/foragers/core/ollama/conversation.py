"""The conversation of a request, as a prompt's history (docs/wire.md, `prompt`).

The dialect has no ids of tool calls. A message of role `tool` answers the first call before it that
has its `tool_name` and no answer yet, or, when it names none, the first without an answer. Where a
client has ids all the same (`tool_call_id`), they decide.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from foragers.core.checks import shown, text_at, wrong
from foragers.core.errors import ApiError
from thrum.tones import Body

MESSAGES_MAX = 8_192
ROLES = ("system", "user", "assistant", "tool")

Message = Mapping[str, Any]


def read_messages(value: object) -> list[Message]:
    """The messages, each of them checked. Raises `ApiError`."""
    if value is None:
        return []
    if type(value) is not list or len(value) > MESSAGES_MAX:
        raise wrong("messages", f"an array of at most {MESSAGES_MAX} messages")
    for index, message in enumerate(value):
        _check(f"messages[{index}]", message)
    return value


def conversation_of(messages: Sequence[Message]) -> Body:
    """The conversation as a prompt's body; `messages` come from `read_messages`."""
    system = [message.get("content") or "" for message in messages if message["role"] == "system"]
    history: list[Body] = []
    open_calls: list[tuple[str, str]] = []
    made = 0
    for message in messages:
        if message["role"] == "user":
            history.append({"role": "user", "content": user_content(message)})
        elif message["role"] == "assistant":
            calls = _calls(message, made)
            made += len(calls)
            open_calls += [(call["function"]["name"], call["id"]) for call in calls]
            history.append(_said(message, calls))
        elif message["role"] == "tool":
            history.append(_result(message, open_calls, made))
    prompt: Body = {"content": "", "history": history}
    if history and history[-1]["role"] == "user":
        prompt["content"] = history.pop()["content"]
    if text := "\n\n".join(part for part in system if part):
        prompt["systemPrompt"] = text
    return prompt


def user_content(message: Message) -> str | list[Body]:
    """Text, or parts when there are images."""
    text, images = message.get("content") or "", message.get("images") or []
    if not images:
        return text
    parts: list[Body] = [{"type": "text", "text": text}] if text else []
    for image in images:
        url = image if image.startswith("data:") else f"data:{_media(image)};base64,{image}"
        parts.append({"type": "image_url", "image_url": {"url": url}})
    return parts


def check_images(path: str, value: object) -> None:
    """Images are base64. Raises `ApiError`."""
    if value is not None and (
        type(value) is not list or not all(type(image) is str for image in value)
    ):
        raise wrong(path, "an array of base64 texts")


def _check(path: str, message: object) -> None:
    if type(message) is not dict:
        raise wrong(path, "an object")
    role = message.get("role")
    if role not in ROLES:
        raise ApiError(400, f"{path}.role is {shown(role)}; it is one of {', '.join(ROLES)}")
    if type(message.get("content", "")) not in (str, type(None)):
        raise wrong(f"{path}.content", "a string")
    check_images(f"{path}.images", message.get("images"))
    calls = message.get("tool_calls")
    if calls is None:
        return
    if type(calls) is not list:
        raise wrong(f"{path}.tool_calls", "an array of calls")
    for index, call in enumerate(calls):
        function = call.get("function") if type(call) is dict else None
        if type(function) is not dict:
            raise wrong(f"{path}.tool_calls[{index}]", "an object with a function")
        text_at(f"{path}.tool_calls[{index}].function.name", function.get("name"))


def _calls(message: Message, made: int) -> list[Body]:
    return [
        {
            "id": str(call.get("id") or f"call_{number}"),
            "type": "function",
            "function": {
                "name": call["function"]["name"],
                "arguments": _arguments(call["function"].get("arguments")),
            },
        }
        for number, call in enumerate(message.get("tool_calls") or [], made)
    ]


def _arguments(told: object) -> str:
    """Arguments as a chat has them; some clients write them like that already."""
    return told if type(told) is str else orjson.dumps(told or {}).decode()


def _said(message: Message, calls: list[Body]) -> Body:
    entry: Body = {"role": "assistant", "content": message.get("content") or ""}
    if calls:
        entry["tool_calls"] = calls
    return entry


def _result(message: Message, open_calls: list[tuple[str, str]], made: int) -> Body:
    told_id = message.get("tool_call_id")
    name = message.get("tool_name") or message.get("name")
    found = next((call for call in open_calls if call[1] == told_id), None)
    found = found or next((call for call in open_calls if name in (None, call[0])), None)
    if found is not None:
        open_calls.remove(found)
    call_id = found[1] if found is not None else f"call_{made}"
    return {"role": "tool", "tool_call_id": call_id, "content": message.get("content") or ""}


def _media(image: str) -> str:
    """The type of an image, by how its base64 begins."""
    known = {"iVBOR": "image/png", "/9j/": "image/jpeg", "R0lG": "image/gif", "UklG": "image/webp"}
    return next((kind for head, kind in known.items() if image.startswith(head)), "image/png")
