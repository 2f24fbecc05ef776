"""A chat completion request, read whole or refused with the name of the parameter that is wrong.

What we cannot honour is refused, never ignored: `n` above 1, log probabilities, audio, files. What
we do not know is ignored, as clients send a lot.
"""

from dataclasses import dataclass

import orjson

from foragers.core.openai.errors import ApiError
from foragers.core.openai.messages import ToolResult, conversation_of, read_messages, results_of
from foragers.core.openai.parameters import check_parameters, sampling_of, tools_of
from thrum.tones import Body


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One request, checked."""

    model: str | None
    """None: humd chooses."""
    is_stream: bool
    wants_usage: bool
    """Whether a stream ends with what it cost."""
    results: tuple[ToolResult, ...]
    """The tool messages at the end of the conversation, if it ends with some."""
    prompt: Body
    """Body of the prompt that starts a new turn."""


def read_chat(raw: bytes | bytearray) -> ChatRequest:
    """Read and check a request's body. Raises `ApiError`."""
    try:
        asked = orjson.loads(raw)
    except orjson.JSONDecodeError as problem:
        raise ApiError(400, f"The body is not JSON: {problem}", code="invalid_json") from problem
    if type(asked) is not dict:
        raise ApiError(400, "The body is not a JSON object.", code="invalid_json")
    check_parameters(asked)
    messages = read_messages(asked.get("messages"))
    model = asked.get("model")
    prompt = conversation_of(messages)
    if model is not None:
        prompt["modelId"] = model
    if tools := tools_of(asked.get("tools")):
        prompt["tools"] = tools
    if sampling := sampling_of(asked):
        prompt["sampling"] = sampling
    is_stream = asked.get("stream") is True
    options = asked.get("stream_options") or {}
    return ChatRequest(
        model=model,
        is_stream=is_stream,
        wants_usage=is_stream and options.get("include_usage") is True,
        results=results_of(messages),
        prompt=prompt,
    )
