"""What the front serves, as an OpenAPI 3.1 document at `/openapi.json`.

Each route of `routes.ROUTES` that has a meaning here is in it, with what its body must be, and the
statuses it answers. The dialects allow more keys than are named; those that are not are ignored.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from foragers.core.openai.parameters import MODEL_CHARS_MAX
from foragers.front.routes import ROUTES, Route, Serves

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NAME: Schema = {"type": "string", "minLength": 1, "maxLength": MODEL_CHARS_MAX}
FLAG: Schema = {"type": "boolean"}
ANY: Schema = {"type": "object"}
TOKENS: Schema = {"type": "integer", "minimum": 1, "maximum": 2**31}

_REFUSALS = {
    400: "the request is wrong, and how",
    401: "a key is needed and none of ours was sent",
    403: "the Host, the Origin or the key does not allow this",
    404: "nothing is here, or no such model",
    405: "another method",
    413: "the body is too large",
    415: "the body is not JSON",
    429: "too much, or a budget is spent; Retry-After says when to come back",
    431: "the headers are too large",
}
"""What any route may answer."""
_FAULTS = {
    500: "a bug",
    501: "the model makes no embeddings",
    502: "the model's service answered nonsense",
    503: "nobody can answer now; Retry-After says when to come back",
    504: "the model's service was silent too long",
}
"""What a turn may answer when what stands behind it fails."""


def _array(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _object(required: Sequence[str] = (), **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def _one_of(value: Any, *more: Any) -> Schema:
    return {"enum": [value, *more]}


_TEXT_PART = _object(("type", "text"), type=_one_of("text"), text=TEXT)
_PARTS = {"anyOf": [TEXT, _array(_TEXT_PART)]}
_FUNCTION = _object(("name",), name=NAME, description=TEXT, parameters=ANY)
_TOOLS = _array(_object(("type", "function"), type=_one_of("function"), function=_FUNCTION))
_MESSAGE = _object(
    ("role", "content"), role=_one_of("system", "developer", "user", "assistant"), content=_PARTS
)
_CHAT = _object(
    ("messages",),
    model=NAME,
    messages=_array(_MESSAGE, minItems=1),
    tools=_TOOLS,
    tool_choice=_one_of("none", "auto", "required"),
    parallel_tool_calls=FLAG,
    temperature={"type": "number", "minimum": 0, "maximum": 2},
    top_p={"type": "number", "minimum": 0, "maximum": 1},
    max_completion_tokens=TOKENS,
    max_tokens=TOKENS,
    seed={"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    stop={"anyOf": [TEXT, _array(TEXT)]},
    stream=FLAG,
    stream_options=_object(include_usage=FLAG),
    response_format=_object(("type",), type=_one_of("text", "json_object")),
    reasoning_effort=NAME,
    n=_one_of(1),
)
_INPUT_PART = _object(("type", "text"), type=_one_of("input_text"), text=TEXT)
_INPUT = _object(
    ("role", "content"), role=_one_of("user", "system", "developer"), content=_array(_INPUT_PART)
)
_RESPONSES = _object(
    ("input",),
    model=NAME,
    input={"anyOf": [TEXT, _array(_INPUT, minItems=1)]},
    instructions=TEXT,
    previous_response_id=NAME,
    conversation=NAME,
    max_output_tokens=TOKENS,
    store=FLAG,
    stream=FLAG,
    background=_one_of(False),
)
_BLOCK = _object(("type", "text"), type=_one_of("text"), text=TEXT)
_TURN = _object(
    ("role", "content"),
    role=_one_of("user", "assistant"),
    content={"anyOf": [TEXT, _array(_BLOCK)]},
)
_ASKED_OF = {"model": NAME, "messages": _array(_TURN, minItems=1), "system": TEXT}
_MESSAGES = _object(
    ("model", "messages", "max_tokens"),
    **_ASKED_OF,
    max_tokens=TOKENS,
    temperature={"type": "number", "minimum": 0, "maximum": 1},
    top_k=TOKENS,
    stop_sequences=_array(TEXT),
    stream=FLAG,
)
_OPTIONS = _object(temperature={"type": "number"}, num_ctx=TOKENS, seed={"type": "integer"})
_OLLAMA_MESSAGE = _object(
    ("role", "content"), role=_one_of("system", "user", "assistant"), content=TEXT
)
_OLLAMA_CHAT = _object(
    ("model",), model=NAME, messages=_array(_OLLAMA_MESSAGE), stream=FLAG, options=_OPTIONS
)
_GENERATE = _object(("model",), model=NAME, prompt=TEXT, system=TEXT, stream=FLAG, options=_OPTIONS)

_INPUTS = {"anyOf": [NAME, _array(NAME, minItems=1, maxItems=8)]}
_BODIES: Mapping[str, Schema] = {
    "/v1/chat/completions": _CHAT,
    "/v1/responses": _RESPONSES,
    "/v1/messages": _MESSAGES,
    "/v1/messages/count_tokens": _object(("model", "messages"), **_ASKED_OF),
    "/v1/embeddings": _object(
        ("model", "input"), model=NAME, input=_INPUTS, encoding_format=_one_of("float", "base64")
    ),
    "/api/embed": _object(("model", "input"), model=NAME, input=_INPUTS),
    "/api/embeddings": _object(("model", "prompt"), model=NAME, prompt=NAME),
    "/api/chat": _OLLAMA_CHAT,
    "/api/generate": _GENERATE,
    "/api/show": _object(("model",), model=NAME),
}
_ANSWERS: Mapping[str, Schema] = {
    "/v1/chat/completions": _object(
        ("id", "object", "created", "model", "choices"),
        id=NAME, object=_one_of("chat.completion"), choices=_array(ANY, minItems=1),
    ),
    "/v1/responses": _object(
        ("id", "object", "status", "output"),
        id=NAME, object=_one_of("response"), output=_array(ANY),
    ),
    "/v1/messages": _object(
        ("id", "type", "role", "content", "stop_reason", "usage"),
        type=_one_of("message"), role=_one_of("assistant"), content=_array(_object(("type",))),
    ),
    "/v1/messages/count_tokens": _object(("input_tokens",), input_tokens=TOKENS),
    "/v1/embeddings": _object(("object", "data", "model", "usage"), data=_array(ANY), usage=ANY),
    "/api/embed": _object(("model", "embeddings"), embeddings=_array(_array({"type": "number"}))),
    "/api/embeddings": _object(("embedding",), embedding=_array({"type": "number"})),
    "/v1/models": _object(("data",), data=_array(_object(("id",), id=NAME))),
    "/v1/models/": _object(("id",), id=NAME),
    "/api/chat": _object(("model", "created_at", "message", "done"), message=ANY, done=FLAG),
    "/api/generate": _object(("model", "created_at", "response", "done"), response=TEXT, done=FLAG),
    "/api/tags": _object(("models",), models=_array(ANY)),
    "/api/ps": _object(("models",), models=_array(ANY)),
    "/api/version": _object(("version",), version=NAME),
    "/api/show": _object(("details", "model_info", "capabilities"), details=ANY),
}  # fmt: skip
_STREAMS = {"/api/chat": "application/x-ndjson", "/api/generate": "application/x-ndjson"}
_EVENTS = "text/event-stream"


def description(version: str) -> bytes:
    """The whole document."""
    paths: dict[str, Schema] = {}
    for path, route in ROUTES.items():
        if route.serves is not Serves.ABSENT:
            paths["/v1/models/{model}" if path == "/v1/models/" else path] = dict(_methods(route))
    document = {
        "openapi": "3.1.0",
        "info": {"title": "hum front", "version": version},
        "paths": paths,
    }
    return orjson.dumps(document)


def _methods(route: Route) -> Iterator[tuple[str, Schema]]:
    for method in route.methods:
        operation: Schema = {"responses": _responses(route, method)}
        if (body := _BODIES.get(route.path)) is not None:
            content = {"application/json": {"schema": body}}
            operation["requestBody"] = {"required": True, "content": content}
        if route.path == "/v1/models/":
            where = {"name": "model", "in": "path", "required": True}
            operation["parameters"] = [{**where, "schema": {**NAME, "pattern": "^[a-z0-9-]+$"}}]
        yield method.lower(), operation


def _responses(route: Route, method: str) -> Schema:
    faults = _FAULTS if route.serves is Serves.TURN else {503: _FAULTS[503]}
    told = {
        str(route.dialect.status(status)): {"description": why, "content": {"application/json": {}}}
        for status, why in (_REFUSALS | faults).items()
    }
    return {"200": _success(route, method), **told}


def _success(route: Route, method: str) -> Schema:
    if method == "HEAD":
        return {"description": "as GET, without the body"}
    if route.serves is Serves.GREETING:
        return {"description": "a greeting", "content": {"text/plain": {}}}
    content: Schema = {"application/json": {"schema": _ANSWERS.get(route.path, ANY)}}
    if route.serves is Serves.TURN:
        content[_STREAMS.get(route.path, _EVENTS)] = {}
    return {"description": "the answer", "content": content}
