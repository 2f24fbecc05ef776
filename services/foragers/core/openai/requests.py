"""A chat completion request, read whole or refused with the name of the parameter that is wrong.

What we cannot honour is refused, never ignored: `n` above 1, log probabilities, audio. What we
do not know is ignored, as clients send a lot.
"""

from functools import partial

from foragers.core.answers import Answer
from foragers.core.checks import read_object
from foragers.core.dialect import Asked, Request
from foragers.core.hints import hints_of
from foragers.core.openai.answers import Folded, Streamed
from foragers.core.openai.messages import (
    chat_messages,
    conversation_of,
    read_messages,
    results_of,
)
from foragers.core.openai.parameters import check_parameters, choose_tools, sampling_of, tools_of


def read_chat(raw: bytes | bytearray, asked_at: Asked) -> Request:
    """Read and check a request's body. Raises `ApiError`."""
    asked = read_object(raw)
    check_parameters(asked)
    messages = chat_messages(read_messages(asked.get("messages")))
    model = asked.get("model")
    prompt = conversation_of(messages)
    if model is not None:
        prompt["modelId"] = model
    if tools := tools_of(asked.get("tools")):
        prompt["tools"] = tools
    if sampling := sampling_of(asked):
        prompt["sampling"] = sampling
    choose_tools(prompt, asked.get("tool_choice"))
    is_stream = asked.get("stream") is True
    options = asked.get("stream_options") or {}
    wants_usage = is_stream and options.get("include_usage") is True
    return Request(
        model=model,
        results=results_of(messages),
        prompt=prompt,
        answer=partial(_answer, model, is_stream=is_stream, wants_usage=wants_usage),
        hints=hints_of(asked, asked_at.headers),
    )


def _answer(
    model: str | None, request_id: str, created: int, *, is_stream: bool, wants_usage: bool
) -> Answer:
    answer_id = f"chatcmpl-{request_id}"
    if is_stream:
        return Streamed(answer_id, model, created, wants_usage=wants_usage)
    return Folded(answer_id, model, created)
