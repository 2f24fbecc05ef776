"""A chat or generate request, read whole or refused with the name of the parameter that is wrong.

A request without messages or prompt has a model loaded (or unloaded, when it is kept alive for no
time), which is nothing here: it is answered at once.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from foragers.core.answers import Answer
from foragers.core.checks import read_object, text_at, wrong
from foragers.core.dialect import Asked, Request
from foragers.core.hints import hints_of
from foragers.core.ollama.answers import CHAT, GENERATE, Folded, Shape, Streamed
from foragers.core.ollama.conversation import (
    check_images,
    conversation_of,
    read_messages,
    user_content,
)
from foragers.core.openai.parameters import tools_of
from thrum.tones import Body

LATEST = ":latest"
"""The tag that a model without one has."""

_NO_TIME = (0, "0", "0s")

_OPTIONS: Mapping[str, str] = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "stop": "stop",
    "num_predict": "maxTokens",
    "num_ctx": "contextTokens",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
}


def read_chat(raw: bytes | bytearray, asked_at: Asked) -> Request:
    """Read and check a chat's body. Raises `ApiError`."""
    asked = read_object(raw)
    messages = read_messages(asked.get("messages"))
    prompt = conversation_of(messages) if messages else None
    return _request(asked, prompt, CHAT, asked_at)


def read_generate(raw: bytes | bytearray, asked_at: Asked) -> Request:
    """Read and check a body of generate. Raises `ApiError`."""
    asked = read_object(raw)
    for key in ("prompt", "system", "suffix"):
        if type(asked.get(key, "")) not in (str, type(None)):
            raise wrong(key, "a string")
    check_images("images", asked.get("images"))
    prompt: Body | None = None
    if asked.get("prompt"):
        told = {"content": asked["prompt"], "images": asked.get("images")}
        prompt = {"content": user_content(told), "history": []}
        if asked.get("system"):
            prompt["systemPrompt"] = asked["system"]
    return _request(asked, prompt, GENERATE, asked_at)


def model_name(value: object) -> str:
    """A model as hum names it: without the tag that says nothing. Raises `ApiError`."""
    return text_at("model", value).removesuffix(LATEST)


def _request(
    asked: Mapping[str, Any], prompt: Body | None, shape: Shape, asked_at: Asked
) -> Request:
    model = model_name(asked.get("model") or asked.get("name"))
    if type(asked.get("stream", True)) not in (bool, type(None)):
        raise wrong("stream", "true or false")
    form = Folded if asked.get("stream") is False else Streamed
    ready = b""
    if prompt is None:
        reason = "unload" if asked.get("keep_alive") in _NO_TIME else "load"
        ready = form(model, 0, shape=shape, now_ns=asked_at.now_ns).said_nothing(reason)
    else:
        prompt["modelId"] = model
        if tools := tools_of(asked.get("tools")):
            prompt["tools"] = tools
        if sampling := _sampling(asked):
            prompt["sampling"] = sampling
    return Request(
        model=model,
        results=(),
        prompt=prompt or {},
        answer=partial(_answer, form, model, shape, asked_at),
        hints=hints_of(asked, asked_at.headers),
        ready=ready,
    )


def _sampling(asked: Mapping[str, Any]) -> Body:
    options = asked.get("options")
    if options is not None and type(options) is not dict:
        raise wrong("options", "an object")
    sampling = {
        _OPTIONS[name]: value
        for name, value in (options or {}).items()
        if name in _OPTIONS and value is not None
    }
    if type(sampling.get("maxTokens")) is int and sampling["maxTokens"] <= 0:
        del sampling["maxTokens"]  # the dialect's words for as many as it takes
    wanted = asked.get("format")
    if wanted == "json":
        sampling["responseFormat"] = {"type": "json_object"}
    elif type(wanted) is dict and wanted:
        schema = {"name": "answer", "schema": wanted}
        sampling["responseFormat"] = {"type": "json_schema", "json_schema": schema}
    if (think := asked.get("think")) is not None:
        sampling["think"] = think
    return sampling


def _answer(
    form: type[Streamed] | type[Folded],
    model: str,
    shape: Shape,
    asked_at: Asked,
    request_id: str,
    created: int,
) -> Answer:
    return form(model, created, shape=shape, now_ns=asked_at.now_ns)
