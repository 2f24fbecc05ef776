"""The conversation of a request, as a prompt's history (docs/wire.md, `prompt`).

- `system`, and messages of role `system`, become `systemPrompt`, blank lines between them.
- A user message is taken apart: each `tool_result` is an entry of role `tool`, the rest one of role
  `user`. An assistant's `tool_use` blocks are its `tool_calls`; its thinking travels as it came,
  because its service signed it.
- Blocks of kinds that we do not know are left out: a service's own tools leave many of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from foragers.core import parts
from foragers.core.calls import ToolResult
from foragers.core.checks import kind_of, text_at, wrong
from foragers.core.errors import ApiError
from thrum.tones import Body

MESSAGES_MAX = 8_192
ROLES = ("user", "assistant", "system")
THINKING = ("thinking", "redacted_thinking")

_IN_RESULTS = frozenset({"text", "image", "document"})
"""Kinds of blocks in what a tool answered."""
_IN_DOCUMENTS = frozenset({"text", "image"})

Block = Mapping[str, Any]


def read_messages(value: object) -> list[Block]:
    """The messages, each with a list of blocks as its content. Raises `ApiError`."""
    if type(value) is not list:
        raise wrong("messages", "an array of messages")
    if not value:
        raise ApiError(400, "messages: at least one message is required", param="messages")
    if len(value) > MESSAGES_MAX:
        raise ApiError(400, f"messages: more than {MESSAGES_MAX} entries", param="messages")
    return [_message(f"messages.{index}", message) for index, message in enumerate(value)]


def system_of(value: object, messages: Sequence[Block]) -> str:
    """All system text in its order. Raises `ApiError`."""
    blocks = _blocks("system", value) if value is not None else []
    texts = [block["text"] for block in blocks if block["type"] == "text"]
    for message in messages:
        if message["role"] == "system":
            texts += [block["text"] for block in message["content"] if block["type"] == "text"]
    return "\n\n".join(text for text in texts if text)


def history_of(messages: Sequence[Block]) -> list[Body]:
    """The conversation, entry by entry."""
    history: list[Body] = []
    for message in messages:
        if message["role"] == "assistant":
            history.append(_said(message["content"]))
        elif message["role"] == "user":
            results = _of(message["content"], "tool_result")
            history += [_result_entry(block) for block in results]
            if (content := _asked(message["content"])) or not results:
                history.append({"role": "user", "content": content or ""})
    return history


def results_of(messages: Sequence[Block]) -> tuple[ToolResult, ...]:
    """What the client's tools answered in the last message; text beside it goes with the last.

    With a picture beside it none of them is all there is to tell.
    """
    last = messages[-1]
    if last["role"] != "user":
        return ()
    beside = _asked(last["content"])
    results = [_result(block, beside) for block in _of(last["content"], "tool_result")]
    if results and beside:
        ended = results.pop()
        results.append(replace(ended, text=f"{ended.text}\n\n{parts.plain(beside)}"))
    return tuple(results)


def _result(block: Block, beside: str | list[Body]) -> ToolResult:
    told = _asked(_inner(block))
    return ToolResult(
        call_id=block["tool_use_id"],
        text=parts.plain(told),
        is_error=block.get("is_error") is True,
        is_plain=type(told) is str and type(beside) is str,
    )


def _message(path: str, message: object) -> Block:
    if type(message) is not dict:
        raise wrong(path, "an object")
    role = message.get("role")
    if role not in ROLES:
        raise ApiError(400, f"{path}.role: it is one of {', '.join(ROLES)}", param=f"{path}.role")
    return {"role": role, "content": _blocks(f"{path}.content", message.get("content"))}


def _blocks(path: str, value: object, kinds: frozenset[str] | None = None) -> list[Block]:
    """Text as one block; blocks that we translate, checked; those of other kinds left out.

    Blocks inside blocks are of `kinds`, so that nothing is nested deeper than a few.
    """
    if type(value) is str:
        return [{"type": "text", "text": value}]
    if type(value) is not list:
        raise wrong(path, "a string or an array of blocks")
    blocks: list[Block] = []
    for index, block in enumerate(value):
        here = f"{path}.{index}"
        if type(block) is not dict:
            raise wrong(here, "an object with a type")
        kind = kind_of(block)
        check = _KNOWN.get(kind)
        if check is not None and (kinds is None or kind in kinds):
            check(here, block)
            blocks.append(block)
    return blocks


def _check_text(path: str, block: Block) -> None:
    if type(block.get("text")) is not str:
        raise wrong(f"{path}.text", "a string")


def _check_source(path: str, block: Block) -> None:
    source = block.get("source")
    if type(source) is not dict:
        raise wrong(f"{path}.source", "an object with a type")
    keys = {"base64": ("media_type", "data"), "url": ("url",), "text": ("data",), "content": ()}
    kind = kind_of(source)
    if kind not in keys:
        what = "base64, a URL, or text: files are not kept here"
        raise wrong(f"{path}.source", what)
    for key in keys[kind]:
        text_at(f"{path}.source.{key}", source.get(key))
    if kind == "content":
        _blocks(f"{path}.source.content", source.get("content"), _IN_DOCUMENTS)
    if source.get("type") == "url" and not source["url"].startswith(("https://", "http://")):
        raise wrong(f"{path}.source.url", "an https: or http: URL")


def _check_use(path: str, block: Block) -> None:
    text_at(f"{path}.id", block.get("id"))
    text_at(f"{path}.name", block.get("name"))
    if type(block.get("input", {})) is not dict:
        raise wrong(f"{path}.input", "an object")


def _check_result(path: str, block: Block) -> None:
    text_at(f"{path}.tool_use_id", block.get("tool_use_id"))
    if (content := block.get("content")) is not None:
        _blocks(f"{path}.content", content, _IN_RESULTS)


def _check_thinking(path: str, block: Block) -> None:
    """As it came; only its service can judge it."""


_KNOWN = {
    "text": _check_text,
    "image": _check_source,
    "document": _check_source,
    "tool_use": _check_use,
    "tool_result": _check_result,
    "thinking": _check_thinking,
    "redacted_thinking": _check_thinking,
}


def _of(blocks: Iterable[Block], kind: str) -> list[Block]:
    return [block for block in blocks if block["type"] == kind]


def _said(blocks: Sequence[Block]) -> Body:
    entry: Body = {"role": "assistant", "content": _text_of(blocks) or None}
    if calls := [_call(block) for block in _of(blocks, "tool_use")]:
        entry["tool_calls"] = calls
    if thinking := [block for block in blocks if block["type"] in THINKING]:
        entry["thinking"] = thinking
    if entry["content"] is None and not calls:
        entry["content"] = ""
    return entry


def _call(block: Block) -> Body:
    arguments = orjson.dumps(block.get("input", {})).decode()
    function = {"name": block["name"], "arguments": arguments}
    return {"id": block["id"], "type": "function", "function": function}


def _result_entry(block: Block) -> Body:
    entry: Body = {
        "role": "tool", "tool_call_id": block["tool_use_id"],
        "content": _asked(_inner(block)),
    }  # fmt: skip
    if block.get("is_error") is True:
        entry["is_error"] = True
    return entry


def _inner(block: Block) -> list[Block]:
    """What a result is made of; it was checked."""
    content = block.get("content")
    return [] if content is None else _blocks("content", content, _IN_RESULTS)


def _asked(blocks: Sequence[Block]) -> str | list[Body]:
    """Text when there is nothing else, else parts."""
    told = [part for block in blocks for part in _parts(block)]
    return parts.plain(told) if parts.is_plain(told) else told


def _parts(block: Block) -> list[Body]:
    kind = block["type"]
    if kind == "text":
        return [parts.text(block["text"])]
    if kind not in ("image", "document"):
        return []
    source = block["source"]
    if source.get("type") == "text":
        return [parts.text(source["data"])]
    if source.get("type") == "content":
        inner = _blocks("content", source["content"], _IN_DOCUMENTS)
        return [part for block in inner for part in _parts(block)]
    url = source.get("url") or f"data:{source.get('media_type')};base64,{source.get('data')}"
    if kind == "image":
        return [parts.image("source", url)]
    return [parts.file("source", {"file_data": url, "filename": block.get("title")})]


def _text_of(content: object) -> str:
    """The text of blocks, or a text as it is."""
    if type(content) is str:
        return content
    blocks = content if type(content) is list else []
    texts = (block.get("text") for block in blocks if type(block) is dict)
    return "\n".join(text for text in texts if type(text) is str)
