"""Everything in a request but its messages: checked, and translated for a prompt."""

from collections.abc import Callable, Mapping
from typing import Any

from foragers.core import tools
from foragers.core.checks import shown, text_at, wrong
from foragers.core.errors import ApiError
from thrum.tones import Body

MODEL_CHARS_MAX = 256

_SAMPLING: Mapping[str, str] = {
    "temperature": "temperature",
    "top_p": "topP",
    "stop": "stop",
    "seed": "seed",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "parallel_tool_calls": "parallelToolCalls",
    "response_format": "responseFormat",
    "reasoning_effort": "reasoningEffort",
    "verbosity": "verbosity",
    "logit_bias": "logitBias",
    "max_tokens": "maxTokens",
    "max_completion_tokens": "maxTokens",
}
"""Names in a request, and in `sampling`."""


def sampling_of(asked: Mapping[str, Any]) -> Body:
    """What the client chose about the answer, by the names that a prompt has for it."""
    sampling = {
        _SAMPLING[name]: value
        for name, value in asked.items()
        if name in _SAMPLING and value is not None
    }
    if (tokens := asked.get("max_completion_tokens")) is not None:
        sampling["maxTokens"] = tokens  # it replaced max_tokens; some clients send both
    return sampling


def choose_tools(prompt: Body, choice: object) -> None:
    """Put the client's choice among its tools into a prompt that has them.

    Some tools of all are the only ones offered then. A choice of what is a service's own, and so
    not offered, is left to the model. Raises `ApiError`.
    """
    if choice is None:
        return
    if type(choice) is dict:
        choice = _chosen(prompt, choice)
    elif type(choice) is not str:
        raise wrong("tool_choice", "none, auto, required, or an object that names a function")
    if choice is not None:
        prompt.setdefault("sampling", {})["toolChoice"] = choice


def _chosen(prompt: Body, choice: Mapping[str, Any]) -> object:
    if choice.get("type") == "function":
        return {"type": "function", "function": {"name": text_at(_NAMED, _name_in(choice))}}
    if choice.get("type") != "allowed_tools":
        return None
    told = choice.get("allowed_tools")
    allowed = told if type(told) is dict else choice
    listed = allowed.get("tools")
    if type(listed) is not list:
        raise wrong("tool_choice.tools", "an array of tools")
    names = {_name_in(tool) for tool in listed if type(tool) is dict}
    prompt["tools"] = [tool for tool in prompt.get("tools") or () if tool["name"] in names]
    return "required" if allowed.get("mode") == "required" and prompt["tools"] else "auto"


def _name_in(tool: Mapping[str, Any]) -> object:
    """The name of a function in either of two shapes."""
    function = tool.get("function")
    name = function.get("name") if type(function) is dict else tool.get("name")
    return name if type(name) is str else None


_NAMED = "tool_choice.function.name"


def check_parameters(asked: Mapping[str, Any]) -> None:
    """Check every parameter that is there and not null; raises `ApiError` for a wrong one."""
    for name, value in asked.items():
        if value is not None and (check := _CHECKS.get(name)):
            check(name, value)


def tools_of(value: object) -> list[Body]:
    """The functions, as a prompt names them; tools of other types are a service's own."""
    return tools.tools_of(value, "function", _function)


def _function(path: str, tool: Body) -> Body:
    function = tool.get("function")
    if type(function) is not dict:
        raise wrong(path, "an object of type function with a function")
    return tools.entry_of(f"{path}.function", function, "parameters")


def _model(name: str, value: object) -> None:
    if len(text_at(name, value)) > MODEL_CHARS_MAX:
        raise wrong(name, f"at most {MODEL_CHARS_MAX} characters")


def _flag(name: str, value: object) -> None:
    if type(value) is not bool:
        raise wrong(name, "true or false")


def _object(name: str, value: object) -> None:
    if type(value) is not dict:
        raise wrong(name, "an object")


def _number(low: float, high: float) -> Callable[[str, object], None]:
    def check(name: str, value: object) -> None:
        if type(value) not in (int, float) or not low <= value <= high:  # type: ignore[operator]
            raise ApiError(
                400, f"{name} is {shown(value)}; it takes a number from {low} to {high}.",
                param=name, code="invalid_value",
            )  # fmt: skip

    return check


def _integer(low: int, high: int) -> Callable[[str, object], None]:
    def check(name: str, value: object) -> None:
        if type(value) is not int or not low <= value <= high:
            raise ApiError(
                400, f"{name} is {shown(value)}; it takes an integer from {low} to {high}.",
                param=name, code="invalid_value",
            )  # fmt: skip

    return check


def _stop(name: str, value: object) -> None:
    texts = value if type(value) is list else [value]
    if not all(type(text) is str for text in texts):
        raise wrong(name, "a string or an array of strings")


def _word(name: str, value: object) -> None:
    text_at(name, value)


def _only(allowed: object, why: str) -> Callable[[str, object], None]:
    def check(name: str, value: object) -> None:
        if value != allowed or type(value) is not type(allowed):
            raise ApiError(400, f"{name}: {why}", param=name, code="unsupported_value")

    return check


def _absent(why: str) -> Callable[[str, object], None]:
    def check(name: str, value: object) -> None:
        raise ApiError(400, f"{name}: {why}", param=name, code="unsupported_parameter")

    return check


_INT64_MAX = 2**63 - 1
_CHECKS: Mapping[str, Callable[[str, object], None]] = {
    "model": _model,
    "stream": _flag,
    "stream_options": _object,
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "frequency_penalty": _number(-2, 2),
    "presence_penalty": _number(-2, 2),
    "max_tokens": _integer(1, _INT64_MAX),
    "max_completion_tokens": _integer(1, _INT64_MAX),
    "seed": _integer(-_INT64_MAX - 1, _INT64_MAX),
    "stop": _stop,
    "parallel_tool_calls": _flag,
    "response_format": _object,
    "reasoning_effort": _word,
    "verbosity": _word,
    "logit_bias": _object,
    "n": _only(1, "only one choice is made; ask again for another."),
    "logprobs": _only(False, "log probabilities are not available."),
    "top_logprobs": _only(0, "log probabilities are not available."),
    "modalities": _only(["text"], "answers are text only."),
    "audio": _absent("answers are text only."),
    "functions": _absent("use tools instead."),
    "function_call": _absent("use tool_choice instead."),
}
