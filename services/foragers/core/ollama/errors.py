"""Every refusal in the Ollama dialect: `{"error": message}`."""

import orjson

from foragers.core.errors import ApiError


def error_body(error: ApiError, request_id: str = "") -> bytes:
    """The JSON object; the id of the request goes into a header."""
    return orjson.dumps({"error": error.message})


def error_line(error: ApiError, request_id: str = "") -> bytes:
    """The same as the last line of a stream that had begun."""
    return error_body(error) + b"\n"
