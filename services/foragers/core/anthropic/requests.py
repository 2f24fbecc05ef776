"""A messages request, read whole or refused with the name of the parameter that is wrong.

What we do not know is ignored. `context_management`, `output_config`, cache marks and betas come
with every request of some clients; they travel to a service of this dialect, and to no other.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import orjson

from foragers.core import tools
from foragers.core.answers import Answer
from foragers.core.anthropic.answers import Folded, Streamed
from foragers.core.anthropic.conversation import (
    history_of,
    read_messages,
    results_of,
    system_of,
)
from foragers.core.checks import read_object, text_at, wrong
from foragers.core.dialect import Asked, Request
from foragers.core.hints import hints_of
from thrum.tones import Body

CHARS_PER_TOKEN = 3.5
"""For an estimate; only the model's own service could count."""

_SAMPLING: Mapping[str, str] = {
    "max_tokens": "maxTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "stop_sequences": "stop",
    "thinking": "thinking",
}
_OWN = ("context_management", "metadata", "output_config", "service_tier")
"""Parameters that travel to a service of this dialect as they are, and to no other."""
HEADER_CHARS_MAX = 2_048
"""Of `anthropic-beta`; a longer one is as if it were not there."""
_CHOICES: Mapping[str, str] = {"auto": "auto", "any": "required", "none": "none"}


def read_message_request(raw: bytes | bytearray, asked_at: Asked) -> Request:
    """Read and check a request's body. Raises `ApiError`."""
    asked = read_object(raw)
    model = text_at("model", asked.get("model"))
    messages = read_messages(asked.get("messages"))
    prompt = _prompt(asked, messages)
    prompt["modelId"] = model
    if offered := tools_of(asked.get("tools")):
        prompt["tools"] = offered
    sampling = _sampling(asked)
    if own := _own(asked, asked_at.headers):
        sampling["anthropic"] = own
    if sampling:
        prompt["sampling"] = sampling
    return Request(
        model=model,
        results=results_of(messages),
        prompt=prompt,
        answer=partial(
            _answer, model, is_stream=asked.get("stream") is True, thinks=_thinks(asked)
        ),
        hints=hints_of(asked, asked_at.headers),
    )


def count_body(raw: bytes | bytearray) -> bytes:
    """The answer to a question for the number of tokens: an estimate. Raises `ApiError`."""
    asked = read_object(raw)
    text_at("model", asked.get("model"))
    read_messages(asked.get("messages"))
    counted = {key: asked[key] for key in ("system", "tools", "messages") if key in asked}
    chars = len(orjson.dumps(counted).decode())
    return orjson.dumps({"input_tokens": max(1, round(chars / CHARS_PER_TOKEN))})


def tools_of(value: object) -> list[Body]:
    """The client's tools, as a prompt names them; a service's own tools are left out."""
    return tools.tools_of(value, "custom", _tool)


def _tool(path: str, tool: Body) -> Body:
    return tools.entry_of(path, tool, "input_schema")


def _prompt(asked: Mapping[str, Any], messages: list[Mapping[str, Any]]) -> Body:
    history = history_of(messages)
    prompt: Body = {"content": ""}
    if history and history[-1]["role"] == "user":
        prompt["content"] = history.pop()["content"]
    prompt["history"] = history
    if system := system_of(asked.get("system"), messages):
        prompt["systemPrompt"] = system
    return prompt


def _own(asked: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> Body:
    """What only a service of this dialect understands, as it came."""
    own: Body = {}
    for name in ("version", "beta"):
        told = headers.get(f"anthropic-{name}".encode(), b"").decode("latin-1")
        if told and told.isascii() and told.isprintable() and len(told) <= HEADER_CHARS_MAX:
            own[name] = told
    if fields := {name: asked[name] for name in _OWN if asked.get(name) is not None}:
        own["fields"] = fields
    if (mark := _cache_mark(asked)) is not None:
        own["cache"] = mark
    return own if own.keys() - {"version"} else {}


def _cache_mark(asked: Mapping[str, Any]) -> Body | None:
    """The newest mark by which the client has the service keep what comes again."""
    messages = asked.get("messages")
    last = messages[-1] if type(messages) is list and messages else {}
    newest = last.get("content") if type(last) is dict else None
    for blocks in (newest, asked.get("system"), asked.get("tools")):
        for block in reversed(blocks if type(blocks) is list else []):
            mark = block.get("cache_control") if type(block) is dict else None
            if type(mark) is dict:
                return mark
    return None


def _sampling(asked: Mapping[str, Any]) -> Body:
    for name, kinds, wanted in _TYPES:
        if (value := asked.get(name)) is not None and type(value) not in kinds:
            raise wrong(name, wanted)
    sampling = {ours: asked[name] for name, ours in _SAMPLING.items() if asked.get(name)}
    if asked.get("temperature") == 0:
        sampling["temperature"] = 0
    choice = asked.get("tool_choice") or {}
    kind = str(choice.get("type", ""))
    if kind in _CHOICES:
        sampling["toolChoice"] = _CHOICES[kind]
    elif kind == "tool":
        name = text_at("tool_choice.name", choice.get("name"))
        sampling["toolChoice"] = {"type": "function", "function": {"name": name}}
    if choice.get("disable_parallel_tool_use") is True:
        sampling["parallelToolCalls"] = False
    return sampling


_TYPES: tuple[tuple[str, tuple[type, ...], str], ...] = (
    ("max_tokens", (int,), "a whole number"),
    ("temperature", (int, float), "a number from 0 to 1"),
    ("top_p", (int, float), "a number from 0 to 1"),
    ("top_k", (int,), "a whole number"),
    ("stop_sequences", (list,), "an array of strings"),
    ("thinking", (dict,), "an object with a type"),
    ("tool_choice", (dict,), "an object with a type"),
    ("stream", (bool,), "true or false"),
)


def _thinks(asked: Mapping[str, Any]) -> bool:
    """Whether the client can take thinking: it asked for it."""
    thinking = asked.get("thinking") or {}
    return thinking.get("type") in ("enabled", "adaptive")


def _answer(model: str, request_id: str, created: int, *, is_stream: bool, thinks: bool) -> Answer:
    form = Streamed if is_stream else Folded
    return form(f"msg_{request_id}", model, created, thinks=thinks)
