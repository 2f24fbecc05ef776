"""Every refusal in the OpenAI dialect: `{"error": {message, type, param, code}}`."""

import orjson

from foragers.core.errors import ApiError

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def kind_of(error: ApiError) -> str:
    """The `type` that goes with the status."""
    return _TYPES.get(error.status) or (
        "server_error" if error.status >= 500 else "invalid_request_error"
    )


def error_body(error: ApiError, request_id: str = "") -> bytes:
    """The JSON object; the id of the request goes into a header."""
    inner = {
        "message": error.message, "type": kind_of(error), "param": error.param, "code": error.code,
    }  # fmt: skip
    return orjson.dumps({"error": inner})


def error_event(error: ApiError, request_id: str = "") -> bytes:
    """The same as the last event of a stream that had begun; no `[DONE]` follows."""
    return b"data: " + error_body(error) + b"\n\n"
