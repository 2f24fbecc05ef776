"""A responses request, read whole or refused with the name of the parameter that is wrong.

`previous_response_id` and `conversation` name what was remembered of earlier answers; a name that
nobody remembers is refused, because going on without it would lose the conversation in silence.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from foragers.core.answers import Answer
from foragers.core.checks import read_object, text_at, wrong
from foragers.core.dialect import Asked, Request
from foragers.core.errors import ApiError
from foragers.core.hints import hints_of
from foragers.core.openai.items import messages_of
from foragers.core.openai.messages import conversation_of, results_of
from foragers.core.openai.parameters import check_parameters, choose_tools, sampling_of, tools_of
from foragers.core.openai.response_answers import Echo, Folded, Streamed
from thrum.tones import Body

_ECHOED = (
    "instructions", "max_output_tokens", "metadata", "previous_response_id", "prompt_cache_key",
    "reasoning", "safety_identifier", "temperature", "text", "top_p", "truncation", "user",
)  # fmt: skip
"""Parameters that the answer repeats."""


def read_response(raw: bytes | bytearray, asked_at: Asked) -> Request:
    """Read and check a request's body. Raises `ApiError`."""
    asked = read_object(raw)
    check_parameters({key: value for key, value in asked.items() if key not in _OTHERWISE})
    if asked.get("background") is True:
        raise ApiError(
            400, "background: answers are not made in the background here; stream instead.",
            param="background", code="unsupported_value",
        )  # fmt: skip
    earlier, conversation = _earlier(asked, asked_at)
    told = messages_of(asked.get("input"))
    messages = [*earlier, *told]
    if not messages:
        raise ApiError(400, "input is empty.", param="input", code="empty_array")
    prompt = _prompt(asked, messages)
    is_stream = asked.get("stream") is True
    return Request(
        model=asked.get("model"),
        results=results_of(told),
        prompt=prompt,
        answer=partial(_answer, asked.get("model"), _echo(asked), is_stream=is_stream),
        hints=hints_of(asked, asked_at.headers),
        keeps=None if asked.get("store") is False else tuple(messages),
        kept_as=conversation,
    )


def _earlier(asked: Mapping[str, Any], asked_at: Asked) -> tuple[Sequence[Body], str | None]:
    """What was said before, and the conversation that this answer belongs to."""
    conversation = asked.get("conversation")
    if type(conversation) is dict:
        conversation = conversation.get("id")
    if conversation is not None:
        name = text_at("conversation", conversation)
        return asked_at.recall(name) or (), name
    previous = asked.get("previous_response_id")
    if previous is None:
        return (), None
    earlier = asked_at.recall(text_at("previous_response_id", previous))
    if earlier is None:
        raise ApiError(
            400, "previous_response_id: that answer is not remembered; send the conversation.",
            param="previous_response_id", code="previous_response_not_found",
        )  # fmt: skip
    return earlier, None


def _prompt(asked: Mapping[str, Any], messages: Sequence[Body]) -> Body:
    prompt = conversation_of(messages)
    instructions = asked.get("instructions")
    if instructions is not None and type(instructions) is not str:
        raise wrong("instructions", "a string")
    if instructions:
        system = prompt.get("systemPrompt")
        prompt["systemPrompt"] = f"{instructions}\n\n{system}" if system else instructions
    if asked.get("model") is not None:
        prompt["modelId"] = asked["model"]
    if tools := tools_of(_nested(asked.get("tools"))):
        prompt["tools"] = tools
    if sampling := _sampling(asked):
        prompt["sampling"] = sampling
    choose_tools(prompt, asked.get("tool_choice"))
    return prompt


def _nested(tools: object) -> object:
    """Tools in the shape of chat completions; both shapes are taken."""
    if type(tools) is not list:
        return tools
    return [
        {"type": "function", "function": tool}
        if type(tool) is dict and tool.get("type") == "function" and "function" not in tool
        else tool
        for tool in tools
    ]


def _sampling(asked: Mapping[str, Any]) -> Body:
    sampling = sampling_of(asked)
    if (tokens := asked.get("max_output_tokens")) is not None:
        if type(tokens) is not int or tokens < 1:
            raise wrong("max_output_tokens", "a whole number")
        sampling["maxTokens"] = tokens
    if effort := _part(asked, "reasoning").get("effort"):
        sampling["reasoningEffort"] = effort
    text = _part(asked, "text")
    if verbosity := text.get("verbosity"):
        sampling["verbosity"] = verbosity
    wanted = text.get("format") or asked.get("response_format")
    if type(wanted) is dict and wanted.get("type") in ("json_object", "json_schema"):
        sampling["responseFormat"] = _format(wanted)
    return sampling


def _format(wanted: Mapping[str, Any]) -> Body:
    if wanted["type"] == "json_object" or "json_schema" in wanted:
        return dict(wanted)
    schema = {key: value for key, value in wanted.items() if key != "type"}
    return {"type": "json_schema", "json_schema": schema}


def _part(asked: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = asked.get(name)
    if value is None:
        return {}
    if type(value) is not dict:
        raise wrong(name, "an object")
    found: Mapping[str, Any] = value
    return found


_OTHERWISE = frozenset({"top_logprobs", "stream_options", "tool_choice"})
"""Parameters that mean something else than in a chat."""


def _echo(asked: Mapping[str, Any]) -> Echo:
    echoed = {name: asked[name] for name in _ECHOED if asked.get(name) is not None}
    return {
        "parallel_tool_calls": asked.get("parallel_tool_calls") is not False,
        "tool_choice": asked.get("tool_choice") or "auto",
        "tools": asked.get("tools") or [],
        "store": asked.get("store") is not False,
        **echoed,
    }


def _answer(
    model: str | None, echo: Echo, request_id: str, created: int, *, is_stream: bool
) -> Answer:
    form = Streamed if is_stream else Folded
    return form(f"resp_{request_id}", model, created, echo=echo)
