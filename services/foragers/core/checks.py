"""What every check of a request says when a value is wrong."""

from collections.abc import Mapping
from typing import Any

import orjson

from foragers.core.errors import ApiError

SHOWN_CHARS_MAX = 80
"""Of a wrong value, the characters that a refusal repeats."""


def wrong(path: str, wanted: str) -> ApiError:
    """The value at `path` has the wrong type."""
    return ApiError(400, f"{path} is wrong: it takes {wanted}.", param=path, code="invalid_type")


def text_at(path: str, value: object) -> str:
    """The value at `path`, which must be text with something in it; raises `ApiError`."""
    if type(value) is not str or not value:
        raise wrong(path, "a non-empty string")
    return value


def kind_of(entry: Mapping[str, Any], default: str = "") -> str:
    """The `type` of an entry; empty when it is no text, so that it matches nothing."""
    kind = entry.get("type", default)
    return kind if type(kind) is str else ""


def shown(value: object) -> str:
    """A wrong value, as far as a refusal repeats it."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARS_MAX else f"{text[:SHOWN_CHARS_MAX]}..."


def read_object(raw: bytes | bytearray) -> dict[str, Any]:
    """A body that must be a JSON object; raises `ApiError`."""
    try:
        asked = orjson.loads(raw)
    except orjson.JSONDecodeError as problem:
        raise ApiError(400, f"The body is not JSON: {problem}", code="invalid_json") from problem
    if type(asked) is not dict:
        raise ApiError(400, "The body is not a JSON object.", code="invalid_json")
    found: dict[str, Any] = asked
    return found
