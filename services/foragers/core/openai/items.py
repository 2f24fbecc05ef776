"""The input of a responses request, as messages of a chat.

Calls that follow one another, and the text of an assistant before them, are one message. Reasoning
and references are left out: only the service that made them could read them.
"""

from collections.abc import Mapping
from typing import Any

from foragers.core import parts
from foragers.core.checks import kind_of, text_at, wrong
from foragers.core.errors import ApiError
from thrum.tones import Body

ITEMS_MAX = 16_384
ROLES = ("user", "assistant", "system", "developer")
_TEXTS = frozenset({"input_text", "output_text", "text", "summary_text"})
_CALLS = frozenset({"function_call", "custom_tool_call"})
_RESULTS = frozenset({"function_call_output", "custom_tool_call_output"})


def messages_of(value: object) -> list[Body]:
    """The messages that `input` stands for. Raises `ApiError`."""
    if value is None:
        raise ApiError(400, "input is missing.", param="input", code="missing_required_parameter")
    if type(value) is str:
        return [{"role": "user", "content": value}]
    if type(value) is not list or len(value) > ITEMS_MAX:
        raise wrong("input", f"a string or an array of at most {ITEMS_MAX} items")
    messages: list[Body] = []
    for index, item in enumerate(value):
        path = f"input[{index}]"
        if type(item) is not dict:
            raise wrong(path, "an object")
        kind = kind_of(item, "message")
        if kind == "message":
            messages.append(_message(path, item))
        elif kind in _CALLS:
            _add_call(messages, _call(path, item))
        elif kind in _RESULTS:
            messages.append(_result(path, item))
    return messages


def _message(path: str, item: Mapping[str, Any]) -> Body:
    role = item.get("role")
    if role not in ROLES:
        raise ApiError(
            400, f"{path}.role is wrong; it is one of {', '.join(ROLES)}.",
            param=f"{path}.role", code="invalid_value",
        )  # fmt: skip
    return {"role": role, "content": _content(f"{path}.content", item.get("content"))}


def _content(path: str, content: object) -> str | list[Body]:
    """Text when there is nothing else, else parts of a chat message."""
    if type(content) is str:
        return content
    if type(content) is not list:
        raise wrong(path, "a string or an array of parts")
    told = [_part(f"{path}[{index}]", part) for index, part in enumerate(content)]
    return parts.plain(told) if parts.is_plain(told) else told


def _part(path: str, part: object) -> Body:
    if type(part) is not dict:
        raise wrong(path, "an object with a type")
    kind = kind_of(part)
    if kind in _TEXTS:
        if type(part.get("text")) is not str:
            raise wrong(f"{path}.text", "a string")
        return parts.text(part["text"])
    if kind == "refusal":
        return parts.text(str(part.get("refusal") or ""))
    if kind in ("input_image", "image_url"):
        return parts.image(f"{path}.image_url", part.get("image_url"))
    if kind == "input_file":
        return parts.file(path, part)
    raise ApiError(
        400, f"{path} is of a type that is not taken here.", param=path, code="unsupported_value"
    )


def _call(path: str, item: Mapping[str, Any]) -> Body:
    arguments = item.get("arguments", item.get("input", ""))
    if type(arguments) is not str:
        raise wrong(f"{path}.arguments", "a string of JSON")
    function = {"name": text_at(f"{path}.name", item.get("name")), "arguments": arguments}
    call_id = text_at(f"{path}.call_id", item.get("call_id"))
    return {"id": call_id, "type": "function", "function": function}


def _add_call(messages: list[Body], call: Body) -> None:
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    messages[-1].setdefault("tool_calls", []).append(call)


def _result(path: str, item: Mapping[str, Any]) -> Body:
    call_id = text_at(f"{path}.call_id", item.get("call_id"))
    output = _content(f"{path}.output", item.get("output"))
    return {"role": "tool", "tool_call_id": call_id, "content": output}
